//! `coe images`: the guest for another computer.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::live;
use super::target::{self, GuestArguments, Target};
use crate::Error;
use crate::exit::Code;
use crate::images::export;

/// What the images run unless something is named.
const DEFAULT_PROGRAM: &str = "cow-fork";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) guests: GuestArguments,
    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) target: OptionalTarget,
}

/// What the images run.
#[derive(Debug, Args)]
pub(super) struct OptionalTarget {
    /// A scenario or a program; without one the guest's `cow-fork`
    #[arg(value_name = "SCENARIO|PROGRAM")]
    pub(super) run: Option<String>,
    /// The program's arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub(super) args: Vec<String>,
}

pub(super) fn main(arguments: Arguments) -> Result<ExitCode, Error> {
    let target = Target {
        guests: arguments.guests,
        with: Vec::new(),
        env: Vec::new(),
        stdio: None,
        memory: None,
        cpu: None,
        seed: None,
        policy: None,
        slice: None,
        schedule: None,
        cycles: None,
        run: arguments
            .target
            .run
            .unwrap_or_else(|| DEFAULT_PROGRAM.to_owned()),
        args: arguments.target.args,
    };
    export::write(&target::setup(&target)?, &arguments.out)?;
    live::say(&format!(
        "coe: wrote the images; start them with {}",
        arguments.out.join("run-qemu.sh").display()
    ));
    Ok(Code::Success.into())
}
