//! A split virtqueue as the device sees it: the driver puts chains of
//! descriptors into the available ring, the device gives them back through
//! the used ring. Both lie in the guest's memory, so nothing in them is
//! believed.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::addr::PhysAddr;

/// The longest queue, in descriptors.
pub(super) const SIZE_MAX: u32 = 64;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const NO_INTERRUPT: u16 = 1;

/// The guest's memory, as a device reaches it. Each is false if not all of it
/// is RAM.
pub trait Memory {
    /// Copies bytes out.
    fn fetch(&self, at: PhysAddr, into: &mut [u8]) -> bool;
    /// Copies bytes in.
    #[must_use]
    fn store(&mut self, at: PhysAddr, bytes: &[u8]) -> bool;
}

/// The driver has put something into the queue that is none of its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// A piece of the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: u64,
    pub(super) len: u32,
}

/// What one chain of descriptors describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// The number of its first descriptor: how the driver knows it again.
    pub(super) head: u16,
    /// What the device reads.
    pub(super) readable: Vec<Piece>,
    /// What the device writes.
    pub(super) writable: Vec<Piece>,
}

/// How many bytes the pieces hold.
pub(super) fn total(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| u64::from(piece.len)).sum()
}

/// The queue: where its three parts lie, and how far the device is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) size: u32,
    pub(super) ready: bool,
    pub(super) descriptors: u64,
    pub(super) available: u64,
    pub(super) used: u64,
    next_available: u16,
    next_used: u16,
}

fn fetch<const N: usize>(memory: &dyn Memory, at: u64) -> Result<[u8; N], Broken> {
    let mut bytes = [0; N];
    match memory.fetch(PhysAddr(at), &mut bytes) {
        true => Ok(bytes),
        false => Err(Broken),
    }
}

fn fetch_u16(memory: &dyn Memory, at: u64) -> Result<u16, Broken> {
    fetch(memory, at).map(u16::from_le_bytes)
}

impl Queue {
    /// True if its size is one that a queue can have.
    pub(super) fn is_sound(&self) -> bool {
        self.size.is_power_of_two() && self.size <= SIZE_MAX
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index) % u64::from(self.size.max(1))
    }

    /// The next chain, if the driver has made one available. It stays the
    /// next one until [`Queue::give_back`].
    pub(super) fn next(&self, memory: &dyn Memory) -> Result<Option<Chain>, Broken> {
        if !self.ready || fetch_u16(memory, self.available.wrapping_add(2))? == self.next_available
        {
            return Ok(None);
        }
        let at = self.slot(self.next_available) * 2 + 4;
        let head = fetch_u16(memory, self.available.wrapping_add(at))?;
        self.chain(memory, head).map(Some)
    }

    fn chain(&self, memory: &dyn Memory, head: u16) -> Result<Chain, Broken> {
        let mut chain = Chain {
            head,
            ..Chain::default()
        };
        let mut index = head;
        for _ in 0..self.size {
            if u32::from(index) >= self.size {
                return Err(Broken);
            }
            let at = self.descriptors.wrapping_add(u64::from(index) * 16);
            let at_len = fetch::<16>(memory, at)?;
            let (address, rest) = at_len.split_first_chunk::<8>().ok_or(Broken)?;
            let flags = u16::from_le_bytes([rest[4], rest[5]]);
            let piece = Piece {
                at: u64::from_le_bytes(*address),
                len: u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]),
            };
            match flags & WRITE != 0 {
                true => chain.writable.push(piece),
                false if chain.writable.is_empty() => chain.readable.push(piece),
                // What is read comes before what is written.
                false => return Err(Broken),
            }
            if flags & NEXT == 0 {
                return Ok(chain);
            }
            index = u16::from_le_bytes([rest[6], rest[7]]);
        }
        Err(Broken)
    }

    /// Gives a chain back of which `written` bytes were written. True if the
    /// driver wants an interrupt for it.
    pub(super) fn give_back(
        &mut self,
        memory: &mut dyn Memory,
        head: u16,
        written: u32,
    ) -> Result<bool, Broken> {
        let at = self.used.wrapping_add(4 + self.slot(self.next_used) * 8);
        let entry = u64::from(head) | u64::from(written) << 32;
        let next = self.next_used.wrapping_add(1);
        let stored = memory.store(PhysAddr(at), &entry.to_le_bytes())
            && memory.store(PhysAddr(self.used.wrapping_add(2)), &next.to_le_bytes());
        if !stored {
            return Err(Broken);
        }
        self.next_used = next;
        self.next_available = self.next_available.wrapping_add(1);
        Ok(fetch_u16(memory, self.available)? & NO_INTERRUPT == 0)
    }
}
