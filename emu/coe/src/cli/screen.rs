//! What a run of a person's shows: the guest's console as it comes, how far the
//! machine is, and at the end what became of it.

use machine::{Event, Machine};

use super::live::{self, Console, Fitting, Progress, Summary};
use crate::images::Setup;
use crate::run::{Finished, Watcher};

/// Everything that is shown of one run.
#[derive(Debug)]
pub(super) struct Screen {
    console: Console,
    progress: Progress,
    summary: Summary,
    fitting: Fitting,
    quiet: bool,
}

impl Screen {
    /// For this setup; quiet if no summary is wanted.
    pub(super) fn new(setup: &Setup, quiet: bool) -> Self {
        Screen {
            console: Console::default(),
            progress: Progress::beside_console(setup.limit, setup.live),
            summary: Summary::default(),
            fitting: Fitting::new(setup),
            quiet,
        }
    }

    /// To be called at the end, when all that can still fail has been done.
    pub(super) fn tell(&self, finished: &Finished) {
        self.progress.done();
        self.fitting.tell();
        live::tell(finished, &self.summary, self.quiet);
        live::tell_pace(&self.progress, finished, self.quiet);
    }
}

impl Watcher for Screen {
    fn event(&mut self, event: &Event) {
        self.console.event(event);
        self.summary.event(event);
        self.fitting.event(event);
    }

    fn pause(&mut self, machine: &Machine) {
        self.console.pause(machine);
        self.progress.pause(machine);
    }

    fn lull(&mut self) {
        self.console.lull();
    }
}
