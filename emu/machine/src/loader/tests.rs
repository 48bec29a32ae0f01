use alloc::vec;
use alloc::vec::Vec;

use super::*;

/// A small kernel: one segment at `paddr`, and a note that names `entry`.
pub(crate) fn kernel(paddr: u64, code: &[u8], entry: u32) -> Vec<u8> {
    let mut note = Bytes::default();
    note.u32(4).u32(4).u32(18).raw(b"Xen\0").u32(entry);
    let note_at = 64 + 2 * 56;
    let code_at = note_at + note.0.len() as u64;
    let mut elf = Bytes::default();
    elf.raw(b"\x7fELF\x02\x01\x01")
        .raw(&[0; 9])
        .u32(2 | 62 << 16)
        .u32(1);
    elf.u64(u64::from(entry)).u64(64).u64(0).u32(0);
    elf.u32(64 | 56 << 16).u32(2).u32(0);
    let len = code.len() as u64;
    elf.u32(1)
        .u32(7)
        .u64(code_at)
        .u64(paddr)
        .u64(paddr)
        .u64(len)
        .u64(len + 16)
        .u64(1);
    elf.u32(4)
        .u32(4)
        .u64(note_at)
        .u64(0)
        .u64(0)
        .u64(20)
        .u64(20)
        .u64(4);
    elf.raw(&note.0).raw(code);
    elf.0
}

fn images<'a>(kernel: &'a [u8], initrd: Option<&'a [u8]>) -> Images<'a> {
    Images {
        kernel,
        initrd,
        cmdline: "slice=1000 -- x",
        disk: None,
    }
}

fn number(ram: &Ram, at: u64, len: usize) -> u64 {
    ram.read(PhysAddr(at), len).unwrap()
}

#[test]
fn everything_is_where_the_start_info_says() {
    let mut ram = Ram::new(16 << 20);
    let file = kernel(0x20_0000, b"code", 0x20_0001);
    let initrd = vec![7; 5000];
    let entry = load(&mut ram, &images(&file, Some(&initrd)), 1).unwrap();
    assert_eq!(entry.entry, 0x20_0001);
    assert_eq!(
        number(&ram, 0x20_0000, 4),
        u64::from(u32::from_le_bytes(*b"code"))
    );
    let info = u64::from(entry.start_info);
    assert_eq!(number(&ram, info, 4), u64::from(START_MAGIC));
    assert_eq!(number(&ram, info + 12, 4), 1, "one module");
    let module = number(&ram, info + 16, 8);
    let (start, size) = (number(&ram, module, 8), number(&ram, module + 8, 8));
    assert_eq!((start, size), ((16 << 20) - 8192, 5000));
    assert_eq!(number(&ram, start + 4999, 1), 7);
    let line = number(&ram, info + 24, 8);
    assert_eq!(number(&ram, line, 8), u64::from_le_bytes(*b"slice=10"));
    assert_eq!(number(&ram, line + 15, 1), 0);
    let rsdp = number(&ram, info + 32, 8);
    assert_eq!(number(&ram, rsdp, 8), u64::from_le_bytes(*b"RSD PTR "));
    let (map, entries) = (number(&ram, info + 40, 8), number(&ram, info + 48, 4));
    assert_eq!(entries, 3);
    assert_eq!(number(&ram, map + 2 * 24, 8), 0x10_0000);
    assert_eq!(number(&ram, map + 2 * 24 + 8, 8), 15 << 20);
}

#[test]
fn memory_above_the_hole_is_in_the_map() {
    let map = memory_map(&Ram::new(5 << 30));
    assert_eq!(map.last(), Some(&(4 << 30, 2 << 30, MAP_RAM)));
}

#[test]
fn bad_kernels_are_refused() {
    let load = |file: &[u8]| load(&mut Ram::new(16 << 20), &images(file, None), 1).err();
    let good = kernel(0x20_0000, b"code", 0x20_0000);
    assert_eq!(load(&good), None);
    for len in 0..good.len() {
        assert!(load(&good[..len]).is_some(), "cut off at {len}");
    }
    let mut other = good.clone();
    other[18] = 183;
    assert!(matches!(load(&other), Some(LoadError::Kernel(_))));
    let mut no_note = good.clone();
    let kind = 64 + 2 * 56 + 8;
    no_note[kind] = 17;
    assert_eq!(load(&no_note), Some(LoadError::NoPvhEntry));
    for start in [0xF_FFFF, 0xA_0000 - 4, (16 << 20) - 4, u64::MAX - 3] {
        let file = kernel(start, b"code", 0);
        assert_eq!(
            load(&file),
            Some(LoadError::KernelPlace { start, size: 20 }),
            "{start:#x}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut ram = Ram::new(16 << 20);
    let file = kernel(0x20_0000, b"code", 0x20_0000);
    let initrd = vec![1; 14 << 20];
    let error = load(&mut ram, &images(&file, Some(&initrd)), 1).err();
    let room = (14 << 20) - 20;
    assert_eq!(
        error,
        Some(LoadError::InitrdTooLarge {
            size: 14 << 20,
            room
        })
    );
    let line = "x".repeat(0x1_0000);
    let images = Images {
        kernel: &file,
        initrd: None,
        cmdline: &line,
        disk: None,
    };
    assert!(matches!(
        load(&mut ram, &images, 1).err(),
        Some(LoadError::CommandLineTooLong {
            len: 0x1_0000,
            most: 0xFFFF
        })
    ));
}
