//! `coe boot`: any PVH kernel.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::engine::EngineArguments;
use super::interactive::{Interactive, Manners};
use super::screen::Screen;
use super::target::{cpu_model, memory_size};
use crate::Error;
use crate::images::{Chooser, Setup};
use crate::scenario::{Hardware, program};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The kernel: an ELF with a PVH entry
    pub(super) kernel: PathBuf,
    /// The initrd
    #[arg(long, value_name = "FILE")]
    pub(super) initrd: Option<PathBuf>,
    /// The kernel's command line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub(super) append: String,
    /// The machine's memory, as in 64MiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(super) memory: String,
    /// Which CPU it is, by what it announces
    #[arg(long, value_name = "v1|v2|v3")]
    pub(super) cpu: Option<String>,
    /// Give up after so many cycles
    #[arg(long, value_name = "N")]
    pub(super) cycles: Option<u64>,
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    #[command(flatten)]
    pub(super) interactive: Interactive,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut setup = Setup {
        title: arguments.kernel.display().to_string(),
        scenario: String::new(),
        hardware: Hardware {
            memory: memory_size(&arguments.memory)?,
            cpu: cpu_model(arguments.cpu.as_deref())?,
            ..Hardware::default()
        },
        kernel: program::read(&arguments.kernel)?.into(),
        initrd: arguments.initrd.as_deref().map(program::read).transpose()?,
        cmdline: arguments.append.clone(),
        disk: None,
        inputs: Vec::new(),
        live: false,
        chooser: Chooser::Defaults,
        limit: arguments.cycles.unwrap_or(u64::MAX),
        engine: arguments.engine.engine,
    };
    // The kernel writes to a serial line: what that needs for a new line, it sends.
    let manners = Manners {
        lines: false,
        quiet: arguments.quiet,
    };
    let session = arguments.interactive.session(&mut setup, manners);
    let mut screen = Screen::new(&setup, arguments.quiet);
    let finished = session.run(&mut setup, &mut [&mut screen])?;
    screen.tell(&finished);
    Ok(session.code(&finished))
}
