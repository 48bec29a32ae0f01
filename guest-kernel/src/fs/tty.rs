//! The console's terminal: who reads, who writes, who waits.

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicI32, Ordering};

use linux_raw_sys::general::{
    ICANON, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, SIGTTIN, SIGTTOU, SIGWINCH, TOSTOP, VMIN,
    VTIME, termios, winsize,
};

use super::hooks;
use super::settings::{self, Settings};
use super::transfer::{CHUNK, Sink, Source};
use super::tty_input::{Discipline, Effect};
use crate::arch::serial;
use crate::errno::{Errno, Result};
use crate::sched::softirq::{self, Softirq};
use crate::sched::{Mutex, Time, WaitQueue};
use crate::sync::SpinLock;

/// The unit of VTIME.
const TENTH: u64 = 100_000_000;

/// A terminal on the serial line.
///
/// The spin lock is held while a byte is sent, so that an echo falls between
/// the bytes of a write and not into the two of a newline; the mutexes keep
/// whole reads and writes of different tasks apart.
pub struct Tty {
    discipline: SpinLock<Discipline>,
    size: SpinLock<winsize>,
    pub(super) foreground: AtomicI32,
    /// The session that it controls; 0 if it controls none.
    pub(super) session: AtomicI32,
    reading: Mutex<()>,
    writing: Mutex<()>,
    readable: WaitQueue,
    writable: WaitQueue,
}

static CONSOLE: Tty = Tty {
    discipline: SpinLock::new(Discipline::new(settings::fresh())),
    size: SpinLock::new(winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }),
    // The group of init, which all are in that have not left it.
    foreground: AtomicI32::new(1),
    session: AtomicI32::new(1),
    reading: Mutex::new(()),
    writing: Mutex::new(()),
    readable: WaitQueue::new(),
    writable: WaitQueue::new(),
};

/// The one terminal there is.
pub fn console() -> &'static Tty {
    &CONSOLE
}

/// Bytes that the interrupt took off the line and nobody looked at yet.
static RECEIVED: SpinLock<VecDeque<u8>> = SpinLock::new(VecDeque::new());

/// The most of them; what comes then is lost, as on any line.
const RECEIVED_MAX: usize = 4096;

/// The serial line's interrupt: takes the bytes before more come than the
/// device holds, and leaves the rest to [`deferred`].
pub fn interrupt() {
    let mut received = RECEIVED.lock();
    while let Some(byte) = serial::get() {
        if received.len() < RECEIVED_MAX {
            received.push_back(byte);
        }
    }
    drop(received);
    softirq::raise(Softirq::Console);
}

/// What [`interrupt`] left to do, where sleeping is allowed.
pub fn deferred() {
    while let Some(byte) = next_received() {
        CONSOLE.receive(byte);
    }
}

fn next_received() -> Option<u8> {
    RECEIVED.lock().pop_front()
}

/// What is to happen to settings that replace others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Input that was not read stays.
    Keep,
    /// Input that was not read is dropped.
    Input,
}

impl Tty {
    /// Takes a byte off the line. Called where sleeping is allowed, by one
    /// task at a time.
    pub fn receive(&self, byte: u8) {
        let effect = self.discipline.lock().receive(byte, &mut serial::put);
        self.apply(&effect);
    }

    fn apply(&self, effect: &Effect) {
        if let Some(signal) = effect.signal {
            hooks::signal_group(self.foreground(), signal);
        }
        if effect.readable {
            self.readable.wake_all();
        }
        if effect.writable {
            self.writable.wake_all();
        }
    }

