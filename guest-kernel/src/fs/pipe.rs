//! Pipes: sixteen pages between writers and readers, as on Linux.

use alloc::collections::VecDeque;

use abi::event::FrameKind;
use linux_raw_sys::general::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};

use super::hooks;
use super::transfer::{Sink, Source};
use crate::errno::{Errno, Result};
use crate::mm::frame::{self, Frame};
use crate::sched::{Mutex, WaitQueue};
use crate::sync::SpinLock;

const PAGE: usize = 4096;

/// Pages in a pipe.
const SLOTS: usize = 16;

/// What F_GETPIPE_SZ answers.
pub const CAPACITY: u64 = (SLOTS * PAGE) as u64;

/// A pipe. Its ends are open file descriptions that count themselves here.
///
/// User memory is touched while `ring` is not locked, since that may sleep.
/// What is in the ring is consumed only by the holder of `reading` and added
/// only by the holder of `writing`, so what they saw there stays.
pub struct Pipe {
    ring: SpinLock<Ring>,
    reading: Mutex<()>,
    writing: Mutex<()>,
    readable: WaitQueue,
    writable: WaitQueue,
}

struct Ring {
    slots: VecDeque<Slot>,
    readers: usize,
    writers: usize,
    /// How often each end was opened, the reading one first.
    opened: [u64; 2],
}

/// One page and the bytes of it that are not read yet.
struct Slot {
    frame: Frame,
    start: usize,
    end: usize,
}

/// The two ends of a pipe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where bytes come out.
    Read,
    /// Where bytes go in.
    Write,
}

impl Pipe {
    /// An empty pipe without ends.
    pub fn new() -> Self {
        Pipe {
            ring: SpinLock::new(Ring {
                slots: VecDeque::with_capacity(SLOTS),
                readers: 0,
                writers: 0,
                opened: [0; 2],
            }),
            reading: Mutex::new(()),
            writing: Mutex::new(()),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
        }
    }

    /// One more description of this end.
    pub fn open(&self, end: End) {
        {
            let mut ring = self.ring.lock();
            *ring.count(end) += 1;
            ring.opened[end as usize] += 1;
        }
        // Who opens by name may wait for this.
        self.readable.wake_all();
        self.writable.wake_all();
    }

    /// True if somebody has this end open.
    pub fn has(&self, end: End) -> bool {
        *self.ring.lock().count(end) > 0
    }

    /// Waits until this end is open, or was.
    ///
    /// # Errors
    /// What a signal makes of it.
    pub fn wait_for_opener(&self, end: End) -> Result<()> {
        let before = self.ring.lock().opened[end as usize];
        if self.has(end) || crate::mutant!("fifo-open-does-not-wait") {
            return Ok(());
        }
        let own = match end {
            End::Read => &self.writable,
            End::Write => &self.readable,
        };
        own.wait_interruptible(None, || {
            let mut ring = self.ring.lock();
            (ring.opened[end as usize] != before || *ring.count(end) > 0).then_some(())
        })?;
        Ok(())
    }

    /// One description of this end less; the other end hears of the last.
    pub fn close(&self, end: End) {
        let (left, dropped) = {
            let mut ring = self.ring.lock();
            *ring.count(end) -= 1;
            let left = *ring.count(end);
            // With nobody left, what was not read is gone: a name may go on.
            let all = ring.readers + ring.writers == 0;
            let dropped = if all {
                core::mem::take(&mut ring.slots)
            } else {
                VecDeque::new()
            };
            (left, dropped)
        };
        drop(dropped);
        if left == 0 {
            self.readable.wake_all();
            self.writable.wake_all();
        }
    }

    /// Bytes that wait to be read.
    pub fn pending(&self) -> usize {
        let ring = self.ring.lock();
        ring.slots.iter().map(|slot| slot.end - slot.start).sum()
    }

