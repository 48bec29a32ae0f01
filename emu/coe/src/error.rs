//! Everything that can go wrong on the host's side: what, where, and what to do.

use std::path::{Path, PathBuf};

use machine::{InputError, LoadError};
use miette::Diagnostic;
use thiserror::Error;

use crate::exit::Code;
use crate::mistake::Mistake;
use crate::replay::ReplayError;
use crate::scenario::program::ProgramError;
use crate::trace::TraceError;

/// An error of the host: the guest has nothing to do with it.
#[derive(Debug, Error, Diagnostic)]
pub enum Error {
    /// A mistake in a scenario or a schedule.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Mistake(#[from] Box<Mistake>),
    /// A program or a file that is not there or cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Program(#[from] ProgramError),
    /// A trace that cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Trace(#[from] TraceError),
    /// A replay that cannot go on, or went another way.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Replay(#[from] ReplayError),
    /// The machine cannot start with these images.
    #[error("the machine cannot start: {0}")]
    #[diagnostic(help(
        "the kernel has to be a PVH ELF for x86-64, and all images have to fit into the machine's memory"
    ))]
    Load(#[from] LoadError),
    /// An input that the machine does not take.
    #[error("the machine does not take an input: {0}")]
    #[diagnostic(help("change the times of the inputs in the scenario"))]
    Input(#[from] InputError),
    /// A text file that is not text.
    #[error("{} is not text (UTF-8)", path.display())]
    #[diagnostic(help("a scenario is a TOML file; programs are run with `coe run ./PROGRAM`"))]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The host does not let us write.
    #[error("cannot write {}: {source}", path.display())]
    #[diagnostic(help("look at the folder's permissions and at the space on the disk"))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Live input cannot be read.
    #[error("cannot read standard input: {source}")]
    #[diagnostic(help("run without -i, or give it a terminal, a pipe or a file to read from"))]
    Stdin {
        /// Why.
        source: std::io::Error,
    },
    /// A size of memory that the machine cannot have.
    #[error("--memory cannot be {given:?}: {why}")]
    #[diagnostic(help("give a whole number of MiB or GiB from 16MiB to 16GiB, as in 64MiB"))]
    Memory {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// The command line does not make sense.
    #[error("{message}")]
    #[diagnostic(help("{hint}"))]
    Usage {
        /// What is wrong.
        message: String,
        /// What to type instead.
        hint: String,
    },
}

impl Error {
    /// A failure to write this file.
    #[must_use]
    pub fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// The exit code that it ends `coe` with.
    #[must_use]
    pub fn exit_code(&self) -> Code {
        match self {
            Error::Mistake(error) => error.exit_code(),
            Error::Program(error) => error.exit_code(),
            Error::Trace(error) => error.exit_code(),
            Error::Replay(error) => error.exit_code(),
            Error::Load(_) | Error::Input(_) | Error::NotText { .. } | Error::Memory { .. } => {
                Code::BadInput
            }
            Error::Write { .. } | Error::Stdin { .. } | Error::Usage { .. } => Code::Own,
        }
    }
}
