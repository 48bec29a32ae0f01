//! Live input: what somebody types while the machine runs.
//!
//! A run asks its [`Source`] where the machine stands still, and what arrives
//! is stamped with the cycle at which the machine gets it. That stamp is all
//! that a trace needs: a replay has the same loop with [`Recorded`] as its
//! source. When exactly a source is asked can be left to the host's clock,
//! because where a run is cut is never seen by the guest.

mod pipe;
mod signals;
mod terminal;

pub use pipe::Pipe;
pub use signals::die_if_told;
pub use terminal::{LEAVE, Terminal};

use serde::{Deserialize, Serialize};

use crate::Error;

/// What came from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrival {
    /// Bytes were typed; the serial line has them at this cycle.
    Typed {
        /// The cycle, which has not passed yet.
        at: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Whoever typed has left at this cycle: the run ends.
    Left {
        /// The cycle.
        at: u64,
    },
}

impl Arrival {
    /// The cycle at which it is felt.
    #[must_use]
    pub fn at(&self) -> u64 {
        match self {
            Arrival::Typed { at, .. } | Arrival::Left { at } => *at,
        }
    }
}

/// A machine that sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asleep {
    /// The machine's cycle.
    pub now: u64,
    /// The cycle at which it wakes up by itself; none if only input can wake it.
    pub wakes: Option<u64>,
    /// Instructions that programs have run so far, or a kernel that runs none. If
    /// they are as many as the last time, nobody has taken note of what was typed
    /// since.
    pub worked: u64,
}

/// Where live input comes from.
pub trait Source {
    /// The cycle at which a machine that is awake is to ask.
    fn ask_at(&self) -> u64 {
        u64::MAX
    }

    /// Asked at the cycle that [`Source::ask_at`] gave. Never waits.
    ///
    /// # Errors
    /// If the input cannot be read.
    fn awake(&mut self, now: u64) -> Result<Option<Arrival>, Error>;

    /// Asked whenever the machine has fallen asleep; may wait. None lets it
    /// sleep on until it wakes by itself, or for ever.
    ///
    /// # Errors
    /// If the input cannot be read.
    fn asleep(&mut self, machine: Asleep) -> Result<Option<Arrival>, Error>;
}

/// Nothing is ever typed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence;

impl Source for Silence {
    fn awake(&mut self, _now: u64) -> Result<Option<Arrival>, Error> {
        Ok(None)
    }

    fn asleep(&mut self, _machine: Asleep) -> Result<Option<Arrival>, Error> {
        Ok(None)
    }
}

/// What arrived in a recording, at the same cycles again.
#[derive(Debug)]
pub struct Recorded<I: Iterator<Item = Arrival>> {
    rest: std::iter::Peekable<I>,
    next: u64,
}

impl<I: Iterator<Item = Arrival>> Recorded<I> {
    /// These arrivals, which are in the order of their cycles.
    pub fn new(arrivals: I) -> Self {
        let mut rest = arrivals.peekable();
        let next = rest.peek().map_or(u64::MAX, Arrival::at);
        Recorded { rest, next }
    }

    fn take(&mut self) -> Option<Arrival> {
        let taken = self.rest.next();
        self.next = self.rest.peek().map_or(u64::MAX, Arrival::at);
        taken
    }
}

impl<I: Iterator<Item = Arrival>> Source for Recorded<I> {
    fn ask_at(&self) -> u64 {
        self.next
    }

    fn awake(&mut self, now: u64) -> Result<Option<Arrival>, Error> {
        Ok((self.next <= now).then(|| self.take()).flatten())
    }

    /// What arrives at the very cycle of waking up arrived after it.
    fn asleep(&mut self, machine: Asleep) -> Result<Option<Arrival>, Error> {
        let before = machine.wakes.is_none_or(|wakes| self.next < wakes);
        Ok(before.then(|| self.take()).flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(at: u64) -> Arrival {
        let bytes = vec![b'x'];
        Arrival::Typed { at, bytes }
    }

    fn asleep(now: u64, wakes: Option<u64>) -> Asleep {
        let worked = 0;
        Asleep { now, wakes, worked }
    }

    #[test]
    fn a_recording_comes_again_at_its_cycles() {
        let mut source = Recorded::new([typed(5), typed(9), typed(20)].into_iter());
        assert_eq!(source.ask_at(), 5);
        assert_eq!(source.awake(4).unwrap(), None);
        assert_eq!(source.awake(5).unwrap(), Some(typed(5)));
        assert_eq!(source.ask_at(), 9);
        assert_eq!(source.asleep(asleep(6, Some(9))).unwrap(), None);
        let early = source.asleep(asleep(6, Some(10))).unwrap();
        assert_eq!(early, Some(typed(9)));
        // Nothing else wakes it: the time until then is slept.
        assert_eq!(source.asleep(asleep(11, None)).unwrap(), Some(typed(20)));
        assert_eq!(source.asleep(asleep(20, None)).unwrap(), None);
        assert_eq!(source.ask_at(), u64::MAX);
    }
}
