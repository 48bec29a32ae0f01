//! What the CPU reaches by address: RAM, the memory of devices, and ports.

pub mod fast;
mod image;
mod kept;
mod moment;
mod page;
mod ports;
pub mod ram;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::addr::PhysAddr;
use crate::devices::apic::Apic;
use crate::devices::virtio_blk::VirtioBlk;
use crate::devices::{Devices, Memory};
pub(crate) use kept::entry;
pub(crate) use moment::Moment;
use ram::Ram;

/// The local APIC's registers.
pub const LOCAL_APIC: u64 = 0xFEE0_0000;
/// The IOAPIC's registers.
pub const IO_APIC: u64 = 0xFEC0_0000;
/// The disk's registers: where QEMU's `microvm` has its first virtio device.
pub const DISK: u64 = 0xFEB0_0000;
/// Bytes of the disk's registers.
pub const DISK_SIZE: u64 = 0x200;

/// Something that a port access wants from the machine around the CPU. The run
/// loop takes it right after the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The serial port sent a byte.
    Console(u8),
    /// The debug-exit port was written.
    Exit(u32),
    /// A reset line was pulled.
    Reset,
    /// The power was switched off.
    PowerOff,
    /// The probe was written: a tracepoint with this number.
    Trace(u32),
    /// The probe was read: a choice of this kind, to be answered in `eax`.
    Choice(u32),
}

/// RAM and devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bus {
    /// The memory.
    pub ram: Ram,
    /// The devices.
    pub devices: Devices,
    /// The disk, if there is one. It is saved and hashed by itself, so that a
    /// machine without one is the same as ever.
    #[serde(skip)]
    pub disk: Option<VirtioBlk>,
    /// Empty at each boundary, so it is no state.
    #[serde(skip)]
    signals: Vec<Signal>,
    /// What is due may have changed, or there are signals. No state either.
    #[serde(skip)]
    attention: bool,
}

impl Bus {
    /// A bus with this much RAM (bytes) and a clock that starts at `epoch`.
    #[must_use]
    pub fn new(memory: u64, epoch: u64) -> Self {
        Bus {
            ram: Ram::new(memory),
            devices: Devices::new(epoch),
            disk: None,
            signals: Vec::new(),
            attention: false,
        }
    }

    /// Reads 1, 2, 4 or 8 bytes that do not cross a page, at cycle `now`.
    /// Where nothing answers, all bits are set.
    #[inline]
    pub fn read(&mut self, pa: PhysAddr, len: usize, now: u64) -> u64 {
        match self.ram.read(pa, len) {
            Some(value) => value,
            None => self.read_device(pa, len, now),
        }
    }

    /// Writes 1, 2, 4 or 8 bytes that do not cross a page, at cycle `now`.
    #[inline]
    pub fn write(&mut self, pa: PhysAddr, len: usize, value: u64, now: u64) {
        if !self.ram.write(pa, len, value) {
            self.write_device(pa, len, value, now);
        }
    }

    /// True if the address is not RAM: the access costs what a device costs.
    #[inline]
    #[must_use]
    pub fn is_mmio(&self, pa: PhysAddr) -> bool {
        !self.ram.contains(pa)
    }

    #[cold]
    fn read_device(&mut self, pa: PhysAddr, len: usize, now: u64) -> u64 {
        let ones = u64::MAX >> (64 - 8 * len.clamp(1, 8) as u32);
        let Some((page, register)) = register(pa, len) else {
            return ones;
        };
        match page {
            LOCAL_APIC => u64::from(self.devices.apic.read(register, now)),
            IO_APIC => u64::from(self.devices.io_apic.read(register)),
            DISK => match &self.disk {
                Some(disk) if u64::from(register) < DISK_SIZE => u64::from(disk.read(register)),
                _ => ones,
            },
            _ => ones,
        }
    }

