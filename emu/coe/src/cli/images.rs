//! `coe images`: the guest for another computer.

use std::process::ExitCode;

use super::args::{ImagesArguments, Target};
use super::live;
use crate::Error;
use crate::exit::Code;
use crate::images::export;

/// What the images run unless something is named.
const DEFAULT_PROGRAM: &str = "cow-fork";

pub(super) fn main(arguments: ImagesArguments) -> Result<ExitCode, Error> {
    let target = Target {
        guests: arguments.guests,
        with: Vec::new(),
        env: Vec::new(),
        stdio: None,
        memory: None,
        seed: None,
        policy: None,
        slice: None,
        cycles: None,
        run: arguments
            .target
            .run
            .unwrap_or_else(|| DEFAULT_PROGRAM.to_owned()),
        args: arguments.target.args,
    };
    export::write(&super::run::setup(&target)?, &arguments.out)?;
    live::say(&format!(
        "coe: wrote the images; start them with {}",
        arguments.out.join("run-qemu.sh").display()
    ));
    Ok(Code::Success.into())
}
