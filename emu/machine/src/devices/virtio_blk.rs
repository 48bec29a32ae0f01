//! A disk: virtio-blk behind virtio-mmio (version 2), with one queue.
//!
//! A request takes [`LATENCY`] and a cycle for each byte; then its bytes move
//! all at once and the interrupt line rises. Requests are done one after the
//! other, in the order in which they were made available.

use alloc::vec;

use serde::{Deserialize, Serialize};

use super::disk::{Contents, PAGES_MAX};
use super::virtqueue::{Broken, Chain, Memory, Piece, Queue, SIZE_MAX, total};
use crate::addr::PhysAddr;

/// Cycles from the moment at which a request is begun to its first byte.
pub const LATENCY: u64 = 20_000;

const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
const DEVICE_BLOCK: u32 = 2;
const VENDOR: u32 = 0x2045_4F43;

/// Cached writes are written down by a request of their own.
const FEATURE_FLUSH: u64 = 1 << 9;
/// The device speaks virtio 1.
const FEATURE_VERSION_1: u64 = 1 << 32;
const FEATURES: u64 = FEATURE_VERSION_1 | FEATURE_FLUSH;

const STATUS_DRIVER_OK: u32 = 4;
const STATUS_FEATURES_OK: u32 = 8;
const STATUS_NEEDS_RESET: u32 = 64;

const INTERRUPT_USED: u32 = 1;
const INTERRUPT_CONFIG: u32 = 2;

const SECTOR: u64 = 512;

const REQUEST_IN: u32 = 0;
const REQUEST_OUT: u32 = 1;
const REQUEST_FLUSH: u32 = 4;
const REQUEST_ID: u32 = 8;

const DONE: u8 = 0;
const FAILED: u8 = 1;
const UNKNOWN: u8 = 2;

const ID: [u8; 20] = *b"coe\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const HEADER: u64 = 16;

/// The device's registers, by offset.
mod register {
    pub(super) const MAGIC: u32 = 0x00;
    pub(super) const VERSION: u32 = 0x04;
    pub(super) const DEVICE: u32 = 0x08;
    pub(super) const VENDOR: u32 = 0x0C;
    pub(super) const FEATURES: u32 = 0x10;
    pub(super) const FEATURES_SELECT: u32 = 0x14;
    pub(super) const DRIVER_FEATURES: u32 = 0x20;
    pub(super) const DRIVER_FEATURES_SELECT: u32 = 0x24;
    pub(super) const QUEUE_SELECT: u32 = 0x30;
    pub(super) const QUEUE_SIZE_MAX: u32 = 0x34;
    pub(super) const QUEUE_SIZE: u32 = 0x38;
    pub(super) const QUEUE_READY: u32 = 0x44;
    pub(super) const QUEUE_NOTIFY: u32 = 0x50;
    pub(super) const INTERRUPT_STATUS: u32 = 0x60;
    pub(super) const INTERRUPT_ACKNOWLEDGE: u32 = 0x64;
    pub(super) const STATUS: u32 = 0x70;
    pub(super) const DESCRIPTORS: u32 = 0x80;
    pub(super) const AVAILABLE: u32 = 0x90;
    pub(super) const USED: u32 = 0xA0;
    pub(super) const CAPACITY: u32 = 0x100;
}

/// The disk's device. Its contents are no part of what is serialised:
/// snapshots and digests take them page by page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtioBlk {
    pages: u64,
    status: u32,
    features_select: u32,
    driver_select: u32,
    driver_features: u64,
    queue_select: u32,
    queue: Queue,
    interrupt: u32,
    /// When the request that is being done will be done.
    due: Option<u64>,
    #[serde(skip)]
    contents: Contents,
}

fn half(word: u64, high: bool) -> u32 {
    (if high { word >> 32 } else { word }) as u32
}

fn set_half(word: &mut u64, high: bool, value: u32) {
    let shift = if high { 32 } else { 0 };
    *word = *word & !(0xFFFF_FFFF << shift) | u64::from(value) << shift;
}

impl VirtioBlk {
    /// The device of a disk with these contents.
    #[must_use]
    pub fn new(contents: Contents) -> Self {
        VirtioBlk {
            pages: contents.len() / super::disk::PAGE as u64,
            contents,
            ..VirtioBlk::default()
        }
    }

