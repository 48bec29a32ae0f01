//! `coe completions`: what a shell needs to complete coe's command line.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::schema::put;
use crate::Error;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    pub(super) shell: Shell,
}

pub(super) fn main(arguments: &Arguments, mut command: Command) -> Result<ExitCode, Error> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    put(&script)
}
