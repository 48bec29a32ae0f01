//! Goldens: what a scenario did when a person last looked at it, as small text
//! beside the scenario.

mod difference;
mod phases;
mod profile;
mod text;

pub use difference::difference;
pub use profile::{Costs, Profile};

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use machine::{Event, Machine, Payload};

use crate::events::Teller;
use crate::events::order::Order;
use crate::run::{Finished, Watcher};
use crate::scenario::Level;
use crate::symbols::Symbols;
use crate::trace;

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
    events: Vec<Told>,
    /// Counts what the phases cost, if that is wanted.
    profile: Option<Profile>,
}

/// An event of the golden, and the phase that it ends.
#[derive(Clone, Debug)]
struct Told {
    cycle: u64,
    line: String,
    costs: Costs,
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
            profile: None,
        }
    }

    /// The same for a run on this kernel. At level `exact` it has the machine
    /// go one instruction at a time and says of each phase which of the kernel's
    /// functions its cycles went to.
    #[must_use]
    pub fn profiled(level: Level, kernel: &[u8]) -> Self {
        let mut transcript = Transcript::new(level);
        if level == Level::Exact {
            transcript.profile = Some(Profile::new(Symbols::from_elf(kernel)));
        }
        transcript
    }

    /// The golden's text.
    #[must_use]
    pub fn text(&mut self, finished: &Finished, kernel: &[u8]) -> String {
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
            let _ = writeln!(text, "end at cycle {}", finished.cycle);
            let rest = self.cut(finished.cycle);
            costs_into(&mut text, &rest);
            let _ = writeln!(text, "digest {}", finished.digest);
        }
        text
    }

    fn events_into(&self, text: &mut String) {
        let mut last = 0;
        for told in &self.events {
            let line = &told.line;
            let _ = match self.level {
                Level::Exact => writeln!(text, "+{} {line}", told.cycle - last),
                _ => writeln!(text, "{line}"),
            };
            costs_into(text, &told.costs);
            last = told.cycle;
        }
    }

    /// What has been counted since the last phase ended.
    fn cut(&mut self, cycle: u64) -> Costs {
        self.profile
            .as_mut()
            .map_or_else(Costs::new, |profile| profile.cut(cycle))
    }
}

/// A line for each function that a phase's cycles went to.
fn costs_into(text: &mut String, costs: &Costs) {
    for (name, cycles) in costs {
        let _ = writeln!(text, "  {cycles} {name}");
    }
}

impl Watcher for Transcript {
    fn event(&mut self, event: &Event) {
        match &event.payload {
            Payload::Console(byte) => self.console.push(*byte),
            Payload::Kernel { .. } if self.level != Level::Outcome => {
                let line = self.teller.tell(event);
                if let Some(line) = self.order.line(&line) {
                    let cycle = event.at.cycle;
                    let costs = self.cut(cycle);
                    self.events.push(Told { cycle, line, costs });
                }
            }
            _ => {}
        }
    }

    fn steps(&self) -> bool {
        self.profile.is_some()
    }

    fn step(&mut self, machine: &Machine) {
        if let Some(profile) = &mut self.profile {
            profile.step(machine);
        }
    }
}

/// The console's lines without `\r`; the last one also if it does not end.
#[must_use]
pub fn console_lines(console: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(console).replace('\r', "");
    text.lines().map(str::to_owned).collect()
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
            .replace("end at cycle 9", "end at cycle 309")
            .replace("kernel ", "kernel f");
        let text = difference(&golden, &now).unwrap();
        assert!(text.contains("the kernel is another one"));
        assert!(text.contains("1 phases changed, together by +300 cycles\n  +300 cycles before sched_process_exec task=main filename=/bin/p"), "{text}");
    }
}
