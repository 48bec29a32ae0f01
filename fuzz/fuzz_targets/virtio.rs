//! A driver that writes anything into the disk's registers, rings and
//! descriptors: the device breaks its queue, never the machine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use machine::addr::PhysAddr;
use machine::devices::Memory;
use machine::devices::disk::Contents;
use machine::devices::virtio_blk::{LATENCY, VirtioBlk};

/// 4 KiB of memory that repeats every 64 KiB, the rest of which is no RAM.
struct Small([u8; 4096]);

impl Small {
    fn range(&self, at: PhysAddr, len: usize) -> Option<std::ops::Range<usize>> {
        let from = usize::try_from(at.0 & 0xFFFF).ok()?;
        let end = from.checked_add(len)?;
        (end <= self.0.len()).then_some(from..end)
    }
}

impl Memory for Small {
    fn fetch(&self, at: PhysAddr, into: &mut [u8]) -> bool {
        match self.range(at, into.len()) {
            Some(range) => {
                into.copy_from_slice(&self.0[range]);
                true
            }
            None => false,
        }
    }

    fn store(&mut self, at: PhysAddr, bytes: &[u8]) -> bool {
        match self.range(at, bytes.len()) {
            Some(range) => {
                self.0[range].copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}

/// Agrees with the device as a driver does that means well.
fn driver_ready(disk: &mut VirtioBlk, memory: &Small) {
    let writes = [
        (0x70, 3),
        (0x24, 1),
        (0x20, 1),
        (0x70, 11),
        (0x38, 8),
        (0x80, 0x100),
        (0x90, 0x200),
        (0xA0, 0x300),
        (0x44, 1),
        (0x70, 15),
    ];
    for (register, value) in writes {
        disk.write(register, value, memory, 0);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some(contents) = Contents::new(&[3; 8192]) else {
        return;
    };
    let (mut disk, mut memory, mut now) = (VirtioBlk::new(contents), Small([0; 4096]), 0);
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    if first & 1 == 0 {
        driver_ready(&mut disk, &memory);
    }
    let (words, _) = rest.as_chunks::<8>();
    for &[what, a, b, c, value @ ..] in words {
        match what % 4 {
            0 => disk.write(
                u32::from_le_bytes([a, b & 1, 0, 0]),
                u32::from_le_bytes(value),
                &memory,
                now,
            ),
            1 => {
                let at = PhysAddr(u64::from(u16::from_le_bytes([a, b]) & 0xFFF));
                let _ = memory.store(at, &value[..usize::from(c % 5)]);
            }
            2 => now += LATENCY,
            _ => {
                let _ = disk.read(u32::from_le_bytes([a, b & 1, 0, 0]));
                let _ = disk.wants_interrupt();
            }
        }
        if disk.deadline().is_some_and(|due| due <= now) {
            disk.advance(&mut memory, now);
        }
    }
});