    /// Reads a line, or in raw mode what VMIN and VTIME say.
    ///
    /// # Errors
    /// EAGAIN, EFAULT, or what a signal makes of it.
    pub fn read(&self, to: &mut dyn Sink, nonblocking: bool) -> Result<usize> {
        if to.room() == 0 {
            return Ok(0);
        }
        let mut done = 0;
        loop {
            self.check_foreground(SIGTTIN)?;
            let (moved, over) = self.take(to, done > 0)?;
            done += moved;
            let (canonical, least, tenths) = self.mode();
            let enough = done >= least.max(1).min(done + to.room());
            if over || to.room() == 0 || (done > 0 && (canonical || enough)) {
                return Ok(done);
            }
            if !canonical && least == 0 && tenths == 0 {
                return Ok(done);
            }
            if nonblocking {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EAGAIN)
                };
            }
            // VTIME runs from the start if VMIN is 0, else from the first byte.
            let timed = !canonical && tenths > 0 && (least == 0 || done > 0);
            let deadline = timed.then(|| Time::now().after(tenths * TENTH));
            match self.wait_for_input(deadline) {
                Ok(true) => {}
                Ok(false) => return Ok(done),
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves what there is; true if the end of a line was met.
    fn take(&self, to: &mut dyn Sink, partial: bool) -> Result<(usize, bool)> {
        let _turn = self.reading.lock();
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        while to.room() > 0 {
            let wanted = to.room().min(CHUNK);
            let (count, over) = self.discipline.lock().take(&mut chunk[..wanted]);
            let moved = to.put(&chunk[..count]);
            done += moved;
            if moved < count && done == 0 && !partial {
                return Err(Errno::EFAULT);
            }
            if moved < count || over {
                return Ok((done, true));
            }
            if count == 0 {
                break;
            }
        }
        Ok((done, false))
    }

    /// Waits for input; false if the deadline came first.
    fn wait_for_input(&self, deadline: Option<Time>) -> Result<bool> {
        let there = || self.discipline.lock().has_input(1).then_some(());
        Ok(self.readable.wait_interruptible(deadline, there)?.is_some())
    }

    /// Whether it reads lines, and VMIN and VTIME if not.
    fn mode(&self) -> (bool, usize, u64) {
        let discipline = self.discipline.lock();
        let control = &discipline.settings.c_cc;
        let least = usize::from(control[VMIN as usize]);
        let tenths = u64::from(control[VTIME as usize]);
        (discipline.settings.local(ICANON), least, tenths)
    }

    /// Writes everything.
    ///
    /// # Errors
    /// EFAULT; while Ctrl-S holds the output, EAGAIN (who waits behind another
    /// writer then does wait) or what a signal makes of it: each only if
    /// nothing was written.
    pub fn write(&self, from: &mut dyn Source, nonblocking: bool) -> Result<usize> {
        if self.discipline.lock().settings.local(TOSTOP) {
            self.check_foreground(SIGTTOU)?;
        }
        let _turn = self.writing.lock_interruptible()?;
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        while from.left() > 0 {
            if let Err(error) = self.wait_until_released(nonblocking) {
                return if done > 0 { Ok(done) } else { Err(error) };
            }
            let wanted = from.left().min(CHUNK);
            let count = from.take(&mut chunk[..wanted]);
            for byte in &chunk[..count] {
                self.discipline.lock().put(*byte, &mut serial::put);
            }
            done += count;
            if count < wanted {
                return if done > 0 || crate::mutant!("bad-address-is-the-end") {
                    Ok(done)
                } else {
                    Err(Errno::EFAULT)
                };
            }
        }
        Ok(done)
    }

    fn wait_until_released(&self, nonblocking: bool) -> Result<()> {
        let released = || (!self.discipline.lock().stopped).then_some(());
        if released().is_some() {
            return Ok(());
        }
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        self.writable.wait_interruptible(None, released)?;
        Ok(())
    }

    /// What it is ready for, as poll's bits.
    pub fn readiness(&self) -> u32 {
        let discipline = self.discipline.lock();
        let control = &discipline.settings.c_cc;
        let least = match control[VTIME as usize] {
            0 => usize::from(control[VMIN as usize]),
            _ => 1,
        };
        let mut ready = 0;
        if discipline.has_input(least) {
            ready |= POLLIN | POLLRDNORM;
        }
        if !discipline.stopped {
            ready |= POLLOUT | POLLWRNORM;
        }
        ready
    }

    /// Where to wait for a change of that readiness.
    pub fn queues(&self) -> [&WaitQueue; 2] {
        [&self.readable, &self.writable]
    }

    /// The settings.
    pub fn settings(&self) -> termios {
        self.discipline.lock().settings
    }

    /// Other settings. Output is never waiting here, so there is nothing to
    /// drain first.
    pub fn set(&self, asked: &termios, flush: Flush) {
        let effect = {
            let mut discipline = self.discipline.lock();
            if flush == Flush::Input {
                discipline.flush();
            }
            discipline.set(settings::accepted(asked))
        };
        self.apply(&effect);
    }

    /// Drops input that was not read.
    pub fn flush(&self) {
        self.discipline.lock().flush();
    }

    /// How many bytes a read could have now.
    pub fn pending(&self) -> usize {
        self.discipline.lock().pending()
    }

    /// Rows and columns; zeros if nobody said.
    pub fn size(&self) -> winsize {
        *self.size.lock()
    }

    /// Other rows and columns: the foreground group hears of them.
    pub fn set_size(&self, size: winsize) {
        let fields = |size: &winsize| [size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel];
        let old = core::mem::replace(&mut *self.size.lock(), size);
        if fields(&old) != fields(&size) {
            hooks::signal_group(self.foreground(), SIGWINCH);
        }
    }

    /// The group that Ctrl-C reaches.
    pub fn foreground(&self) -> i32 {
        self.foreground.load(Ordering::Relaxed)
    }
}
