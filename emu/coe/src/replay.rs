//! Runs the machine of a trace again and compares everything that happens.

use std::collections::VecDeque;
use std::fmt;

use machine::{Choice, Event, Host, Input, Machine, Payload, Position, RestoreError, Stop};
use miette::Diagnostic;
use thiserror::Error;

use crate::Error;
use crate::drive::{End, Onlooker, Pauses, drive};
use crate::engine::Kind;
use crate::events::Teller;
use crate::exit::Code;
use crate::input::Recorded;
use crate::run::{self, Finished, Watcher};
use crate::trace::{CostVersion, Item, Items, Record, Trace, TraceError};

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
        recorded: CostVersion,
        /// Ours.
        own: CostVersion,
    },
    /// A snapshot is not what the records say.
    #[error("the snapshot at cycle {cycle} cannot be used: {why}")]
    #[diagnostic(help(
        "`coe replay` without --to uses no snapshot; to get good ones record the scenario again"
    ))]
    Snapshot {
        /// Where it was taken, as far as it says.
        cycle: u64,
        /// What is wrong with it.
        why: String,
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
            ReplayError::CostVersion { .. } | ReplayError::Snapshot { .. } => Code::BadInput,
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

/// How a replay came out: everything was as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The cycle from which on the machine ran: 0, or that of a snapshot.
    pub from: u64,
    /// True if it ended as the recording did, false if it stopped where it was
    /// asked to.
    pub whole: bool,
    /// The figures where it stopped.
    pub finished: Finished,
}

/// Replays a trace. Up to a given cycle it starts from the last snapshot before
/// it; then the watchers are told what the trace says of the time before.
///
/// # Errors
/// If the trace cannot be used or the machine did something else.
pub fn replay(
    trace: &Trace,
    to: Option<u64>,
    watchers: &mut [&mut dyn Watcher],
) -> Result<Replayed, Error> {
    replay_on(Kind::default(), trace, to, watchers)
}

/// The same on this engine; that of the recording is not known.
///
/// # Errors
/// As [`replay`], and if coe was built without the engine.
pub fn replay_on(
    engine: Kind,
    trace: &Trace,
    to: Option<u64>,
    watchers: &mut [&mut dyn Watcher],
) -> Result<Replayed, Error> {
    let (recorded, own) = (trace.header.cost_version, CostVersion::CURRENT);
    if recorded != own {
        return Err(ReplayError::CostVersion { recorded, own }.into());
    }
    let mut judge = Judge::new(trace, watchers);
    let mut machine = match restored(trace, to)? {
        Some(machine) => {
            judge.pass(&machine)?;
            machine
        }
        None => {
            let machine = trace.boot()?;
            judge.pause(&machine)?;
            judge.set_alarm();
            machine
        }
    };
    machine.set_engine(engine.engine()?);
    let from = machine.cycle();
    let limit = trace.header.limit.min(to.unwrap_or(u64::MAX));
    let mut pauses = Pauses::from(machine.cycle(), trace.header.digest_every);
    let mut source = Recorded::new(trace.arrivals().skip(judge.arrivals));
    let end = drive(&mut machine, limit, &mut pauses, &mut source, &mut judge)?;
    let whole = end != End::Stop(Stop::Deadline) || machine.cycle() >= trace.header.limit;
    if !pauses.is_at(machine.cycle()) {
        // Where only this replay stops, the recording took no digest.
        judge.stand(&machine, whole)?;
    }
    let finished = run::finished(&machine, end, trace.header.limit, judge.panic.take());
    if whole {
        judge.end(&finished)?;
    }
    Ok(Replayed {
        from,
        whole,
        finished,
    })
}

/// The machine of the last snapshot before `to`, unless another version of the
/// machine wrote it: then the replay has to start at power-on.
fn restored(trace: &Trace, to: Option<u64>) -> Result<Option<Machine>, Error> {
    let Some(snapshot) = to
        .map(|to| trace.snapshot_before(to))
        .transpose()?
        .flatten()
    else {
        return Ok(None);
    };
    match Machine::restore_sequence(snapshot.sequence.iter().map(Vec::as_slice)) {
        Ok(machine) => Ok(Some(machine)),
        Err(RestoreError::Version { .. } | RestoreError::CostVersion { .. }) => Ok(None),
        Err(error) => Err(unusable(snapshot.cycle, error.to_string())),
    }
}

fn unusable(cycle: u64, why: String) -> Error {
    ReplayError::Snapshot { cycle, why }.into()
}

/// Holds what the machine does against the trace.
struct Judge<'a, 'b, 'c> {
    trace: &'a Trace,
    items: Items<'a>,
    /// Items that were looked at ahead of their time.
    ahead: VecDeque<Result<Item, TraceError>>,
    /// Where the last event was.
    last: Position,
    /// Where the recording has its next event, if that is an interrupt of the
    /// laboratory's, in user instructions.
    alarm: Option<u64>,
    /// Events that both have.
    common: usize,
    /// Arrivals among the items so far.
    arrivals: usize,
    watchers: &'b mut [&'c mut dyn Watcher],
    divergence: Divergence,
    parted: bool,
    damaged: Option<TraceError>,
    panic: Option<String>,
}