    /// What is on the disk.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Gives a device that was just deserialised a disk of zeros to fill.
    /// `None` if no disk has as many pages as it says.
    pub(crate) fn allocate(&mut self) -> Option<&mut Contents> {
        let pages = usize::try_from(self.pages).ok()?;
        if pages == 0 || pages > PAGES_MAX {
            return None;
        }
        self.contents = Contents::zeroed(pages);
        Some(&mut self.contents)
    }

    /// True if the interrupt line is high.
    #[must_use]
    pub fn wants_interrupt(&self) -> bool {
        self.interrupt != 0
    }

    /// When the current request will be done.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.due
    }

    /// Reads a register.
    #[must_use]
    pub fn read(&self, register: u32) -> u32 {
        let first = self.queue_select == 0;
        match register {
            register::MAGIC => MAGIC,
            register::VERSION => VERSION,
            register::DEVICE => DEVICE_BLOCK,
            register::VENDOR => VENDOR,
            register::FEATURES => match self.features_select {
                0 => half(FEATURES, false),
                1 => half(FEATURES, true),
                _ => 0,
            },
            register::QUEUE_SIZE_MAX if first => SIZE_MAX,
            register::QUEUE_READY if first => self.queue.ready.into(),
            register::INTERRUPT_STATUS => self.interrupt,
            register::STATUS => self.status,
            register::CAPACITY => half(self.contents.len() / SECTOR, false),
            offset if offset == register::CAPACITY + 4 => half(self.contents.len() / SECTOR, true),
            _ => 0,
        }
    }

    /// Writes a register at cycle `now`.
    pub fn write(&mut self, register: u32, value: u32, memory: &dyn Memory, now: u64) {
        match register {
            register::FEATURES_SELECT => self.features_select = value,
            register::DRIVER_FEATURES_SELECT => self.driver_select = value,
            register::DRIVER_FEATURES if self.driver_select < 2 => {
                let high = self.driver_select == 1;
                set_half(&mut self.driver_features, high, value);
            }
            register::QUEUE_SELECT => self.queue_select = value,
            register::QUEUE_NOTIFY => self.begin(memory, now),
            register::INTERRUPT_ACKNOWLEDGE => self.interrupt &= !value,
            register::STATUS => self.set_status(value),
            _ if self.queue_select == 0 => self.write_queue(register, value),
            _ => {}
        }
    }

    fn write_queue(&mut self, register: u32, value: u32) {
        let queue = &mut self.queue;
        match register {
            register::QUEUE_READY => queue.ready = value & 1 != 0 && queue.is_sound(),
            // The rest stands as long as the queue is in use.
            _ if queue.ready => {}
            register::QUEUE_SIZE => queue.size = value,
            _ => {
                let word = match register & !4 {
                    register::DESCRIPTORS => &mut queue.descriptors,
                    register::AVAILABLE => &mut queue.available,
                    register::USED => &mut queue.used,
                    _ => return,
                };
                set_half(word, register & 4 != 0, value);
            }
        }
    }

    fn set_status(&mut self, value: u32) {
        if value == 0 {
            *self = VirtioBlk::new(core::mem::take(&mut self.contents));
            return;
        }
        let mut status = value | self.status & STATUS_NEEDS_RESET;
        let agreed =
            self.driver_features & !FEATURES == 0 && self.driver_features & FEATURE_VERSION_1 != 0;
        if !agreed {
            status &= !STATUS_FEATURES_OK;
        }
        self.status = status;
    }

    /// The driver broke the rules: nothing goes on before a reset.
    fn fail(&mut self) {
        self.status |= STATUS_NEEDS_RESET;
        self.interrupt |= INTERRUPT_CONFIG;
        self.due = None;
    }

    /// Begins the next request, if there is one and none is being done.
    fn begin(&mut self, memory: &dyn Memory, now: u64) {
        let runs = self.status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET) == STATUS_DRIVER_OK;
        if !runs || self.due.is_some() {
            return;
        }
        match self.queue.next(memory) {
            Ok(Some(chain)) => {
                let bytes = total(&chain.readable) + total(&chain.writable);
                self.due = Some(now.saturating_add(LATENCY + bytes));
            }
            Ok(None) => {}
            Err(Broken) => self.fail(),
        }
    }

    /// Does what is due at cycle `now`.
    pub fn advance(&mut self, memory: &mut dyn Memory, now: u64) {
        while let Some(due) = self.due
            && due <= now
        {
            self.due = None;
            match self.complete(memory) {
                Ok(true) => self.interrupt |= INTERRUPT_USED,
                Ok(false) => {}
                Err(Broken) => return self.fail(),
            }
            self.begin(memory, due);
        }
    }

    /// Does the next request. True if the driver wants an interrupt for it.
    fn complete(&mut self, memory: &mut dyn Memory) -> Result<bool, Broken> {
        let Some(chain) = self.queue.next(memory)? else {
            return Ok(false);
        };
        let written = self.serve(&chain, memory)?;
        self.queue.give_back(memory, chain.head, written)
    }

    /// Does a request; gives the number of bytes that it wrote.
    fn serve(&mut self, chain: &Chain, memory: &mut dyn Memory) -> Result<u32, Broken> {
        let (kind, sector) = header(chain, memory)?;
        let room = total(&chain.writable).checked_sub(1).ok_or(Broken)?;
        let at = sector.saturating_mul(SECTOR);
        let (status, moved) = match kind {
            REQUEST_IN if self.fits(at, room) => (DONE, self.read_to(at, chain, room, memory)?),
            REQUEST_OUT if self.fits(at, total(&chain.readable) - HEADER) => {
                self.write_from(at, chain, memory)?;
                (DONE, 0)
            }
            REQUEST_IN | REQUEST_OUT => (FAILED, 0),
            REQUEST_FLUSH => (DONE, 0),
            REQUEST_ID if room >= ID.len() as u64 => {
                scatter(&chain.writable, 0, &ID, memory)?;
                (DONE, ID.len() as u32)
            }
            _ => (UNKNOWN, 0),
        };
        scatter(&chain.writable, room, &[status], memory)?;
        Ok(moved + 1)
    }

    fn fits(&self, at: u64, len: u64) -> bool {
        len.is_multiple_of(SECTOR) && self.contents.holds(at, len)
    }

    fn read_to(
        &self,
        at: u64,
        chain: &Chain,
        len: u64,
        memory: &mut dyn Memory,
    ) -> Result<u32, Broken> {
        let mut bytes = vec![0; len as usize];
        self.contents.read(at, &mut bytes);
        scatter(&chain.writable, 0, &bytes, memory)?;
        Ok(len as u32)
    }

    fn write_from(
        &mut self,
        at: u64,
        chain: &Chain,
        memory: &mut dyn Memory,
    ) -> Result<(), Broken> {
        let mut bytes = vec![0; (total(&chain.readable) - HEADER) as usize];
        gather(&chain.readable, HEADER, &mut bytes, memory)?;
        self.contents.write(at, &bytes);
        Ok(())
    }
}