    #[cold]
    fn write_device(&mut self, pa: PhysAddr, len: usize, value: u64, now: u64) {
        let Some((page, register)) = register(pa, len) else {
            return;
        };
        match page {
            LOCAL_APIC => {
                self.attention |= Apic::keeps_time_by(register);
                self.devices.write_apic(register, value as u32, now);
            }
            IO_APIC => self.devices.write_io_apic(register, value as u32),
            DISK => {
                if let Some(disk) = &mut self.disk
                    && u64::from(register) < DISK_SIZE
                {
                    self.attention = true;
                    disk.write(register, value as u32, &self.ram, now);
                    self.devices.set_disk_line(disk.wants_interrupt());
                }
            }
            _ => {}
        }
    }

    /// The next cycle at which a device does something by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let disk = self.disk.as_ref().and_then(VirtioBlk::deadline);
        match (disk, self.devices.deadline()) {
            (Some(disk), Some(other)) => Some(disk.min(other)),
            (disk, other) => disk.or(other),
        }
    }

    /// True if the disk is at work: it will raise its interrupt.
    #[must_use]
    pub fn disk_works(&self) -> bool {
        self.disk
            .as_ref()
            .is_some_and(|disk| disk.deadline().is_some())
    }

    /// Does what is due at cycle `now`.
    pub fn advance(&mut self, now: u64) {
        self.devices.advance(now);
        if let Some(disk) = &mut self.disk
            && disk.deadline().is_some_and(|due| due <= now)
        {
            disk.advance(&mut self.ram, now);
            self.devices.set_disk_line(disk.wants_interrupt());
        }
    }

    /// True if an interrupt waits for the CPU and its priority allows it.
    #[inline]
    #[must_use]
    pub fn interrupt(&self) -> bool {
        self.devices.apic.interrupts()
    }

    /// The CPU takes the interrupt that [`Bus::interrupt`] showed.
    pub fn acknowledge(&mut self) -> Option<u8> {
        self.devices.acknowledge()
    }

    fn signal(&mut self, signal: Signal) {
        self.attention = true;
        self.signals.push(signal);
    }

    /// The performance counter overflowed: the local APIC raises what its LVT
    /// says, and masks that entry.
    pub fn performance_interrupt(&mut self) {
        self.devices.apic.performance_interrupt();
    }

    /// True if a device was accessed in a way that may change what is due, or
    /// that wants something: the run loop has to look, before the next
    /// instruction. Interrupts need no look; the CPU sees them by itself.
    #[inline]
    #[must_use]
    pub fn attention(&self) -> bool {
        self.attention
    }

    /// What the last instruction wants from the machine around the CPU.
    pub(crate) fn take_signals(&mut self) -> Vec<Signal> {
        self.attention = false;
        core::mem::take(&mut self.signals)
    }

    /// Reads an entry of a page table; device memory holds none.
    pub(crate) fn read_table(&self, pa: PhysAddr) -> u64 {
        self.ram.read(pa, 8).unwrap_or(u64::MAX)
    }

    /// Writes an entry of a page table.
    pub(crate) fn write_table(&mut self, pa: PhysAddr, entry: u64) {
        self.ram.write(pa, 8, entry);
    }
}

impl Memory for Ram {
    fn fetch(&self, at: PhysAddr, into: &mut [u8]) -> bool {
        let (mut at, mut rest) = (at, into);
        while !rest.is_empty() {
            let Some(page) = self.page(at) else {
                return false;
            };
            let from = &page[at.offset() as usize..];
            let (now, later) = rest.split_at_mut(from.len().min(rest.len()));
            now.copy_from_slice(&from[..now.len()]);
            at = at.add(now.len() as u64);
            rest = later;
        }
        true
    }

    fn store(&mut self, at: PhysAddr, bytes: &[u8]) -> bool {
        self.load(at, bytes)
    }
}

/// Device registers are 32 bits wide and aligned; other accesses reach nothing.
fn register(pa: PhysAddr, len: usize) -> Option<(u64, u32)> {
    (len == 4 && pa.0.is_multiple_of(4)).then_some((pa.0 & !0xFFF, pa.offset() as u32))
}

#[cfg(test)]
mod tests;
