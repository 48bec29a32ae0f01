//! Runs the machine of a trace again and compares everything that happens.

use std::fmt;

use machine::{Choice, Event, Host, Input, Machine, Payload, Stop};
use miette::Diagnostic;
use thiserror::Error;

use crate::Error;
use crate::drive::{End, Onlooker, Pauses, drive};
use crate::events::Teller;
use crate::exit::Code;
use crate::input::Recorded;
use crate::run::{self, Finished, Watcher};
use crate::trace::{Item, Items, Record, Trace, TraceError};

/// Why a replay did not come to its end.
#[derive(Debug, Error, Diagnostic)]
pub enum ReplayError {
    /// The costs of this coe are not those of the recording.
    #[error(
        "the trace was recorded with version {recorded} of the cost model, this coe has version {own}"
    )]
    #[diagnostic(help("use the coe that recorded it, or record the scenario again"))]
    CostVersion {
        /// The trace's version.
        recorded: u32,
        /// Ours.
        own: u32,
    },
    /// The machine did something else.
    #[error("the replay went another way than the recording\n{0}")]
    #[diagnostic(help(
        "one of the two machines is wrong, or the trace was changed; `coe trace` shows the recording around that cycle"
    ))]
    Diverged(Box<Divergence>),
}

impl ReplayError {
    /// The exit code that it ends `coe` with.
    #[must_use]
    pub fn exit_code(&self) -> Code {
        match self {
            ReplayError::CostVersion { .. } => Code::BadInput,
            ReplayError::Diverged(_) => Code::Diverged,
        }
    }
}

/// Where a replay parts from its recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Divergence {
    /// The last event that both have.
    pub common: Option<String>,
    /// The first event of the recording that the replay does not have.
    pub recorded: Option<String>,
    /// What the replay has in its place.
    pub replayed: Option<String>,
    /// The last cycle at which the digests of the whole state were equal.
    pub equal_until: Option<u64>,
    /// The first cycle at which they were not.
    pub digests_part: Option<u64>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or =
            |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
        writeln!(f, "  last common event: {}", or(&self.common, "none"))?;
        if self.recorded.is_some() || self.replayed.is_some() {
            writeln!(
                f,
                "  recorded next:     {}",
                or(&self.recorded, "nothing, up to here")
            )?;
            writeln!(
                f,
                "  replayed next:     {}",
                or(&self.replayed, "nothing, up to here")
            )?;
        } else {
            writeln!(f, "  no event differs, only the state behind them")?;
        }
        match self.equal_until {
            Some(cycle) => write!(f, "  digests: equal up to cycle {cycle}")?,
            None => write!(f, "  digests: never equal")?,
        }
        match self.digests_part {
            Some(cycle) => write!(f, ", different at cycle {cycle}"),
            None => write!(f, ", not compared again before the events part"),
        }
    }
}

/// How a replay came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It ended as the recording did.
    Whole(Finished),
    /// It stopped where it was asked to, with everything equal so far.
    Until(Finished),
}

/// Replays a trace, up to a cycle if one is given.
///
/// # Errors
/// If the trace cannot be used or the machine did something else.
pub fn replay(
    trace: &Trace,
    to: Option<u64>,
    watchers: &mut [&mut dyn Watcher],
) -> Result<Replayed, Error> {
    let (recorded, own) = (trace.header.cost_version, machine::cost::VERSION);
    if recorded != own {
        return Err(ReplayError::CostVersion { recorded, own }.into());
    }
    let mut machine = run::boot(&trace.setup())?;
    let mut judge = Judge::new(trace, watchers);
    let limit = trace.header.limit.min(to.unwrap_or(u64::MAX));
    judge.pause(&machine)?;
    let mut pauses = Pauses::from(machine.cycle(), trace.header.digest_every);
    let mut source = Recorded::new(trace.arrivals());
    let end = drive(&mut machine, limit, &mut pauses, &mut source, &mut judge)?;
    let stopped_early = end == End::Stop(Stop::Deadline) && machine.cycle() < trace.header.limit;
    if !pauses.is_at(machine.cycle()) {
        // Where only this replay stops, the recording took no digest.
        judge.stand(&machine, !stopped_early)?;
    }
    let finished = run::finished(&machine, end, trace.header.limit, judge.panic.take());
    if stopped_early {
        return Ok(Replayed::Until(finished));
    }
    judge.end(&finished)?;
    Ok(Replayed::Whole(finished))
}

/// Holds what the machine does against the trace.
struct Judge<'a, 'b, 'c> {
    items: std::iter::Peekable<Items<'a>>,
    teller: Teller,
    watchers: &'b mut [&'c mut dyn Watcher],
    divergence: Divergence,
    parted: bool,
    damaged: Option<TraceError>,
    panic: Option<String>,
}