impl<'a, 'b, 'c> Judge<'a, 'b, 'c> {
    fn new(trace: &'a Trace, watchers: &'b mut [&'c mut dyn Watcher]) -> Self {
        Judge {
            trace,
            items: trace.items(),
            ahead: VecDeque::new(),
            last: Position::default(),
            alarm: None,
            common: 0,
            arrivals: 0,
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
        loop {
            let next = self.ahead.pop_front().or_else(|| self.items.next());
            match next? {
                Ok(Item::Record(Record::Arrival(_))) => self.arrivals += 1,
                Ok(item) => return Some(item),
                Err(error) => {
                    self.damaged.get_or_insert(error);
                    return None;
                }
            }
        }
    }

    /// Whether this event is what was looked at ahead, as nearly always.
    fn expects(&self, event: &Event) -> bool {
        let next = self.ahead.front();
        matches!(next, Some(Ok(Item::Record(Record::Event(recorded)))) if recorded == event)
    }

    /// The recorded event that comes next, whatever else lies before it.
    fn next_event(&mut self) -> Option<&Event> {
        let is_event =
            |item: &Result<Item, TraceError>| matches!(item, Ok(Item::Record(Record::Event(_))));
        while !self.ahead.back().is_some_and(is_event) {
            if self.ahead.back().is_some_and(Result::is_err) {
                return None;
            }
            let item = self.items.next()?;
            self.ahead.push_back(item);
        }
        // Events are taken one by one, so only the last item ahead can be one.
        match self.ahead.back() {
            Some(Ok(Item::Record(Record::Event(event)))) => Some(event),
            _ => None,
        }
    }

    /// The interrupt of the laboratory's that the recording has next.
    fn interrupt(&mut self) -> Option<(Position, Input)> {
        if self.parted {
            return None;
        }
        match self.next_event()? {
            Event {
                at,
                payload: Payload::Input(input @ Input::Interrupt(_)),
            } => Some((*at, *input)),
            _ => None,
        }
    }

    fn set_alarm(&mut self) {
        self.alarm = self.interrupt().map(|(at, _)| at.retired_user);
    }

    /// Takes what the trace has up to the snapshot from which this machine was
    /// restored, and holds the machine against the digest there.
    fn pass(&mut self, machine: &Machine) -> Result<(), Error> {
        let cycle = machine.cycle();
        loop {
            match self.next() {
                Some(Item::Record(Record::Event(event))) => self.agree(&event),
                Some(Item::Record(Record::Digest { cycle: at, digest })) if at == cycle => {
                    if digest == machine.digest().to_string() {
                        self.divergence.equal_until = Some(cycle);
                        self.set_alarm();
                        return Ok(());
                    }
                    return Err(unusable(
                        cycle,
                        "the recorded machine was another".to_owned(),
                    ));
                }
                Some(Item::Record(Record::Digest { .. } | Record::Arrival(_))) => {}
                Some(Item::End(_)) => {
                    return Err(unusable(cycle, "no record speaks of it".to_owned()));
                }
                None => break,
            }
        }
        match self.damaged.take() {
            Some(error) => Err(error.into()),
            None => Err(unusable(cycle, "no record speaks of it".to_owned())),
        }
    }

    /// An event that both have.
    fn agree(&mut self, event: &Event) {
        self.common += 1;
        if self.panic.is_none() {
            self.panic = run::panic_message(event);
        }
        for watcher in self.watchers.iter_mut() {
            watcher.event(event);
        }
    }

    fn part(&mut self, recorded: Option<&Event>, replayed: Option<&Event>) {
        self.parted = true;
        let teller = self.tell_common();
        let told = |event| tell(&mut teller.clone(), event);
        self.divergence.recorded = recorded.map(told);
        self.divergence.replayed = replayed.map(told);
    }

    /// Puts the last common event into words. Most replays never need any, and
    /// names depend on all events before, so the trace is read once more here.
    fn tell_common(&mut self) -> Teller {
        let mut teller = Teller::default();
        let events = self.trace.items().filter_map(|item| match item {
            Ok(Item::Record(Record::Event(event))) => Some(event),
            _ => None,
        });
        let last = events
            .take(self.common)
            .map(|event| tell(&mut teller, &event))
            .last();
        self.divergence.common = last;
        teller
    }

    fn diverged(&mut self) -> Error {
        if self.divergence.common.is_none() {
            self.tell_common();
        }
        ReplayError::Diverged(Box::new(self.divergence.clone())).into()
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
            return Err(self.diverged());
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
            None => Err(self.diverged()),
        }
    }
}

fn tell(teller: &mut Teller, event: &Event) -> String {
    let line = teller.tell(event);
    format!("cycle {} [{}] {line}", event.at.cycle, line.by)
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
        if self.expects(&event) {
            self.ahead.pop_front();
            self.agree(&event);
        } else {
            match self.next() {
                Some(Item::Record(Record::Event(recorded))) if recorded == event => {
                    self.agree(&event);
                }
                Some(Item::Record(Record::Event(recorded))) => {
                    self.part(Some(&recorded), Some(&event));
                }
                Some(_) => self.part(None, Some(&event)),
                None => {}
            }
        }
        self.last = event.at;
        self.set_alarm();
    }

    /// The recorded answer, if the recording has this very question here.
    fn choose(&mut self, choice: &Choice) -> u32 {
        match self.next_event() {
            Some(Event {
                payload:
                    Payload::Choice {
                        choice: recorded,
                        answer,
                    },
                ..
            }) if recorded == choice => *answer,
            // Not the same question: the event that follows will part the two.
            _ => choice.default,
        }
    }

    /// What the recording has next, if that is an interrupt of the
    /// laboratory's at this very place: all other inputs the machine has from
    /// elsewhere.
    fn interject(&mut self) -> Option<Input> {
        // Most often there is none.
        self.alarm?;
        let (at, input) = self.interrupt()?;
        (at == self.last).then_some(input)
    }

    /// The same between two events.
    fn alarm(&self) -> Option<u64> {
        self.alarm
    }

    fn reached(&mut self) -> Option<Input> {
        self.interrupt().map(|(_, input)| input)
    }
}