/// What a request begins with: its kind and its first sector.
fn header(chain: &Chain, memory: &dyn Memory) -> Result<(u32, u64), Broken> {
    let mut header = [0; HEADER as usize];
    gather(&chain.readable, 0, &mut header, memory)?;
    let (kind, rest) = header.split_first_chunk::<4>().ok_or(Broken)?;
    let (_, sector) = rest.split_last_chunk::<8>().ok_or(Broken)?;
    Ok((u32::from_le_bytes(*kind), u64::from_le_bytes(*sector)))
}

/// The parts of the pieces that hold `len` bytes from `skip` on.
fn parts(
    pieces: &[Piece],
    skip: u64,
    len: usize,
) -> Result<impl Iterator<Item = (u64, usize)>, Broken> {
    if total(pieces) < skip + len as u64 {
        return Err(Broken);
    }
    let (mut skip, mut left) = (skip, len as u64);
    Ok(pieces.iter().filter_map(move |piece| {
        let from = skip.min(piece.len.into());
        skip -= from;
        let count = (u64::from(piece.len) - from).min(left);
        left -= count;
        (count > 0).then_some((piece.at.wrapping_add(from), count as usize))
    }))
}

fn gather(pieces: &[Piece], skip: u64, into: &mut [u8], memory: &dyn Memory) -> Result<(), Broken> {
    let mut rest = into;
    for (at, count) in parts(pieces, skip, rest.len())? {
        let (now, later) = rest.split_at_mut(count);
        if !memory.fetch(PhysAddr(at), now) {
            return Err(Broken);
        }
        rest = later;
    }
    Ok(())
}

fn scatter(
    pieces: &[Piece],
    skip: u64,
    bytes: &[u8],
    memory: &mut dyn Memory,
) -> Result<(), Broken> {
    let mut rest = bytes;
    for (at, count) in parts(pieces, skip, rest.len())? {
        let (now, later) = rest.split_at(count);
        if !memory.store(PhysAddr(at), now) {
            return Err(Broken);
        }
        rest = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
