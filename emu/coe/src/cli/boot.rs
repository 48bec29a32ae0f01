//! `coe boot`: any PVH kernel.

use std::process::ExitCode;

use super::args::BootArguments;
use super::live::{self, Console, Progress, Summary};
use super::run::memory_size;
use crate::Error;
use crate::images::{Chooser, Setup};
use crate::run;
use crate::scenario::{Hardware, program};

pub(super) fn main(arguments: &BootArguments) -> Result<ExitCode, Error> {
    let setup = Setup {
        title: arguments.kernel.display().to_string(),
        scenario: String::new(),
        hardware: Hardware {
            memory: memory_size(&arguments.memory)?,
            ..Hardware::default()
        },
        kernel: program::read(&arguments.kernel)?,
        initrd: arguments.initrd.as_deref().map(program::read).transpose()?,
        cmdline: arguments.append.clone(),
        disk: None,
        inputs: Vec::new(),
        chooser: Chooser::Defaults,
        limit: arguments.cycles.unwrap_or(u64::MAX),
    };
    let mut console = Console::default();
    let mut progress = Progress::beside_console(&setup);
    let mut summary = Summary::default();
    let finished = run::run(&setup, &mut [&mut console, &mut progress, &mut summary])?;
    progress.done();
    live::tell(&finished, &summary, arguments.quiet);
    Ok(ExitCode::from(finished.ending.code()))
}
