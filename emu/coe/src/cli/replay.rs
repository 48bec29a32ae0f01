//! `coe replay`: a trace once more, held against itself.

use std::process::ExitCode;

use super::args::ReplayArguments;
use super::live::{self, Console, Progress, grouped};
use crate::Error;
use crate::exit::Code;
use crate::replay::{self, Replayed};
use crate::trace::Trace;

pub(super) fn main(arguments: &ReplayArguments) -> Result<ExitCode, Error> {
    let trace = Trace::open(&arguments.trace)?;
    let mut console = Console::default();
    let mut progress = Progress::beside_console(&trace.setup());
    let replayed = replay::replay(&trace, arguments.to, &mut [&mut console, &mut progress]);
    progress.done();
    let (finished, how) = match replayed? {
        Replayed::Whole(finished) => {
            let how = format!("replayed to the end: {}", finished.ending);
            (finished, how)
        }
        Replayed::Until(finished) => (finished, "replayed as far as asked".to_owned()),
    };
    if !arguments.quiet {
        live::say(&format!(
            "coe: {how}; everything as recorded up to cycle {}, {} instructions",
            grouped(finished.cycle),
            grouped(finished.retired)
        ));
        live::say(&format!("coe: digest {}", finished.digest));
    }
    Ok(Code::Success.into())
}
