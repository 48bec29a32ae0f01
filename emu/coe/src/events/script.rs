//! Written schedules: at which event which task runs next.
//!
//! The steps of a script come one after the other. A step waits for the n-th
//! event of its pattern; then the kernel is made to ask at once who runs next,
//! and is answered with the step's task as soon as that one can run. When it
//! does, the next step begins. Between the steps the kernel has its defaults.

use abi::choice::ChoiceKind;
use machine::{Choice, Event, Payload};

use super::Teller;
use super::pattern::Pattern;

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The event that it waits for.
    pub at: Pattern,
    /// How many of them, from the step before on.
    pub nth: u64,
    /// The name of the task that runs next.
    pub run: String,
}

/// A script and how far it has come.
#[derive(Clone, Debug)]
pub struct Script {
    steps: Vec<Step>,
    done: usize,
    /// How many events of the current step's pattern have been seen.
    seen: u64,
    teller: Teller,
}

impl Script {
    /// At its beginning.
    #[must_use]
    pub fn new(steps: &[Step]) -> Self {
        Script {
            steps: steps.to_vec(),
            done: 0,
            seen: 0,
            teller: Teller::default(),
        }
    }

    /// The task that is to run as soon as it can.
    fn wanted(&self) -> Option<&str> {
        let step = self.steps.get(self.done)?;
        (self.seen >= step.nth).then_some(step.run.as_str())
    }

    /// Takes an event in. True if the kernel is to ask from here on who runs.
    pub fn see(&mut self, event: &Event) -> bool {
        let Some(step) = self.steps.get(self.done) else {
            return false;
        };
        if matches!(event.payload, Payload::Console(_)) {
            return false;
        }
        let line = self.teller.tell(event);
        if self.seen < step.nth {
            self.seen += u64::from(step.at.matches(&line));
            return self.seen == step.nth;
        }
        let runs = match line.name {
            "sched_switch" => line.get("next"),
            "choice" if line.get("kind") == Some(ChoiceKind::PickNext.name()) => line.get("answer"),
            _ => None,
        };
        if runs == Some(step.run.as_str()) {
            self.done += 1;
            self.seen = 0;
        }
        false
    }

    /// The answer to a question of the kernel, if the script has one.
    #[must_use]
    pub fn answer(&self, choice: &Choice) -> Option<u32> {
        let wanted = self.wanted()?;
        if choice.kind != ChoiceKind::PickNext {
            return None;
        }
        let named = |id: &u32| self.teller.name(*id) == wanted;
        let at = choice.candidates.iter().position(named)?;
        u32::try_from(at).ok()
    }

    /// What is missing at the end, if anything is.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        let step = self.steps.get(self.done)?;
        let number = self.done + 1;
        Some(match self.wanted() {
            Some(task) => format!("script: step {number}: {task} never ran after its event"),
            None => format!(
                "script: step {number}: event `{}` came {} times, expected {}",
                step.at.text(),
                self.seen,
                step.nth
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{boot, kernel};
    use super::*;
    use abi::event::EventId;

    #[test]
    fn a_step_waits_for_its_event_then_for_its_task() {
        let step = Step {
            at: Pattern::parse("sys_enter nr=write task=main").unwrap(),
            nth: 2,
            run: "init".to_owned(),
        };
        let mut script = Script::new(&[step]);
        for event in boot() {
            assert!(!script.see(&event));
        }
        let write = kernel(5, EventId::SysEnter, [1, 0, 0, 0, 0]);
        let choice = Choice {
            kind: ChoiceKind::PickNext,
            n: 2,
            default: 0,
            candidates: vec![4, 1],
            index: 0,
        };
        assert!(!script.see(&write));
        assert_eq!(script.answer(&choice), None);
        assert!(script.unfinished().unwrap().contains("came 1 times"));
        assert!(script.see(&write));
        assert_eq!(script.answer(&choice), Some(1));
        assert!(script.unfinished().unwrap().contains("init never ran"));
        script.see(&kernel(6, EventId::SchedSwitch, [4, 0, 1, 0, 0]));
        assert_eq!((script.unfinished(), script.answer(&choice)), (None, None));
    }
}
