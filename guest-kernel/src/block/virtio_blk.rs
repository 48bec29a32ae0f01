//! The disk: whole pages in and out. Whoever asks sleeps until it is done.

use abi::event::{BlockRqComplete, BlockRqIssue};

use super::PAGE;
use super::mmio::{Refusal, Registers};
use super::virtqueue::{Data, SIZE, SLOTS, Virtqueue};
use crate::errno::{Errno, Result};
use crate::mm::frame::Frame;
use crate::probe;
use crate::sched::WaitQueue;
use crate::sync::SpinLock;

const KIND_BLOCK: u32 = 2;
const FEATURE_FLUSH: u64 = 1 << 9;

const REQUEST_IN: u32 = 0;
const REQUEST_OUT: u32 = 1;
const REQUEST_FLUSH: u32 = 4;

const SECTOR: u64 = 512;
const DONE: u8 = 0;

/// The device interrupts because its own state has changed: it is broken.
const INTERRUPT_CONFIGURATION: u32 = 2;

/// What is asked of the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Flush,
}

impl Kind {
    /// As Linux's block tracepoints say it.
    fn letter(self) -> &'static str {
        match self {
            Kind::Read => "R",
            Kind::Write => "W",
            Kind::Flush => "F",
        }
    }
}

/// One of the requests that can be on their way.
enum Slot {
    Free,
    /// The device works on it. Its frame is kept here, so that the device
    /// never writes to memory that is somebody else's.
    Busy {
        sector: u64,
        #[expect(dead_code, reason = "held only so that the frame stays")]
        frame: Option<Frame>,
    },
    Done(Result<()>),
}

struct State {
    queue: Virtqueue,
    slots: [Slot; SLOTS],
    /// The device has given up.
    broken: bool,
}

/// The disk.
pub struct Disk {
    registers: Registers,
    vector: u8,
    pages: u64,
    flushes: bool,
    state: SpinLock<State>,
    /// Who waits for a free slot.
    free: WaitQueue,
    /// Who waits for the request in a slot.
    done: [WaitQueue; SLOTS],
}

impl Disk {
    /// Finds the disk at a physical address and sets it up.
    pub fn new(address: u64, vector: u8) -> core::result::Result<Self, Refusal> {
        let registers = Registers::find(address, KIND_BLOCK)?;
        let features = registers.agree(FEATURE_FLUSH)?;
        let queue = Virtqueue::new().map_err(|_| "there is no memory for its queue")?;
        registers.start(SIZE, queue.parts())?;
        let pages = registers.configuration(0) / (PAGE / SECTOR);
        Ok(Disk {
            registers,
            vector,
            pages,
            flushes: features & FEATURE_FLUSH != 0,
            state: SpinLock::new(State {
                queue,
                slots: [const { Slot::Free }; SLOTS],
                broken: false,
            }),
            free: WaitQueue::new(),
            done: [const { WaitQueue::new() }; SLOTS],
        })
    }

    /// How many whole pages it has.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Reads a page into a frame.
    ///
    /// # Errors
    /// `EIO`.
    pub fn read(&self, page: u64, frame: &Frame) -> Result<()> {
        self.request(Kind::Read, page, Some(frame))
    }

    /// Writes a page from a frame.
    ///
    /// # Errors
    /// `EIO`.
    pub fn write(&self, page: u64, frame: &Frame) -> Result<()> {
        self.request(Kind::Write, page, Some(frame))
    }

    /// Has everything that was written kept for good.
    ///
    /// # Errors
    /// `EIO`.
    pub fn flush(&self) -> Result<()> {
        match self.flushes {
            true => self.request(Kind::Flush, 0, None),
            false => Ok(()),
        }
    }

    fn request(&self, kind: Kind, page: u64, frame: Option<&Frame>) -> Result<()> {
        let slot = self.free.wait(|| self.submit(kind, page, frame))?;
        let result = self.done[slot].wait(|| self.collect(slot));
        self.free.wake_one();
        result
    }

    /// Puts a request into a free slot, if there is one.
    fn submit(&self, kind: Kind, page: u64, frame: Option<&Frame>) -> Option<Result<usize>> {
        let mut state = self.state.lock();
        if state.broken {
            return Some(Err(Errno::EIO));
        }
        let slot = state
            .slots
            .iter()
            .position(|slot| matches!(slot, Slot::Free))?;
        let sector = page * (PAGE / SECTOR);
        state.slots[slot] = Slot::Busy {
            sector,
            frame: frame.cloned(),
        };
        let (number, data) = match (kind, frame) {
            (Kind::Read, Some(frame)) => (REQUEST_IN, Data::In(frame)),
            (Kind::Write, Some(frame)) => (REQUEST_OUT, Data::Out(frame)),
            _ => (REQUEST_FLUSH, Data::None),
        };
        state.queue.put(slot, number, sector, &data);
        probe::emit(&BlockRqIssue {
            sector,
            bytes: frame.map_or(0, |_| PAGE),
            rwbs: kind.letter().into(),
        });
        self.registers.notify();
        Some(Ok(slot))
    }

    /// The result of a slot's request, once it is there; frees the slot.
    fn collect(&self, slot: usize) -> Option<Result<()>> {
        let mut state = self.state.lock();
        match state.slots[slot] {
            Slot::Done(result) => {
                state.slots[slot] = Slot::Free;
                Some(result)
            }
            Slot::Free | Slot::Busy { .. } => None,
        }
    }

    /// The device interrupts. True if the vector is this device's.
    pub fn interrupt(&self, vector: u8) -> bool {
        if vector != self.vector {
            return false;
        }
        // First the device hears that it was heard, then the queue is looked
        // at: what is done in between interrupts again.
        let why = self.registers.take_interrupt();
        let mut state = self.state.lock();
        let mut frames = [const { None }; SLOTS];
        while let Some((slot, status)) = state.queue.take_done() {
            let result = match status {
                DONE => Ok(()),
                _ => Err(Errno::EIO),
            };
            frames[slot] = self.finish(&mut state, slot, result);
        }
        if why & INTERRUPT_CONFIGURATION != 0 {
            state.broken = true;
            for (slot, frame) in frames.iter_mut().enumerate() {
                let given_up = self.finish(&mut state, slot, Err(Errno::EIO));
                *frame = given_up.or(frame.take());
            }
            self.free.wake_all();
        }
        drop(state);
        drop(frames);
        true
    }

    /// A slot's request is done; gives its slot's contents, to be dropped
    /// without the lock.
    fn finish(&self, state: &mut State, slot: usize, result: Result<()>) -> Option<Slot> {
        let Slot::Busy { sector, .. } = state.slots[slot] else {
            return None;
        };
        probe::emit(&BlockRqComplete {
            sector,
            error: result.err().map_or(0, Errno::as_return),
        });
        let before = core::mem::replace(&mut state.slots[slot], Slot::Done(result));
        self.done[slot].wake_one();
        Some(before)
    }
}
