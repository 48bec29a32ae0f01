//! Holds a run against what its scenario expects.

use std::sync::Arc;

use abi::event::EventId;
use machine::{Event, Payload};

use crate::events::Teller;
use crate::events::counters::Tally;
use crate::events::pattern::Search;
use crate::golden::console_lines;
use crate::run::{self, Finished, Watcher};
use crate::scenario::{Ending, Expect};
use crate::schedule::Schedule;
use crate::schedule::follow::Follower;

/// Collects what the expectations ask for while a machine runs.
#[derive(Clone, Debug)]
pub struct Checker {
    expect: Expect,
    tally: Tally,
    search: Search,
    teller: Teller,
    console: Vec<u8>,
    leaks: Vec<String>,
    follower: Option<Follower>,
}

impl Checker {
    /// Starts with nothing seen.
    #[must_use]
    pub fn new(expect: &Expect) -> Self {
        Checker::following(expect, None)
    }

    /// The same for a run that follows a schedule: it has to fit.
    #[must_use]
    pub fn following(expect: &Expect, schedule: Option<Arc<Schedule>>) -> Self {
        Checker {
            follower: schedule.map(Follower::new),
            expect: expect.clone(),
            tally: Tally::default(),
            search: Search::new(&expect.order),
            teller: Teller::default(),
            console: Vec::new(),
            leaks: Vec::new(),
        }
    }

    /// What is not as expected, one text each.
    #[must_use]
    pub fn failures(&self, finished: &Finished) -> Vec<String> {
        let mut failures = Vec::new();
        failures.extend(self.ending(finished));
        failures.extend(self.stdout());
        failures.extend(self.leaks.iter().cloned());
        let misfit = self.follower.as_ref().and_then(|f| f.misfit(true));
        failures.extend(misfit.map(|misfit| misfit.to_string()));
        for (name, bound) in &self.expect.counters {
            let count = self.tally.get(name);
            if !bound.holds(count) {
                failures.push(format!("counter {name} is {count}, expected {bound}"));
            }
        }
        if let Some((at, pattern)) = self.search.missing() {
            let text = pattern.text();
            failures.push(match at {
                0 => format!("order: no event `{text}`"),
                at => format!("order: no event `{text}` after the first {at} of the list"),
            });
        }
        failures
    }

    fn ending(&self, finished: &Finished) -> Option<String> {
        let expected = match self.expect.ending.unwrap_or(Ending::Exit(0)) {
            Ending::Exit(status) => run::Ending::Status(status),
            Ending::Signal(signal) => run::Ending::Signal(signal),
        };
        let advice = finished
            .ending
            .advice()
            .map(|advice| format!(" ({advice})"))
            .unwrap_or_default();
        (finished.ending != expected).then(|| {
            format!(
                "ended with: {}, expected: {expected}{advice}",
                finished.ending
            )
        })
    }

    fn stdout(&self) -> Option<String> {
        let expected = self.expect.stdout.as_ref()?;
        let found = console_lines(&self.console);
        if *expected == found {
            return None;
        }
        let at = expected
            .iter()
            .zip(&found)
            .take_while(|(a, b)| a == b)
            .count();
        let line = |lines: &[String]| {
            lines
                .get(at)
                .map_or("nothing more".to_owned(), |line| format!("{line:?}"))
        };
        Some(format!(
            "line {} of the console is {}, expected {}",
            at + 1,
            line(&found),
            line(expected)
        ))
    }
}

/// What the kernel says was not given back.
fn leak(event: &Event) -> Option<String> {
    match &event.payload {
        Payload::Kernel {
            id: EventId::Leak,
            args: [before, after, ..],
            text,
            ..
        } => Some(format!(
            "leak: {} before the program, {} after it: {}",
            *before as i64,
            *after as i64,
            String::from_utf8_lossy(text)
        )),
        _ => None,
    }
}

impl Watcher for Checker {
    fn event(&mut self, event: &Event) {
        if let Payload::Console(byte) = &event.payload {
            self.console.push(*byte);
            return;
        }
        self.tally.count(event);
        if let Some(follower) = &mut self.follower {
            follower.see(event);
        }
        self.leaks.extend(leak(event));
        if !self.expect.order.is_empty() {
            let line = self.teller.tell(event);
            self.search.see(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::{boot, kernel};
    use crate::scenario::Scenario;
    use machine::Position;

    fn failures(expect: &str, ending: run::Ending) -> Vec<String> {
        let text = format!("title = \"t\"\nprogram = \"p\"\n[expect]\n{expect}");
        let scenario = Scenario::parse("x.toml", &text).unwrap();
        let mut checker = Checker::new(&scenario.expect);
        for event in boot() {
            checker.event(&event);
        }
        for byte in *b"one\r\ntwo\r\n" {
            checker.event(&Event {
                at: Position::default(),
                payload: Payload::Console(byte),
            });
        }
        checker.failures(&Finished {
            ending,
            cycle: 1,
            retired: 1,
            digest: String::new(),
        })
    }

    #[test]
    fn what_is_as_expected_is_silent() {
        let expect = "exit = 3\nstdout = [\"one\", \"two\"]\ncounters = { forks = 0 }\norder = [\"sched_process_exec task=main\"]";
        assert_eq!(
            failures(expect, run::Ending::Status(3)),
            Vec::<String>::new()
        );
        assert!(failures("signal = \"SIGSEGV\"", run::Ending::Signal(11)).is_empty());
    }

    #[test]
    fn what_was_not_given_back_is_said() {
        let scenario = Scenario::parse("x.toml", "title = \"t\"\nprogram = \"p\"").unwrap();
        let mut checker = Checker::new(&scenario.expect);
        let mut event = kernel(9, EventId::Leak, [2, 3, 0, 0, 0]);
        if let Payload::Kernel { text, .. } = &mut event.payload {
            *text = b"mms".to_vec();
        }
        checker.event(&event);
        assert_eq!(
            checker.leaks,
            ["leak: 2 before the program, 3 after it: mms"]
        );
    }

    #[test]
    fn what_is_not_is_said() {
        let said = |expect, ending| failures(expect, ending).join("\n");
        assert_eq!(
            said("", run::Ending::Status(1)),
            "ended with: exit 1, expected: exit 0"
        );
        assert!(said("", run::Ending::Idle).contains("asleep for ever"));
        assert_eq!(
            said("stdout = [\"one\"]", run::Ending::Status(0)),
            "line 2 of the console is \"two\", expected nothing more"
        );
        assert_eq!(
            said("stdout = [\"one\", \"2\"]", run::Ending::Status(0)),
            "line 2 of the console is \"two\", expected \"2\""
        );
        assert_eq!(
            said("counters = { forks = \">= 2\" }", run::Ending::Status(0)),
            "counter forks is 0, expected >= 2"
        );
        assert_eq!(
            said("order = [\"page_fault\"]", run::Ending::Status(0)),
            "order: no event `page_fault`"
        );
    }
}
