//! `coe run`: a scenario or a program, with its console.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use machine::Machine;
use machine::devices::disk::Contents;

use clap::Args;

use super::engine::EngineArguments;
use super::interactive::{Interactive, Manners};
use super::screen::Screen;
use super::target::{self, Target};
use crate::Error;
use crate::run::Watcher;
use crate::scenario::Stdio;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Write what is on the disk at the end to this file
    #[arg(long, value_name = "FILE")]
    pub(super) disk_out: Option<PathBuf>,
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
    let mut screen = Screen::new(&setup, arguments.quiet);
    let mut disk = DiskOut::default();
    let finished = session.run(&mut setup, &mut [&mut screen, &mut disk])?;
    if let Some(path) = &arguments.disk_out {
        disk.write(path)?;
    }
    screen.tell(&finished);
    Ok(session.code(&finished))
}

/// Keeps what is on the disk when the machine stands still; the last time is
/// its end.
#[derive(Default)]
struct DiskOut(Option<Contents>);

impl Watcher for DiskOut {
    fn pause(&mut self, machine: &Machine) {
        self.0 = machine.disk().cloned();
    }
}

impl DiskOut {
    fn write(&self, path: &Path) -> Result<(), Error> {
        let Some(contents) = &self.0 else {
            return Err(Error::Usage {
                message: "--disk-out cannot be given: the machine has no disk".to_owned(),
                hint: "add a section [disk] to the scenario".to_owned(),
            });
        };
        std::fs::write(path, contents.to_bytes()).map_err(|source| Error::write(path, source))
    }
}
