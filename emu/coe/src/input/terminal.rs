//! Input from a terminal, as somebody types it.
//!
//! While the guest works it is asked every few milliseconds. While it sleeps,
//! its time passes as ours does: a key meets it as late in its sleep as it was
//! pressed, and if nothing else can wake it, nothing is done until a key is
//! pressed.

use std::io::{self, Stdin};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};

use super::{Arrival, Asleep, Source, signals};
use crate::Error;

/// Ctrl-]: leaves the machine.
pub const LEAVE: u8 = 0x1D;

/// The most that is taken at once.
const MOST: usize = 256;

/// Between these times a busy guest is asked again.
const OFTEN: Duration = Duration::from_millis(4);
const SELDOM: Duration = Duration::from_millis(8);

/// The fewest and the most cycles between two looks.
const STRIDES: std::ops::RangeInclusive<u64> = 10_000..=100_000_000;

/// The longest wait, so that a signal in the wrong instant is not missed.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the terminal was like before the guest had it, while the guest has it.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal that is our standard input. It is the guest's until this value
/// is dropped.
#[derive(Debug)]
pub struct Terminal {
    stdin: Stdin,
    raw: Termios,
    stride: Stride,
    /// When the last look at the keys was over, and the cycle of the next one.
    looked: Instant,
    look_at: u64,
    leaves: bool,
}

/// Cycles between two looks at the keys of a busy guest, such that they take a
/// few milliseconds on this host.
#[derive(Clone, Copy, Debug)]
struct Stride(u64);

impl Stride {
    /// Chooses anew after so many cycles took so long.
    fn adapt(&mut self, took: Duration) {
        if took < OFTEN {
            self.0 *= 2;
        } else if took > SELDOM {
            self.0 /= 2;
        }
        self.0 = self.0.clamp(*STRIDES.start(), *STRIDES.end());
    }
}

impl Terminal {
    /// Gives the terminal to the guest. With `lines`, a newline of the guest
    /// still becomes a new line on the terminal: a guest that writes through a
    /// pipe counts on that.
    ///
    /// # Errors
    /// If standard input is no terminal.
    pub fn open(lines: bool) -> Result<Terminal, Error> {
        let failed = |error: Errno| Error::Stdin {
            source: error.into(),
        };
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).map_err(failed)?;
        let raw = as_the_guest_wants_it(before.clone(), lines);
        restore_on_panic();
        signals::watch();
        if let Ok(mut kept) = BEFORE.lock() {
            *kept = Some(before);
        }
        tcsetattr(&stdin, OptionalActions::Drain, &raw).map_err(failed)?;
        Ok(Terminal {
            stdin,
            raw,
            stride: Stride(*STRIDES.start()),
            looked: Instant::now(),
            look_at: 0,
            leaves: false,
        })
    }

    /// Waits for a key, at most so long. True if there is something to read.
    fn wait(&self, longest: Duration) -> Result<bool, Error> {
        let mut fds = [PollFd::new(&self.stdin, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: longest.as_secs().cast_signed(),
            tv_nsec: longest.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(Error::Stdin {
                source: error.into(),
            }),
        }
    }

    /// True if the run is to end: a signal said so, or a key did.
    fn is_over(&self) -> bool {
        if signals::continued() {
            // Whoever stopped us may have had the terminal. If it cannot be
            // taken back now, the next key shows it.
            let _ = tcsetattr(&self.stdin, OptionalActions::Drain, &self.raw);
        }
        self.leaves || signals::deadly().is_some()
    }

    /// What was typed, up to the key that leaves.
    fn typed(&mut self, at: u64) -> Result<Option<Arrival>, Error> {
        let mut bytes = vec![0; MOST];
        let count = match rustix::io::read(&self.stdin, &mut bytes) {
            Ok(count) => count,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(None),
            // Nobody is at the other end any more.
            Err(Errno::IO) => 0,
            Err(error) => {
                return Err(Error::Stdin {
                    source: error.into(),
                });
            }
        };
        bytes.truncate(count);
        self.leaves |= count == 0;
        if let Some(end) = bytes.iter().position(|byte| *byte == LEAVE) {
            bytes.truncate(end);
            self.leaves = true;
        }
        Ok(Some(if bytes.is_empty() {
            Arrival::Left { at }
        } else {
            Arrival::Typed { at, bytes }
        }))
    }

    /// The look is over; the machine goes on from `now`.
    fn go_on(&mut self, now: u64) {
        self.looked = Instant::now();
        self.look_at = now.saturating_add(self.stride.0);
    }
}

impl Source for Terminal {
    fn ask_at(&self) -> u64 {
        self.look_at
    }

    fn awake(&mut self, now: u64) -> Result<Option<Arrival>, Error> {
        self.stride.adapt(self.looked.elapsed());
        let arrival = if self.is_over() {
            Some(Arrival::Left { at: now })
        } else if self.wait(Duration::ZERO)? {
            self.typed(now)?
        } else {
            None
        };
        self.go_on(now);
        Ok(arrival)
    }

    fn asleep(&mut self, machine: Asleep) -> Result<Option<Arrival>, Error> {
        let start = Instant::now();
        // The guest's clock counts nanoseconds.
        let slept = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let arrival = loop {
            if self.is_over() {
                break Some(Arrival::Left { at: machine.now });
            }
            let now = machine.now.saturating_add(slept());
            let longest = match machine.wakes {
                Some(wakes) if wakes <= now => break None,
                Some(wakes) => Duration::from_nanos(wakes - now).min(PATIENCE),
                None => PATIENCE,
            };
            if self.wait(longest)? {
                let latest = machine.wakes.map_or(u64::MAX, |wakes| wakes - 1);
                let at = machine.now.saturating_add(slept()).min(latest);
                if let Some(arrival) = self.typed(at)? {
                    break Some(arrival);
                }
            }
        };
        let woken = arrival.as_ref().map(Arrival::at).or(machine.wakes);
        self.go_on(woken.unwrap_or(machine.now));
        Ok(arrival)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
        signals::unwatch();
    }
}

/// Each key by itself, with no meaning for the host. What is written is left
/// alone, too, except with `lines`.
fn as_the_guest_wants_it(before: Termios, lines: bool) -> Termios {
    let mut raw = before;
    let output = raw.output_modes;
    raw.make_raw();
    if lines {
        raw.output_modes = output | OutputModes::OPOST | OutputModes::ONLCR;
    }
    raw
}

/// Puts the terminal back as it was, once.
fn restore() {
    let before = BEFORE.lock().ok().and_then(|mut before| before.take());
    if let Some(before) = before {
        // Nothing is left to be done for a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &before);
    }
}

/// A panic is told on a terminal that shows lines, also where it aborts.
fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_guest_is_asked_every_few_milliseconds() {
        let speeds = [100, 20_000, 1_000_000];
        let firsts = [*STRIDES.start(), *STRIDES.end()];
        for (cycles_each_ms, first) in speeds.iter().flat_map(|s| firsts.map(|f| (s, f))) {
            let mut stride = Stride(first);
            let took = |stride: Stride| Duration::from_micros(1000 * stride.0 / cycles_each_ms);
            for _ in 0..40 {
                stride.adapt(took(stride));
            }
            let slow = stride.0 == *STRIDES.start();
            let fits = (OFTEN..=SELDOM).contains(&took(stride));
            assert!(fits || slow, "{:?}", took(stride));
        }
    }
}
