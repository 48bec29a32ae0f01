//! The little of ACPI that says where the interrupt controllers are.

use alloc::vec::Vec;

use super::layout::{BOOT_MAPPED, direct};

/// What the MADT says.
#[derive(Debug, Default)]
pub struct Madt {
    /// The local APIC ids of the CPUs.
    pub cpus: Vec<u8>,
    /// The I/O APIC's physical address.
    pub io_apic: Option<u64>,
    /// ISA lines that are wired to another input, with their flags.
    pub overrides: Vec<(u8, u32, u16)>,
}

/// Physical memory below 4 GiB, read where nothing is aligned.
fn bytes(physical: u64, len: u64) -> &'static [u8] {
    if physical == 0 || physical + len > BOOT_MAPPED {
        return &[];
    }
    // SAFETY: all of it is mapped, and firmware tables do not change.
    unsafe { core::slice::from_raw_parts(direct(physical) as *const u8, len as usize) }
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let mut value = [0; 8];
    if let Some(field) = bytes.get(at..at + len) {
        value[..len].copy_from_slice(field);
    }
    u64::from_le_bytes(value)
}

/// The root pointer in the firmware's area, for loaders that do not pass it.
fn search() -> u64 {
    (0xE_0000..0x10_0000)
        .step_by(16)
        .find(|&at| bytes(at, 8) == b"RSD PTR ")
        .unwrap_or(0)
}

fn table(physical: u64) -> &'static [u8] {
    let len = number(bytes(physical, 36), 4, 4);
    bytes(physical, len)
}

/// Reads the MADT that hangs on the root pointer.
#[must_use]
pub fn madt(rsdp: u64) -> Option<Madt> {
    let rsdp = if rsdp == 0 { search() } else { rsdp };
    let root = bytes(rsdp, 36);
    let extended = number(root, 15, 1) >= 2;
    let (list, width) = if extended && number(root, 24, 8) != 0 {
        (table(number(root, 24, 8)), 8)
    } else {
        (table(number(root, 16, 4)), 4)
    };
    let entries = list.get(36..)?;
    let found = entries
        .chunks_exact(width)
        .map(|entry| table(number(entry, 0, width)))
        .find(|table| table.starts_with(b"APIC"))?;
    Some(parse(found.get(44..)?))
}

fn parse(mut rest: &[u8]) -> Madt {
    let mut madt = Madt::default();
    while let [kind, len, ..] = *rest {
        let len = usize::from(len);
        if len < 2 || len > rest.len() {
            break;
        }
        let (entry, tail) = rest.split_at(len);
        match kind {
            0 if number(entry, 4, 4) & 1 != 0 => madt.cpus.push(entry[3]),
            1 => madt.io_apic = madt.io_apic.or(Some(number(entry, 4, 4))),
            2 => madt.overrides.push((
                number(entry, 3, 1) as u8,
                number(entry, 4, 4) as u32,
                number(entry, 8, 2) as u16,
            )),
            _ => {}
        }
        rest = tail;
    }
    madt
}
