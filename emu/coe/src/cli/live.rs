//! What a person sees while a machine runs, and at its end.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::Instant;

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
        // As above: nobody has to read it.
        let _ = self.out.flush();
    }

    fn lull(&mut self) {
        // As above.
        let _ = self.out.flush();
    }
}

/// Shows on a terminal how far the machine is; nothing anywhere else.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    limit: u64,
    start: Instant,
}

impl Progress {
    /// A bar where the console does not go to the terminal as well, and nobody
    /// types there.
    pub(super) fn beside_console(limit: u64, live: bool) -> Self {
        let apart = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Progress {
            bar: (apart && !live).then(bar),
            limit,
            start: Instant::now(),
        }
    }

    /// Takes the bar away.
    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// How much time of the guest's has passed, and how fast the machine is.
    pub(super) fn pace(&self, cycle: u64, retired: u64) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let mips = retired as f64 / 1e6 / seconds.max(1e-6);
        format!("{} of guest time, {mips:.1} MIPS", duration(cycle))
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar
}

impl Watcher for Progress {
    fn pause(&mut self, machine: &Machine) {
        if let Some(bar) = &self.bar {
            let mut text = self.pace(machine.cycle(), machine.retired());
            if self.limit != u64::MAX {
                text.push_str(&format!(", at most {}", duration(self.limit)));
            }
            bar.set_message(text);
            bar.tick();
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

/// Cycles, which are nanoseconds, in a unit that fits them.
fn duration(cycles: u64) -> String {
    let (unit, name) = match cycles {
        0..1_000_000 => (1e3, "us"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{:.1} {name}", cycles as f64 / unit)
}

/// How fast it went, for people: what a script reads never varies.
pub(super) fn tell_pace(progress: &Progress, finished: &Finished, quiet: bool) {
    if !quiet && io::stderr().is_terminal() {
        let pace = progress.pace(finished.cycle, finished.retired);
        say(&format!("coe: {pace}"));
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
