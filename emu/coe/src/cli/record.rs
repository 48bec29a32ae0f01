//! `coe record`: a run that leaves a trace.

use std::process::ExitCode;

use super::args::RecordArguments;
use super::live::{self, Console, Progress, Summary};
use crate::Error;
use crate::run;
use crate::trace::Writer;

pub(super) fn main(arguments: &RecordArguments) -> Result<ExitCode, Error> {
    let setup = super::run::setup(&arguments.target)?;
    let mut writer = Writer::create(&arguments.output, &setup)?;
    let mut console = Console::default();
    let mut progress = Progress::beside_console(&setup);
    let mut summary = Summary::default();
    let watchers: &mut [&mut dyn run::Watcher] =
        &mut [&mut writer, &mut console, &mut progress, &mut summary];
    let finished = run::run(&setup, watchers)?;
    progress.done();
    writer.finish(&finished)?;
    live::tell(&finished, &summary, arguments.quiet);
    Ok(ExitCode::from(finished.ending.code()))
}
