//! Timers as descriptors: a read tells how often one expired.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use linux_raw_sys::general::{O_NONBLOCK, O_RDWR, POLLIN};

use super::file::File;
use super::inode::Inode;
use super::special::SpecialFile;
use super::transfer::Sink;
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sched::timer::{self, Action, Expire, Key};
use crate::sched::{Deadline, Time, WaitQueue, time};
use crate::sync::SpinLock;

/// The shortest time between two looks at a timer.
const SHORTEST: u64 = 10_000;

#[derive(Default)]
struct State {
    /// When it expires next, by its clock.
    next: Option<u64>,
    interval: u64,
    key: Option<Key>,
    /// It has expired, and nobody has read how often.
    fired: bool,
    /// How often the clock had been set when the timer was, if that cancels it.
    settings: Option<u64>,
}

struct Inner {
    real: bool,
    state: SpinLock<State>,
    queue: WaitQueue,
}

/// A timer that somebody has a descriptor of.
pub struct TimerFd(Arc<Inner>);

/// What is left, and the interval.
pub type Setting = (u64, u64);

impl Inner {
    fn now(&self) -> u64 {
        let now = Time::now();
        if self.real { now.real() } else { now.0 }
    }

    fn deadline(&self, at: u64) -> Deadline {
        if self.real {
            Deadline::Real(at)
        } else {
            Deadline::Monotonic(Time(at))
        }
    }

    fn setting(&self, state: &State) -> Setting {
        let now = self.now();
        let left = match state.next {
            None => 0,
            Some(next) if next > now => next - now,
            Some(next) if state.interval > 0 => state.interval - (now - next) % state.interval,
            Some(_) if state.fired => 0,
            Some(_) => 1,
        };
        (left, state.interval)
    }

    fn arm(self: &Arc<Self>) {
        let next = {
            let state = self.state.lock();
            state.next.filter(|_| !state.fired)
        };
        let Some(at) = next else {
            return;
        };
        let key = timer::set(self.deadline(at), Action::Tell(self.clone()));
        let before = self.state.lock().key.replace(key);
        if let Some(before) = before {
            timer::cancel(before);
        }
    }

    /// How often it has expired since somebody asked; it runs on then.
    fn take(self: &Arc<Self>) -> Option<Result<u64>> {
        let count = {
            let mut state = self.state.lock();
            if state
                .settings
                .is_some_and(|settings| settings != time::settings())
            {
                state.settings = Some(time::settings());
                return Some(Err(Errno::ECANCELED));
            }
            if !state.fired {
                return None;
            }
            state.fired = false;
            let now = self.now();
            match state.next.take() {
                Some(next) if state.interval > 0 => {
                    let more = now.saturating_sub(next) / state.interval;
                    let at = next.saturating_add((more + 1).saturating_mul(state.interval));
                    state.next = Some(at.max(now + SHORTEST));
                    if crate::mutant!("timerfd-counts-once") {
                        1
                    } else {
                        more + 1
                    }
                }
                _ => 1,
            }
        };
        self.arm();
        Some(Ok(count))
    }
}

impl Expire for Inner {
    fn expire(self: Arc<Self>) {
        let now = self.now();
        {
            let mut state = self.state.lock();
            state.fired |= state.next.is_some_and(|next| next <= now);
            state.key = None;
        }
        self.arm();
        self.queue.wake_all();
    }
}

impl TimerFd {
    /// A description of a new timer, by the real-time clock or the monotonic.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn file(real: bool, nonblocking: bool) -> Result<Arc<File>> {
        frame::room()?;
        let inner = Arc::new(Inner {
            real,
            state: SpinLock::new(State::default()),
            queue: WaitQueue::new(),
        });
        let inode = Inode::anonymous(Box::new(TimerFd(inner)), 0o600);
        let waits = if nonblocking { O_NONBLOCK } else { 0 };
        Ok(File::new(inode, O_RDWR | waits))
    }

    /// What it is set to.
    #[must_use]
    pub fn setting(&self) -> Setting {
        self.0.setting(&self.0.state.lock())
    }

    /// Sets it, to a time of its clock or from now; gives what it was set to.
    pub fn set(&self, (left, interval): Setting, absolute: bool, cancels: bool) -> Setting {
        let before = {
            let mut state = self.0.state.lock();
            let before = self.0.setting(&state);
            let now = if absolute { 0 } else { self.0.now() };
            state.next = (left != 0).then(|| now.saturating_add(left));
            state.interval = interval;
            state.fired = false;
            state.settings = cancels.then(time::settings);
            if let Some(key) = state.key.take() {
                timer::cancel(key);
            }
            before
        };
        self.0.arm();
        before
    }
}

impl Drop for TimerFd {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.next = None;
        let key = state.key.take();
        drop(state);
        if let Some(key) = key {
            timer::cancel(key);
        }
    }
}

impl SpecialFile for TimerFd {
    fn label(&self) -> String {
        String::from("anon_inode:[timerfd]")
    }

    fn read(&self, to: &mut dyn Sink, _at: u64, nonblocking: bool) -> Result<usize> {
        if to.room() < 8 {
            return Err(Errno::EINVAL);
        }
        let count = if nonblocking {
            self.0.take().ok_or(Errno::EAGAIN)?
        } else {
            let taken = self.0.queue.wait_interruptible(None, || self.0.take())?;
            taken.ok_or(Errno::EAGAIN)?
        };
        match to.put(&count?.to_le_bytes()) {
            8 => Ok(8),
            _ => Err(Errno::EFAULT),
        }
    }

    fn readiness(&self) -> u32 {
        let state = self.0.state.lock();
        let canceled = state
            .settings
            .is_some_and(|settings| settings != time::settings());
        if state.fired || canceled { POLLIN } else { 0 }
    }

    fn queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.queue)
    }

    fn fdinfo(&self) -> String {
        let (left, interval) = self.setting();
        let split = |time: u64| (time / 1_000_000_000, time % 1_000_000_000);
        let ticks = u8::from(self.0.state.lock().fired);
        format!(
            "clockid: {}\nticks: {ticks}\nsettime flags: 00\nit_value: {:?}\nit_interval: {:?}\n",
            u8::from(!self.0.real),
            split(left),
            split(interval)
        )
    }
}
