//! The ACPI tables: RSDP → RSDT and XSDT → MADT, which names the CPUs and the
//! interrupt controllers, and FADT, which names the fixed hardware; FADT → FACS
//! and DSDT. ACPI specification 6.5, section 5.2.

use alloc::vec::Vec;

use super::Bytes;
use crate::bus::{IO_APIC, LOCAL_APIC};
use crate::devices::power;

const OEM: &[u8; 6] = b"COE   ";
const OEM_TABLE: &[u8; 8] = b"MACHINE ";

/// Length of the header that each table but RSDP and FACS has.
const HEADER: usize = 36;
const RSDP: usize = 36;
const RSDT: usize = HEADER + 2 * 4;
const XSDT: usize = HEADER + 2 * 8;
const FADT: usize = 244;
const FACS: u64 = 64;

/// The tables one after the other, for this address, which is a multiple of 64;
/// the RSDP comes first.
pub(super) fn tables(start: u64, cpus: u8) -> Vec<u8> {
    let madt = table(b"APIC", 3, &madt(cpus));
    let rsdt_at = start + RSDP as u64;
    let xsdt_at = rsdt_at + RSDT as u64;
    let madt_at = xsdt_at + XSDT as u64;
    let fadt_at = madt_at + madt.len() as u64;
    let facs_at = (fadt_at + FADT as u64).next_multiple_of(FACS);
    let dsdt_at = facs_at + FACS;
    let roots = [madt_at, fadt_at];
    let mut all = rsdp(rsdt_at, xsdt_at);
    all.extend(table(
        b"RSDT",
        1,
        &roots.map(|at| (at as u32).to_le_bytes()).concat(),
    ));
    all.extend(table(b"XSDT", 1, &roots.map(u64::to_le_bytes).concat()));
    all.extend(madt);
    all.extend(table(b"FACP", 3, &fadt(facs_at, dsdt_at)));
    all.resize((facs_at - start) as usize, 0);
    all.extend(facs());
    all.extend(table(b"DSDT", 2, &dsdt()));
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

/// The fixed hardware: ACPI owns it from the start, nothing raises its events,
/// there is a keyboard controller but no VGA, and the chipset can reset.
fn fadt(facs: u64, dsdt: u64) -> Vec<u8> {
    const DESKTOP: u8 = 1;
    const SCI: u8 = 9;
    const NO_SUCH_STATE: u32 = 0xFFFF_FFFF;
    const CENTURY: u8 = 0x32;
    const LEGACY_8042_NO_VGA: u8 = 0b111;
    /// WBINVD works, C1 works, no fixed buttons, no RTC wake, reset register.
    const FLAGS: u32 = 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 10;
    let (events, control) = (power::EVENTS, power::CONTROL);
    let mut bytes = Bytes::default();
    bytes.u32(facs as u32).u32(dsdt as u32);
    bytes.u8(0).u8(DESKTOP).u8(SCI).u8(0);
    // No way from and to legacy mode; two event, two control blocks, PM2, timer,
    // two blocks of general-purpose events.
    bytes.u32(0).u32(0);
    bytes
        .u32(events.into())
        .u32(0)
        .u32(control.into())
        .u32(0)
        .u32(0);
    bytes.u32(power::TIMER.into()).u32(0).u32(0);
    bytes.raw(&[4, 2, 0, 4, 0, 0, 0, 0]);
    bytes.u32(NO_SUCH_STATE).u32(0);
    bytes
        .raw(&[0, 0, 0, 0, CENTURY, LEGACY_8042_NO_VGA, 0, 0])
        .u32(FLAGS);
    port(&mut bytes, power::RESET, 1).u8(power::RESET_VALUE);
    bytes.raw(&[0; 3]).u64(0).u64(dsdt);
    port(&mut bytes, events, 4).raw(&[0; 12]);
    port(&mut bytes, control, 2).raw(&[0; 12 + 12]);
    port(&mut bytes, power::TIMER, 4).raw(&[0; 12 + 12]);
    bytes.0
}

/// A generic address: a port and how many bytes it has.
fn port(bytes: &mut Bytes, port: u16, len: u8) -> &mut Bytes {
    const IO_SPACE: u8 = 1;
    // Access sizes are 1 for a byte, 2 for two, 3 for four.
    let access = len.ilog2() as u8 + 1;
    bytes.raw(&[IO_SPACE, len * 8, 0, access]).u64(port.into())
}

/// What firmware and system share for waking up; nothing here ever does.
fn facs() -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes
        .raw(b"FACS")
        .u32(FACS as u32)
        .raw(&[0; FACS as usize - 8]);
    bytes.0
}

/// The byte code of `Name (_S5, Package (4) { SOFT_OFF, SOFT_OFF, 0, 0 })`.
fn dsdt() -> Vec<u8> {
    const NAME: u8 = 0x08;
    const PACKAGE: u8 = 0x12;
    const BYTE: u8 = 0x0A;
    let mut bytes = Bytes::default();
    let kind = power::SOFT_OFF as u8;
    bytes.u8(NAME).raw(b"_S5_");
    bytes.raw(&[PACKAGE, 8, 4, BYTE, kind, BYTE, kind, 0, 0]);
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

    /// The table at this place, whose checksum has to be right.
    fn table_at(all: &[u8], place: usize) -> &[u8] {
        let rest = &all[place - 0x1000..];
        let table = &rest[..u32_at(rest, 4)];
        assert!(&table[..4] == b"FACS" || sums_to_zero(table));
        table
    }

    fn u32_at(bytes: &[u8], i: usize) -> usize {
        u32::from_le_bytes(bytes[i..i + 4].try_into().unwrap()) as usize
    }

    #[test]
    fn pointers_and_checksums_are_right() {
        let all = tables(0x1000, 3);
        assert!(sums_to_zero(&all[..20]) && sums_to_zero(&all[..36]));
        for (at, name, width) in [(16, b"RSDT", 4), (24, b"XSDT", 8)] {
            let root = table_at(&all, u32_at(&all, at));
            assert_eq!(&root[..4], name);
            let madt = table_at(&all, u32_at(root, 36));
            assert_eq!(
                (&madt[..4], madt.len()),
                (&b"APIC"[..], 36 + 8 + 3 * 8 + 12)
            );
            let fadt = table_at(&all, u32_at(root, 36 + width));
            assert_eq!((&fadt[..4], fadt.len()), (&b"FACP"[..], FADT));
        }
    }

    #[test]
    fn the_fixed_hardware_is_where_the_tables_say() {
        let all = tables(0x1000, 1);
        let fadt = table_at(&all, u32_at(table_at(&all, u32_at(&all, 24)), 44));
        let facs = table_at(&all, u32_at(fadt, 36));
        assert_eq!((&facs[..4], u32_at(fadt, 36) % 64), (&b"FACS"[..], 0));
        let dsdt = table_at(&all, u32_at(fadt, 40));
        assert_eq!(&dsdt[..4], b"DSDT");
        assert_eq!(u32_at(fadt, 140), u32_at(fadt, 40), "X_DSDT");
        // Once as a number, once as a generic address.
        for (old, new, port) in [(56, 148, 0x600), (64, 172, 0x604), (76, 208, 0x608)] {
            assert_eq!((u32_at(fadt, old), u32_at(fadt, new + 4)), (port, port));
        }
        assert_eq!((fadt[108], u32_at(fadt, 120), fadt[128]), (0x32, 0xCF9, 6));
    }
}
