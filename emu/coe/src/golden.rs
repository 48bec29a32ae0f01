//! Goldens: what a scenario did when a person last looked at it, as small text
//! beside the scenario.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use machine::{Event, Payload};

use crate::events::Teller;
use crate::events::order::Order;
use crate::run::{Finished, Watcher};
use crate::scenario::Level;
use crate::trace;

/// Lines of context around a difference.
const CONTEXT: usize = 3;

/// The golden of this scenario's file: `NAME.golden` beside `NAME.toml`.
#[must_use]
pub fn path(scenario: &Path) -> PathBuf {
    scenario.with_extension("golden")
}

/// Collects a run's golden while it runs.
#[derive(Clone, Debug)]
pub struct Transcript {
    level: Level,
    teller: Teller,
    order: Order,
    console: Vec<u8>,
    /// The lines of the events, with their cycles.
    events: Vec<(u64, String)>,
}

impl Transcript {
    /// Starts with nothing.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Transcript {
            level,
            teller: Teller::default(),
            order: Order::default(),
            console: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The golden's text.
    #[must_use]
    pub fn text(&self, finished: &Finished, kernel: &[u8]) -> String {
        let mut text = format!(
            "# What the scenario did; `coe test --bless` writes this file again.\nlevel {}\n",
            self.level.name()
        );
        if self.level == Level::Exact {
            let _ = writeln!(text, "kernel {}", trace::hash(kernel));
            let _ = writeln!(text, "cost model {}", machine::cost::VERSION);
        }
        let _ = writeln!(text, "ending {}", finished.ending);
        text.push_str("console\n");
        for line in console_lines(&self.console) {
            let _ = writeln!(text, "| {line}");
        }
        if self.level != Level::Outcome {
            text.push_str("events\n");
            self.events_into(&mut text);
        }
        if self.level == Level::Exact {
            let _ = writeln!(
                text,
                "end at cycle {}\ndigest {}",
                finished.cycle, finished.digest
            );
        }
        text
    }

    fn events_into(&self, text: &mut String) {
        let mut last = 0;
        for (cycle, line) in &self.events {
            let _ = match self.level {
                Level::Exact => writeln!(text, "+{} {line}", cycle - last),
                _ => writeln!(text, "{line}"),
            };
            last = *cycle;
        }
    }
}

impl Watcher for Transcript {
    fn event(&mut self, event: &Event) {
        match &event.payload {
            Payload::Console(byte) => self.console.push(*byte),
            Payload::Kernel { .. } if self.level != Level::Outcome => {
                let line = self.teller.tell(event);
                if let Some(line) = self.order.line(&line) {
                    self.events.push((event.at.cycle, line));
                }
            }
            _ => {}
        }
    }
}

/// The console's lines without `\r`; the last one also if it does not end.
#[must_use]
pub fn console_lines(console: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(console).replace('\r', "");
    text.lines().map(str::to_owned).collect()
}

/// What differs between a golden and a run, in words; nothing if they are equal.
#[must_use]
pub fn difference(golden: &str, now: &str) -> Option<String> {
    if golden == now {
        return None;
    }
    let (golden, now): (Vec<_>, Vec<_>) = (golden.lines().collect(), now.lines().collect());
    let at = golden.iter().zip(&now).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    if let Some(kernels) = kernels_differ(&golden, &now) {
        text.push_str(&kernels);
    }
    let _ = writeln!(text, "first difference in line {}:", at + 1);
    for line in &golden[at.saturating_sub(CONTEXT)..at] {
        let _ = writeln!(text, "    {line}");
    }
    // As many lines as differ in the same place, but not a whole file of them.
    let differing = (at..golden.len().max(now.len()))
        .take_while(|at| golden.get(*at) != now.get(*at))
        .count()
        .min(CONTEXT);
    for (lines, sign) in [(&golden, '-'), (&now, '+')] {
        for line in lines.iter().skip(at).take(differing) {
            let _ = writeln!(text, "  {sign} {line}");
        }
        if lines.len() <= at {
            let _ = writeln!(text, "  {sign} (nothing more)");
        }
    }
    text.push_str(&phases(&golden, &now));
    Some(text)
}