impl<'a, 'b, 'c> Judge<'a, 'b, 'c> {
    fn new(trace: &'a Trace, watchers: &'b mut [&'c mut dyn Watcher]) -> Self {
        Judge {
            items: trace.items().peekable(),
            teller: Teller::default(),
            watchers,
            divergence: Divergence::default(),
            parted: false,
            damaged: None,
            panic: None,
        }
    }

    /// The next item but for arrivals, which the machine has from elsewhere;
    /// damage ends the replay at the next pause.
    fn next(&mut self) -> Option<Item> {
        self.peek();
        match self.items.next()? {
            Ok(item) => Some(item),
            Err(error) => {
                self.damaged.get_or_insert(error);
                None
            }
        }
    }

    /// What [`Judge::next`] is going to give.
    fn peek(&mut self) -> Option<&Result<Item, TraceError>> {
        let arrival =
            |item: &Result<Item, TraceError>| matches!(item, Ok(Item::Record(Record::Arrival(_))));
        while self.items.next_if(arrival).is_some() {}
        self.items.peek()
    }

    fn tell(&mut self, event: &Event) -> String {
        let line = self.teller.tell(event);
        format!("cycle {} [{}] {line}", event.at.cycle, line.by)
    }

    fn part(&mut self, recorded: Option<&Event>, replayed: Option<&Event>) {
        self.parted = true;
        let mut other = self.teller.clone();
        self.divergence.recorded = recorded.map(|event| self.tell(event));
        self.divergence.replayed = replayed.map(|event| {
            let line = other.tell(event);
            format!("cycle {} [{}] {line}", event.at.cycle, line.by)
        });
    }

    /// The machine stands still, perhaps where the recording took a digest.
    fn stand(&mut self, machine: &Machine, digested: bool) -> Result<(), Error> {
        for watcher in self.watchers.iter_mut() {
            watcher.pause(machine);
        }
        if digested && !self.parted && self.damaged.is_none() {
            self.compare_digest(machine);
        }
        if let Some(error) = self.damaged.take() {
            return Err(error.into());
        }
        if self.parted {
            return Err(ReplayError::Diverged(Box::new(self.divergence.clone())).into());
        }
        Ok(())
    }

    fn compare_digest(&mut self, machine: &Machine) {
        match self.next() {
            Some(Item::Record(Record::Digest { cycle, digest })) => {
                let same = cycle == machine.cycle() && digest == machine.digest().to_string();
                // A state that differs is not the end: the first event that
                // differs says more, so the replay goes on to it.
                match (same, self.divergence.digests_part) {
                    (true, None) => self.divergence.equal_until = Some(cycle),
                    (false, None) => self.divergence.digests_part = Some(cycle),
                    (_, Some(_)) => {}
                }
            }
            Some(Item::Record(Record::Event(event))) => {
                self.divergence.digests_part.get_or_insert(machine.cycle());
                self.part(Some(&event), None);
            }
            Some(Item::End(recorded)) => {
                self.divergence.recorded = Some(format!("the end: {}", recorded.ending));
                self.parted = true;
            }
            // Arrivals are never next.
            Some(Item::Record(Record::Arrival(_))) | None => {}
        }
    }

    /// The machine is at its end: so must the trace be.
    fn end(&mut self, finished: &Finished) -> Result<(), Error> {
        match self.next() {
            Some(Item::End(recorded))
                if recorded == *finished && self.divergence.digests_part.is_none() =>
            {
                return Ok(());
            }
            Some(Item::End(recorded)) => {
                self.divergence.recorded = Some(format!("the end: {}", recorded.ending));
                self.divergence.replayed = Some(format!("the end: {}", finished.ending));
            }
            Some(Item::Record(Record::Event(event))) => self.part(Some(&event), None),
            Some(Item::Record(Record::Digest { cycle, .. })) => {
                self.divergence.recorded = Some(format!("the run goes on to cycle {cycle}"));
                self.divergence.replayed = Some(format!("the end: {}", finished.ending));
            }
            // Arrivals are never next.
            Some(Item::Record(Record::Arrival(_))) | None => {}
        }
        match self.damaged.take() {
            Some(error) => Err(error.into()),
            None => Err(ReplayError::Diverged(Box::new(self.divergence.clone())).into()),
        }
    }
}

impl Onlooker for Judge<'_, '_, '_> {
    fn pause(&mut self, machine: &Machine) -> Result<(), Error> {
        self.stand(machine, true)
    }
}

impl Host for Judge<'_, '_, '_> {
    fn event(&mut self, event: Event) {
        if self.parted || self.damaged.is_some() {
            return;
        }
        match self.next() {
            Some(Item::Record(Record::Event(recorded))) if recorded == event => {
                self.divergence.common = Some(self.tell(&event));
            }
            Some(Item::Record(Record::Event(recorded))) => {
                self.part(Some(&recorded), Some(&event));
            }
            Some(_) => self.part(None, Some(&event)),
            None => return,
        }
        if self.panic.is_none() {
            self.panic = run::panic_message(&event);
        }
        for watcher in self.watchers.iter_mut() {
            watcher.event(&event);
        }
    }

    /// The recorded answer, if the recording has this very question here.
    fn choose(&mut self, choice: &Choice) -> u32 {
        match self.peek() {
            Some(Ok(Item::Record(Record::Event(Event {
                payload:
                    Payload::Choice {
                        choice: recorded,
                        answer,
                    },
                ..
            }))))
                if recorded == choice =>
            {
                *answer
            }
            // Not the same question: the event that follows will part the two.
            _ => choice.default,
        }
    }

    /// What the recording has next, if that is an interrupt of the
    /// laboratory's: all other inputs are known before the machine runs.
    fn interject(&mut self) -> Option<Input> {
        let parted = self.parted;
        match self.peek() {
            Some(Ok(Item::Record(Record::Event(Event {
                payload: Payload::Input(input @ Input::Interrupt(_)),
                ..
            }))))
                if !parted =>
            {
                Some(*input)
            }
            _ => None,
        }
    }
}
