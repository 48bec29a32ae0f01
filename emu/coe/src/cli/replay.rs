//! `coe replay`: a trace once more, held against itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::engine::EngineArguments;
use super::live::{self, Console, Progress, grouped};
use crate::Error;
use crate::exit::Code;
use crate::replay;
use crate::run::Watcher;
use crate::trace::Trace;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The trace
    pub(super) trace: PathBuf,
    /// Stop at this cycle and say where the machine is; starts from the last
    /// snapshot before it, if the trace has one
    #[arg(long, value_name = "CYCLE")]
    pub(super) to: Option<u64>,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let trace = Trace::open(&arguments.trace)?;
    let mut console = Console::default();
    let (limit, live) = (trace.header.limit, trace.header.live);
    let mut progress = Progress::beside_console(limit, live);
    let engine = arguments.engine.engine;
    let watchers: &mut [&mut dyn Watcher] = &mut [&mut console, &mut progress];
    let replayed = replay::replay_on(engine, &trace, arguments.to, watchers);
    progress.done();
    let replayed = replayed?;
    let finished = &replayed.finished;
    if !arguments.quiet {
        let how = match replayed.whole {
            true => format!("replayed to the end: {}", finished.ending),
            false => "replayed as far as asked".to_owned(),
        };
        let from = match replayed.from {
            0 => String::new(),
            cycle => format!("from the snapshot at cycle {} ", grouped(cycle)),
        };
        live::say(&format!(
            "coe: {how}; everything as recorded {from}up to cycle {}, {} instructions",
            grouped(finished.cycle),
            grouped(finished.retired)
        ));
        live::say(&format!("coe: digest {}", finished.digest));
    }
    // From a snapshot on, the figures are not those of this run alone.
    live::tell_pace(&progress, finished, arguments.quiet || replayed.from > 0);
    Ok(Code::Success.into())
}
