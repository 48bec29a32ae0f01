//! `coe man`: the manual pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_mangen::Man;

use super::live;
use super::schema::put;
use crate::Error;
use crate::exit::Code;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write the page of coe and one of each command into this folder
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

pub(super) fn main(arguments: &Arguments, command: Command) -> Result<ExitCode, Error> {
    let Some(out) = &arguments.out else {
        let written = page(command).map_err(|source| Error::write(Path::new("stdout"), source));
        return put(written?.as_bytes());
    };
    let pages = write(command, out).map_err(|source| Error::write(out, source))?;
    live::say(&format!("coe: wrote {pages} pages into {}", out.display()));
    Ok(Code::Success.into())
}

/// `coe.1`, `coe-run.1` and so on.
fn write(mut command: Command, out: &Path) -> io::Result<usize> {
    fs::create_dir_all(out)?;
    // Commands of commands get their whole names: `coe run`, not `run`.
    command.build();
    let name = command.get_name().to_owned();
    let commands: Vec<Command> = command.get_subcommands().cloned().collect();
    let mut pages = 1;
    fs::write(out.join(format!("{name}.1")), page(command)?)?;
    for command in commands {
        if command.get_name() == "help" {
            continue;
        }
        let name = format!("{name}-{}", command.get_name());
        let file = out.join(format!("{name}.1"));
        fs::write(file, page(command.display_name(name))?)?;
        pages += 1;
    }
    Ok(pages)
}

/// One page, with the sections' names that manual pages have.
fn page(command: Command) -> io::Result<String> {
    let mut page = Vec::new();
    let version = concat!("coe ", env!("CARGO_PKG_VERSION"));
    Man::new(command).source(version).render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    Ok(page
        .replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n")
        .replace(".SH EXTRA\nExit codes:\n", ".SH \"EXIT STATUS\"\n"))
}