    /// What an end is ready for, as poll's bits.
    pub fn readiness(&self, end: End) -> u32 {
        let ring = self.ring.lock();
        let mut ready = 0;
        match end {
            End::Read => {
                if !ring.slots.is_empty() {
                    ready |= POLLIN | POLLRDNORM;
                }
                if ring.writers == 0 {
                    ready |= POLLHUP;
                }
            }
            End::Write => {
                if ring.slots.len() < SLOTS {
                    ready |= POLLOUT | POLLWRNORM;
                }
                if ring.readers == 0 {
                    ready |= POLLERR;
                }
            }
        }
        ready
    }

    /// Where to wait for a change of that readiness.
    pub fn queue(&self, end: End) -> &WaitQueue {
        match end {
            End::Read => &self.readable,
            End::Write => &self.writable,
        }
    }

    /// Reads what is there; waits only if there is nothing.
    ///
    /// # Errors
    /// EAGAIN, EFAULT, or what a signal makes of it.
    pub fn read(&self, to: &mut dyn Sink, nonblocking: bool) -> Result<usize> {
        if to.room() == 0 {
            return Ok(0);
        }
        loop {
            let done = self.drain(to)?;
            if done > 0 {
                return Ok(done);
            }
            // In this order: who sees no writer and then an empty pipe has
            // missed nothing.
            if self.ring.lock().at_end() {
                return Ok(0);
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.readable.wait_interruptible(None, || {
                let ring = self.ring.lock();
                (!ring.slots.is_empty() || ring.writers == 0).then_some(())
            })?;
        }
    }

    /// Moves bytes out of the ring until it is empty or the sink is full.
    fn drain(&self, to: &mut dyn Sink) -> Result<usize> {
        let _turn = self.reading.lock();
        let mut done = 0;
        while to.room() > 0 {
            let Some((frame, start, end)) = self.ring.lock().head() else {
                break;
            };
            let wanted = (end - start).min(to.room());
            let moved = to.put_frame(&frame, start, wanted);
            if moved < wanted {
                // Nothing of this page counts as read: it stays. (Not so what
                // a file has taken.)
                if to.keeps_part() && moved > 0 {
                    drop(self.ring.lock().consume(moved));
                    done += moved;
                }
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EFAULT)
                };
            }
            done += wanted;
            let emptied = self.ring.lock().consume(wanted);
            if emptied.is_some() {
                self.writable.wake_all();
            }
        }
        Ok(done)
    }

    /// Writes everything, waiting for room; up to a page goes in as one piece.
    ///
    /// # Errors
    /// EPIPE (with SIGPIPE), EAGAIN, EFAULT, ENOMEM, or what a signal makes
    /// of it: each only if nothing was written.
    pub fn write(&self, from: &mut dyn Source, nonblocking: bool) -> Result<usize> {
        let mut done = 0;
        let mut merge = from.left() % PAGE;
        while from.left() > 0 {
            let outcome = self
                .fill(from, core::mem::take(&mut merge), &mut done)
                .and_then(|()| self.wait_for_room(from, nonblocking));
            match outcome {
                Ok(()) => {}
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Waits until another page fits, or nobody reads any more.
    ///
    /// # Errors
    /// What a signal makes of it.
    pub fn wait_for_room_once(&self) -> Result<()> {
        let room = || {
            let ring = self.ring.lock();
            (ring.slots.len() < SLOTS || ring.readers == 0).then_some(())
        };
        self.writable.wait_interruptible(None, room)?;
        Ok(())
    }

    /// Like [`Pipe::read`], but what is read stays.
    ///
    /// # Errors
    /// EAGAIN, or what a signal makes of it.
    pub fn look(&self, to: &mut dyn Sink, nonblocking: bool) -> Result<usize> {
        let nothing = || {
            let ring = self.ring.lock();
            ring.slots.is_empty() && ring.writers > 0
        };
        if nothing() {
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            let there = || (!nothing()).then_some(());
            self.readable.wait_interruptible(None, there)?;
        }
        let _turn = self.reading.lock();
        let mut done = 0;
        for at in 0..SLOTS {
            let slot = {
                let ring = self.ring.lock();
                let slot = ring.slots.get(at);
                slot.map(|slot| (slot.frame.clone(), slot.start, slot.end))
            };
            let Some((frame, start, end)) = slot else {
                break;
            };
            let wanted = (end - start).min(to.room());
            let moved = to.put_frame(&frame, start, wanted);
            done += moved;
            if crate::mutant!("tee-takes") {
                drop(self.ring.lock().consume(moved));
            }
            if moved < wanted || to.room() == 0 {
                break;
            }
        }
        Ok(done)
    }

    fn wait_for_room(&self, from: &dyn Source, nonblocking: bool) -> Result<()> {
        if from.left() == 0 {
            return Ok(());
        }
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        self.wait_for_room_once()
    }

    /// Moves bytes into the ring until it is full or the source is empty.
    ///
    /// `merge` bytes, if not 0, may go behind those of the newest page: the
    /// odd part of a write, at its start.
    fn fill(&self, from: &mut dyn Source, merge: usize, done: &mut usize) -> Result<()> {
        let _turn = self.writing.lock();
        let mut merge = merge;
        while from.left() > 0 {
            let room = self.ring.lock().room(merge);
            let (frame, at, count) = match room {
                Room::NoReader => {
                    hooks::broken_pipe();
                    return Err(Errno::EPIPE);
                }
                Room::None => return Ok(()),
                Room::Behind(frame, at) => (frame, at, merge),
                // Only what is written of a page is ever read.
                Room::Page => {
                    let count = PAGE.min(from.left());
                    (frame::alloc_uncleared(FrameKind::PageCache)?, 0, count)
                }
            };
            if from.take_to_frame(&frame, at, count) < count {
                return Err(Errno::EFAULT);
            }
            let spare = self.ring.lock().append(frame, at, count);
            drop(spare);
            self.readable.wake_all();
            *done += count;
            merge = 0;
        }
        Ok(())
    }
}

/// Where the next bytes can go.
enum Room {
    /// Nobody will ever read them.
    NoReader,
    /// Every page is in use.
    None,
    /// Behind the bytes of the newest page, from here on.
    Behind(Frame, usize),
    /// Into a page of their own.
    Page,
}

impl Ring {
    fn count(&mut self, end: End) -> &mut usize {
        match end {
            End::Read => &mut self.readers,
            End::Write => &mut self.writers,
        }
    }

    fn at_end(&self) -> bool {
        self.slots.is_empty() && self.writers == 0
    }

    /// The oldest page and where its unread bytes lie.
    fn head(&self) -> Option<(Frame, usize, usize)> {
        let slot = self.slots.front()?;
        Some((slot.frame.clone(), slot.start, slot.end))
    }

    /// Takes bytes off the oldest page; the page too if it is empty then.
    fn consume(&mut self, count: usize) -> Option<Slot> {
        let slot = self.slots.front_mut()?;
        slot.start += count;
        if slot.start < slot.end {
            return None;
        }
        self.slots.pop_front()
    }

    /// Where the next bytes can go; `merge` of them, if not 0, behind those of
    /// the newest page.
    fn room(&self, merge: usize) -> Room {
        if self.readers == 0 {
            return Room::NoReader;
        }
        match self.slots.back() {
            Some(newest) if merge > 0 && newest.end + merge <= PAGE => {
                Room::Behind(newest.frame.clone(), newest.end)
            }
            _ if self.slots.len() == SLOTS => Room::None,
            _ => Room::Page,
        }
    }

    /// Adds bytes that were written into a frame. Gives the frame back if the
    /// ring has it already: they lie behind those of the newest page. If that
    /// was read empty meanwhile, it comes again with these.
    fn append(&mut self, frame: Frame, at: usize, count: usize) -> Option<Frame> {
        match self.slots.back_mut() {
            Some(newest) if newest.frame.address() == frame.address() => {
                newest.end += count;
                Some(frame)
            }
            _ => {
                self.slots.push_back(Slot {
                    frame,
                    start: at,
                    end: at + count,
                });
                None
            }
        }
    }
}