/// An exact golden belongs to one kernel: say so before anything else.
fn kernels_differ(golden: &[&str], now: &[&str]) -> Option<String> {
    let kernel = |lines: &[&str]| {
        lines
            .iter()
            .find_map(|line| line.strip_prefix("kernel "))
            .map(str::to_owned)
    };
    let (old, new) = (kernel(golden)?, kernel(now)?);
    (old != new).then(|| {
        "the kernel is another one than the golden's (an exact golden holds for one kernel)\n"
            .to_owned()
    })
}

/// Where the events are the same and only their cycles differ: which phases
/// gained or lost how many.
fn phases(golden: &[&str], now: &[&str]) -> String {
    fn timed<'a>(line: &&'a str) -> Option<(i128, &'a str)> {
        let (cycles, event) = line.strip_prefix('+')?.split_once(' ')?;
        Some((cycles.parse().ok()?, event))
    }
    let old: Vec<_> = golden.iter().filter_map(timed).collect();
    let new: Vec<_> = now.iter().filter_map(timed).collect();
    let same = old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| a.1 == b.1);
    if !same || old.is_empty() {
        return String::new();
    }
    let changed: Vec<_> = old
        .iter()
        .zip(&new)
        .filter(|(a, b)| a.0 != b.0)
        .map(|(a, b)| (b.0 - a.0, a.1))
        .collect();
    let total: i128 = changed.iter().map(|(cycles, _)| cycles).sum();
    let mut text = format!(
        "the events are the same; {} phases changed, together by {total:+} cycles\n",
        changed.len()
    );
    for (cycles, event) in changed.iter().take(10) {
        let _ = writeln!(text, "  {cycles:+} cycles before {event}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::boot;
    use crate::run::Ending;
    use machine::Position;

    fn transcript(level: Level) -> String {
        let mut transcript = Transcript::new(level);
        for event in boot() {
            transcript.event(&event);
        }
        for byte in *b"one\r\ntwo" {
            transcript.event(&Event {
                at: Position::default(),
                payload: Payload::Console(byte),
            });
        }
        let finished = Finished {
            ending: Ending::Status(0),
            cycle: 9,
            retired: 8,
            digest: "d1".to_owned(),
        };
        transcript.text(&finished, b"kernel")
    }

    #[test]
    fn each_level_holds_what_it_says() {
        let outcome = transcript(Level::Outcome);
        assert!(outcome.ends_with("level outcome\nending exit 0\nconsole\n| one\n| two\n"));
        let order = transcript(Level::Order);
        assert!(order.ends_with(
            "events\nsched_process_fork parent=init child=main flags=SIGCHLD\nsched_process_exec task=main filename=/bin/p\n"
        ));
        let exact = transcript(Level::Exact);
        assert!(exact.contains("\n+2 sched_process_fork"));
        assert!(exact.contains("\n+2 sched_process_exec task=main "));
        assert!(exact.ends_with("end at cycle 9\ndigest d1\n"));
    }

    #[test]
    fn a_difference_has_its_line_and_context() {
        let golden = transcript(Level::Order);
        assert_eq!(difference(&golden, &golden), None);
        let now = golden.replace("| two", "| three");
        let text = difference(&golden, &now).unwrap();
        assert!(text.starts_with("first difference in line 6:\n    ending exit 0\n    console\n    | one\n  - | two\n"), "{text}");
        assert!(text.contains("  + | three\n"));
        let shorter: String = golden
            .lines()
            .take(5)
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(
            difference(&golden, &shorter)
                .unwrap()
                .contains("+ (nothing more)")
        );
    }

    #[test]
    fn an_exact_difference_says_what_each_phase_gained() {
        let golden = transcript(Level::Exact);
        let now = golden
            .replace("+2 sched_process_exec", "+302 sched_process_exec")
            .replace("kernel ", "kernel f");
        let text = difference(&golden, &now).unwrap();
        assert!(text.contains("the kernel is another one"));
        assert!(text.contains("1 phases changed, together by +300 cycles\n  +300 cycles before sched_process_exec task=main filename=/bin/p"), "{text}");
    }
}
