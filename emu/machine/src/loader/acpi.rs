//! The ACPI tables that name the CPUs and the interrupt controllers:
//! RSDP → RSDT and XSDT → MADT.

use alloc::vec::Vec;

use super::Bytes;
use crate::bus::{IO_APIC, LOCAL_APIC};

const OEM: &[u8; 6] = b"COE   ";
const OEM_TABLE: &[u8; 8] = b"MACHINE ";

/// Length of the header that each table but the RSDP has.
const HEADER: usize = 36;
const RSDP: usize = 36;
const RSDT: usize = HEADER + 4;
const XSDT: usize = HEADER + 8;

/// The tables one after the other, for this address; the RSDP comes first.
pub(super) fn tables(start: u64, cpus: u8) -> Vec<u8> {
    let rsdt_at = start + RSDP as u64;
    let xsdt_at = rsdt_at + RSDT as u64;
    let madt_at = xsdt_at + XSDT as u64;
    let mut all = rsdp(rsdt_at, xsdt_at);
    all.extend(table(b"RSDT", 1, &(madt_at as u32).to_le_bytes()));
    all.extend(table(b"XSDT", 1, &madt_at.to_le_bytes()));
    all.extend(table(b"APIC", 3, &madt(cpus)));
    all
}

/// The root pointer. It has two checksums: of the old, shorter form, and of all.
fn rsdp(rsdt: u64, xsdt: u64) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.raw(b"RSD PTR ").u8(0).raw(OEM).u8(2).u32(rsdt as u32);
    bytes.u32(RSDP as u32).u64(xsdt).u32(0);
    let mut rsdp = bytes.0;
    rsdp[8] = checksum(&rsdp[..20]);
    rsdp[32] = checksum(&rsdp);
    rsdp
}

/// Local APIC, 8259s present, one entry for each CPU and one for the IOAPIC.
fn madt(cpus: u8) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.u32(LOCAL_APIC as u32).u32(1);
    for cpu in 0..cpus {
        bytes.u8(0).u8(8).u8(cpu).u8(cpu).u32(1);
    }
    bytes.u8(1).u8(12).u8(0).u8(0).u32(IO_APIC as u32).u32(0);
    bytes.0
}

fn table(signature: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Bytes::default();
    let len = (HEADER + body.len()) as u32;
    bytes.raw(signature).u32(len).u8(revision).u8(0);
    bytes
        .raw(OEM)
        .raw(OEM_TABLE)
        .u32(1)
        .raw(b"COE ")
        .u32(1)
        .raw(body);
    let mut table = bytes.0;
    table[9] = checksum(&table);
    table
}

/// The byte that makes the sum of all zero.
fn checksum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_sub(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums_to_zero(bytes: &[u8]) -> bool {
        bytes
            .iter()
            .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
            == 0
    }

    #[test]
    fn pointers_and_checksums_are_right() {
        let all = tables(0x1000, 3);
        assert!(sums_to_zero(&all[..20]) && sums_to_zero(&all[..36]));
        let at = |place: usize| place - 0x1000;
        let u32_at = |i: usize| u32::from_le_bytes(all[i..i + 4].try_into().unwrap()) as usize;
        for (root, name) in [(u32_at(16), b"RSDT"), (u32_at(24), b"XSDT")] {
            let root = at(root);
            assert_eq!(&all[root..root + 4], name);
            assert!(sums_to_zero(&all[root..root + u32_at(root + 4)]));
            let madt = at(u32_at(root + 36));
            assert_eq!(&all[madt..madt + 4], b"APIC");
            assert_eq!(madt + u32_at(madt + 4), all.len());
            assert!(sums_to_zero(&all[madt..]));
            assert_eq!(all.len() - madt, 36 + 8 + 3 * 8 + 12);
        }
    }
}
