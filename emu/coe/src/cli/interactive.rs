//! `-i`: what is typed at coe is typed at the guest.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Args;

use super::live;
use crate::Error;
use crate::images::Setup;
use crate::input::{Pipe, Silence, Terminal, die_if_told};
use crate::run::{self, Finished, Watcher};

#[derive(Debug, Args)]
pub(super) struct Interactive {
    /// Type at the guest: keys from a terminal as they come (Ctrl-] leaves),
    /// lines from a pipe or a file whenever the guest waits
    #[arg(short, long)]
    pub(super) interactive: bool,
}

/// How what is typed gets to the guest.
pub(super) enum Session {
    /// Nothing is.
    Silent,
    /// By a person, with these manners.
    Terminal(Manners),
    /// From a pipe or a file.
    Pipe,
}

/// How a terminal is to be treated.
#[derive(Clone, Copy)]
pub(super) struct Manners {
    /// The guest ends lines by a newline alone.
    pub(super) lines: bool,
    /// Nothing is said about how to leave.
    pub(super) quiet: bool,
}

impl Interactive {
    /// What was asked for; the setup says from now on that it is typed at.
    pub(super) fn session(&self, setup: &mut Setup, manners: Manners) -> Session {
        setup.live = self.interactive;
        if !self.interactive {
            Session::Silent
        } else if io::stdin().is_terminal() {
            Session::Terminal(manners)
        } else {
            Session::Pipe
        }
    }
}

impl Session {
    /// Runs the machine of this setup to its end; the terminal is ours again then. The setup
    /// loses its images once they are loaded.
    pub(super) fn run(
        &self,
        setup: &mut Setup,
        watchers: &mut [&mut dyn Watcher],
    ) -> Result<Finished, Error> {
        let machine = run::boot(setup)?;
        setup.drop_images();
        match self {
            Session::Silent => run::run_booted(machine, setup, &mut Silence, watchers),
            Session::Pipe => {
                let mut pipe = Pipe::new(io::stdin().lock());
                run::run_booted(machine, setup, &mut pipe, watchers)
            }
            Session::Terminal(manners) => {
                if !manners.quiet {
                    live::say("coe: what you type goes to the guest; Ctrl-] leaves");
                }
                let mut terminal = Terminal::open(manners.lines)?;
                run::run_booted(machine, setup, &mut terminal, watchers)
            }
        }
    }

    /// What coe exits with, when all else is done. A signal that ended the
    /// session ends coe here.
    pub(super) fn code(&self, finished: &Finished) -> ExitCode {
        if matches!(self, Session::Terminal(_)) {
            die_if_told();
        }
        ExitCode::from(finished.ending.code())
    }
}
