//! `coe record`: a run that leaves a trace.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::engine::EngineArguments;
use super::interactive::{Interactive, Manners};
use super::screen::Screen;
use super::target::{self, Target};
use crate::Error;
use crate::scenario::Stdio;
use crate::trace::Writer;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The trace to write
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Put a snapshot of the machine into the trace every so many cycles, from
    /// which `coe replay --to` can start
    #[arg(long, value_name = "CYCLES")]
    pub(super) snapshot_every: Option<NonZeroU64>,
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    #[command(flatten)]
    pub(super) interactive: Interactive,
    #[command(flatten)]
    pub(super) target: Target,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let (mut setup, stdio) = target::load(&arguments.target)?;
    setup.engine = arguments.engine.engine;
    let manners = Manners {
        lines: stdio == Stdio::Pipe,
        quiet: arguments.quiet,
    };
    let session = arguments.interactive.session(&mut setup, manners);
    let mut writer = Writer::create(&arguments.output, &setup)?;
    if let Some(every) = arguments.snapshot_every {
        writer = writer.with_snapshots(every);
    }
    let mut screen = Screen::new(&setup, arguments.quiet);
    let finished = session.run(&mut setup, &mut [&mut writer, &mut screen])?;
    writer.finish(&finished)?;
    screen.tell(&finished);
    Ok(session.code(&finished))
}
