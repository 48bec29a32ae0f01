//! The queue of requests, in one frame that driver and device both see. A
//! request is always three descriptors: header, data, status.

use core::sync::atomic::{Ordering, fence};

use abi::event::FrameKind;

use crate::errno::Result;
use crate::mm::frame::{self, Frame};

/// Requests that can be on their way at a time.
pub const SLOTS: usize = 8;

/// Descriptors: three for each slot, and a power of two.
pub const SIZE: u32 = 32;

const NEXT: u16 = 1;
const WRITE: u16 = 2;

const AVAILABLE: usize = 1024;
const USED: usize = 1536;
const SLOT_DATA: usize = 2048;
const SLOT_BYTES: usize = 64;
const HEADER: u32 = 16;
const STATUS: usize = 32;

/// What is moved.
pub enum Data<'a> {
    /// Nothing.
    None,
    /// From the disk into the frame.
    In(&'a Frame),
    /// From the frame onto the disk.
    Out(&'a Frame),
}

/// The queue.
pub struct Virtqueue {
    frame: Frame,
    available: u16,
    used: u16,
}

impl Virtqueue {
    /// An empty queue.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        Ok(Virtqueue {
            frame: frame::alloc(FrameKind::Slab)?,
            available: 0,
            used: 0,
        })
    }

    /// Where its three parts lie.
    pub fn parts(&self) -> [u64; 3] {
        let at = self.frame.address();
        [at, at + AVAILABLE as u64, at + USED as u64]
    }

    fn read_u16(&self, at: usize) -> u16 {
        // SAFETY: inside the frame and aligned; the device may write it.
        unsafe { self.frame.bytes().add(at).cast::<u16>().read_volatile() }
    }

    fn write_u16(&self, at: usize, value: u16) {
        // SAFETY: as in `read_u16`.
        unsafe {
            let place = self.frame.bytes().add(at).cast::<u16>();
            place.write_volatile(value);
        }
    }

    fn describe(&self, index: usize, address: u64, len: u32, flags: u16) {
        let at = index * 16;
        self.frame.write(at, &address.to_le_bytes());
        self.frame.write(at + 8, &len.to_le_bytes());
        self.frame.write(at + 12, &flags.to_le_bytes());
        let next = if flags & NEXT != 0 { index + 1 } else { 0 };
        self.frame.write(at + 14, &(next as u16).to_le_bytes());
    }

    /// Makes a request available to the device.
    pub fn put(&mut self, slot: usize, kind: u32, sector: u64, data: &Data<'_>) {
        let place = SLOT_DATA + slot * SLOT_BYTES;
        let physical = self.frame.address() + place as u64;
        self.frame.write(place, &kind.to_le_bytes());
        self.frame.write(place + 4, &[0; 4]);
        self.frame.write(place + 8, &sector.to_le_bytes());
        self.frame.write(place + STATUS, &[0xFF]);
        let first = slot * 3;
        self.describe(first, physical, HEADER, NEXT);
        match data {
            Data::None => {}
            Data::In(frame) => self.describe(first + 1, frame.address(), 4096, NEXT | WRITE),
            Data::Out(frame) => self.describe(first + 1, frame.address(), 4096, NEXT),
        }
        if matches!(data, Data::None) {
            // The header goes on to the status at once.
            self.frame
                .write(first * 16 + 14, &(first as u16 + 2).to_le_bytes());
        }
        self.describe(first + 2, physical + STATUS as u64, 1, WRITE);
        let ring = AVAILABLE + 4 + usize::from(self.available % SIZE as u16) * 2;
        self.write_u16(ring, first as u16);
        fence(Ordering::Release);
        self.available = self.available.wrapping_add(1);
        self.write_u16(AVAILABLE + 2, self.available);
        fence(Ordering::SeqCst);
    }

    /// The next request that the device has done: its slot, and the status
    /// that the device gave it.
    pub fn take_done(&mut self) -> Option<(usize, u8)> {
        if self.read_u16(USED + 2) == self.used {
            return None;
        }
        fence(Ordering::Acquire);
        let mut head = [0; 4];
        let ring = USED + 4 + usize::from(self.used % SIZE as u16) * 8;
        self.frame.read(ring, &mut head);
        self.used = self.used.wrapping_add(1);
        let slot = u32::from_le_bytes(head) as usize / 3 % SLOTS;
        let mut status = [0];
        self.frame
            .read(SLOT_DATA + slot * SLOT_BYTES + STATUS, &mut status);
        Some((slot, status[0]))
    }
}
