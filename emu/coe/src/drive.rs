//! The loop around a machine: where it pauses, and how live input gets into it.
//!
//! Recording and replaying have this loop in common, so what a recording did
//! at a pause, a replay does at the same one.

use machine::{Host, Input, Machine, Stop};

use crate::Error;
use crate::input::{Arrival, Asleep, Source};

/// A host that looks at the machine from time to time.
pub trait Onlooker: Host {
    /// The machine stands still after so many cycles as it was to pause at.
    ///
    /// # Errors
    /// If the run cannot go on.
    fn pause(&mut self, machine: &Machine) -> Result<(), Error>;

    /// The machine sleeps, and somebody may have to wait: what was held back
    /// has to be shown.
    fn lull(&mut self) {}

    /// Live input is about to be given to the machine.
    fn arrived(&mut self, _arrival: &Arrival) {}

    /// True if it wants to see the machine before each instruction.
    fn steps(&self) -> bool {
        false
    }

    /// The machine is about to execute an instruction, if anybody steps.
    fn step(&mut self, _machine: &Machine) {}
}

/// Why a run is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The machine stopped, or reached the limit.
    Stop(Stop),
    /// Whoever gave it live input has left.
    Left,
}

/// Where a run pauses: where it first stands still after each multiple of so
/// many cycles. Time that the machine sleeps is passed over at once, whatever
/// multiples lie in it.
#[derive(Clone, Debug)]
pub struct Pauses {
    every: u64,
    due: u64,
    last: u64,
}

impl Pauses {
    /// The pauses of a machine that stands at `now`, where it has just paused.
    #[must_use]
    pub fn from(now: u64, every: u64) -> Self {
        let every = every.max(1);
        let due = (now / every + 1).saturating_mul(every);
        let last = now;
        Pauses { every, due, last }
    }

    /// True if the machine paused at `now`.
    #[must_use]
    pub fn is_at(&self, now: u64) -> bool {
        self.last == now
    }

    /// True if the machine is to pause where it stands.
    fn reach(&mut self, now: u64) -> bool {
        let due = now >= self.due;
        if due {
            *self = Pauses::from(now, self.every);
        }
        due
    }
}

/// Runs the machine to its end or to the first boundary at which `limit` cycles
/// have passed. It has paused at its beginning; whether it does so at its end
/// is left to the caller.
///
/// # Errors
/// If a pause fails, or live input cannot be read or taken.
pub fn drive(
    machine: &mut Machine,
    limit: u64,
    pauses: &mut Pauses,
    source: &mut dyn Source,
    host: &mut dyn Onlooker,
) -> Result<End, Error> {
    loop {
        let ask_at = source.ask_at();
        let until = pauses.due.min(limit).min(ask_at);
        let stop = if host.steps() {
            step_awake(machine, until, host)
        } else {
            machine.run_awake(until, host)
        };
        let now = machine.cycle();
        if pauses.reach(now) {
            host.pause(machine)?;
        }
        let arrival = match stop {
            Some(Stop::Deadline) if now >= limit => return Ok(End::Stop(Stop::Deadline)),
            Some(Stop::Deadline) if now >= ask_at => {
                host.lull();
                source.awake(now)?
            }
            Some(Stop::Deadline) => None,
            None | Some(Stop::Idle) => match sleep(machine, limit, source, host)? {
                Slept::Arrival(arrival) => Some(arrival),
                Slept::Through => None,
                Slept::ForEver => return Ok(End::Stop(Stop::Idle)),
            },
            Some(stop) => return Ok(End::Stop(stop)),
        };
        if let Some(arrival) = arrival {
            host.arrived(&arrival);
            match arrival {
                Arrival::Typed { at, bytes } => type_in(machine, at, &bytes)?,
                Arrival::Left { .. } => return Ok(End::Left),
            }
        }
    }
}

/// As [`Machine::run_awake`], one instruction at a time.
fn step_awake(machine: &mut Machine, until: u64, host: &mut dyn Onlooker) -> Option<Stop> {
    loop {
        host.step(machine);
        // Whatever it does costs a cycle at least.
        let next = until.min(machine.cycle().saturating_add(1));
        match machine.run_awake(next, host) {
            Some(Stop::Deadline) if machine.cycle() < until => {}
            stop => return stop,
        }
    }
}

/// How a sleeping machine came to go on.
enum Slept {
    /// To the end of its sleep, or to the limit.
    Through,
    /// As far as this arrival.
    Arrival(Arrival),
    /// It does not.
    ForEver,
}

fn sleep(
    machine: &mut Machine,
    limit: u64,
    source: &mut dyn Source,
    host: &mut dyn Onlooker,
) -> Result<Slept, Error> {
    host.lull();
    let wakes = machine.wakes_at().map(|at| at.min(limit));
    let arrival = source.asleep(Asleep {
        now: machine.cycle(),
        wakes,
        worked: worked(machine),
    })?;
    Ok(match (arrival, wakes) {
        (Some(arrival), _) => {
            machine.sleep(arrival.at());
            Slept::Arrival(arrival)
        }
        (None, Some(wakes)) => {
            machine.sleep(wakes);
            Slept::Through
        }
        (None, None) => Slept::ForEver,
    })
}

/// Instructions of programs; those of the kernel as long as it runs none.
fn worked(machine: &Machine) -> u64 {
    match machine.retired_user() {
        0 => machine.retired(),
        programs => programs,
    }
}

fn type_in(machine: &mut Machine, at: u64, bytes: &[u8]) -> Result<(), Error> {
    for byte in bytes {
        machine.push_input(at, Input::Console(*byte))?;
    }
    Ok(())
}
