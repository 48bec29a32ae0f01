//! What a person sees while a machine runs, and at its end.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use indicatif::{ProgressBar, ProgressStyle};
use machine::{Event, Machine, Payload};

use crate::events::counters::Tally;
use crate::images::Setup;
use crate::run::{Finished, Watcher};
use crate::schedule::follow::Follower;

/// Says something on stderr. If nobody listens any more there is still the exit code.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A line on stdout. If nobody reads it any more there is still the exit code.
pub(super) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Copies the guest's console to stdout.
#[derive(Debug)]
pub(super) struct Console {
    out: BufWriter<Stdout>,
}

impl Default for Console {
    fn default() -> Self {
        Console {
            out: BufWriter::new(io::stdout()),
        }
    }
}

impl Watcher for Console {
    fn event(&mut self, event: &Event) {
        if let Payload::Console(byte) = event.payload {
            // If nobody reads stdout any more, the run still has its exit code.
            let _ = self.out.write_all(&[byte]);
            if byte == b'\n' {
                let _ = self.out.flush();
            }
        }
    }

    fn pause(&mut self, _machine: &Machine) {
        let _ = self.out.flush();
    }

    fn lull(&mut self) {
        let _ = self.out.flush();
    }
}

/// Shows on a terminal how far the machine is; nothing anywhere else.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar where the console does not go to the terminal as well.
    pub(super) fn beside_console(setup: &Setup) -> Self {
        if io::stdout().is_terminal() {
            Progress { bar: None }
        } else {
            Progress::new(setup.limit)
        }
    }

    fn new(limit: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Progress { bar: None };
        }
        let bar = if limit == u64::MAX {
            ProgressBar::no_length()
        } else {
            ProgressBar::new(limit)
        };
        let style =
            ProgressStyle::with_template("{spinner} cycle {human_pos} ({per_sec}) {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Progress { bar: Some(bar) }
    }

    /// Takes the bar away.
    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for Progress {
    fn pause(&mut self, machine: &Machine) {
        if let Some(bar) = &self.bar {
            bar.set_position(machine.cycle());
        }
    }
}

/// Says where a run's schedule no longer fits.
#[derive(Debug)]
pub(super) struct Fitting {
    follower: Option<Follower>,
}

impl Fitting {
    pub(super) fn new(setup: &Setup) -> Self {
        Fitting {
            follower: setup.schedule().map(Follower::new),
        }
    }

    /// To be called at the end.
    pub(super) fn tell(&self) {
        let misfit = self.follower.as_ref().and_then(|f| f.misfit(true));
        let Some(misfit) = misfit else { return };
        say(&format!("coe: the schedule does not fit: {misfit}"));
        if misfit.cycle.is_some() {
            say("     the run went on under the scenario's policy and seed");
        }
    }
}

impl Watcher for Fitting {
    fn event(&mut self, event: &Event) {
        if let Some(follower) = &mut self.follower {
            follower.see(event);
        }
    }
}

/// Counts what the summary shows.
#[derive(Debug, Default)]
pub(super) struct Summary {
    tally: Tally,
}

impl Watcher for Summary {
    fn event(&mut self, event: &Event) {
        self.tally.count(event);
    }
}

/// The end of a run, on stderr. What is not the guest's own ending is told even
/// if the run was to be quiet.
pub(super) fn tell(finished: &Finished, summary: &Summary, quiet: bool) {
    let ending = &finished.ending;
    if !ending.is_guests() {
        say(&format!("coe: {ending}"));
        if let Some(advice) = ending.advice() {
            say(&format!("     {advice}"));
        }
    }
    if quiet {
        return;
    }
    let count = |name| grouped(summary.tally.get(name));
    say(&format!(
        "coe: {ending}; {} cycles, {} instructions, {} switches, {} forks, {} faults, {} cow copies",
        grouped(finished.cycle),
        grouped(finished.retired),
        count("switches"),
        count("forks"),
        count("faults"),
        count("cow_copies"),
    ));
    say(&format!("coe: digest {}", finished.digest));
}

/// `1234567` as `1_234_567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1234), "1_234");
        assert_eq!(grouped(1_234_567), "1_234_567");
    }
}
