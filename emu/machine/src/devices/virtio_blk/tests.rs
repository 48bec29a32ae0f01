use alloc::vec::Vec;

use super::*;
use crate::devices::disk::PAGE;

/// 64 KiB of memory.
struct Plain(Vec<u8>);

impl Memory for Plain {
    fn fetch(&self, at: PhysAddr, into: &mut [u8]) -> bool {
        let from = at.0 as usize;
        let found = self.0.get(from..from.wrapping_add(into.len()));
        found.is_some_and(|bytes| {
            into.copy_from_slice(bytes);
            true
        })
    }

    fn store(&mut self, at: PhysAddr, bytes: &[u8]) -> bool {
        let from = at.0 as usize;
        let found = self.0.get_mut(from..from.wrapping_add(bytes.len()));
        found.is_some_and(|place| {
            place.copy_from_slice(bytes);
            true
        })
    }
}

const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
const HEADER_AT: u64 = 0x4000;
const STATUS_AT: u64 = 0x4100;
const DATA: u64 = 0x5000;

struct Rig {
    memory: Plain,
    disk: VirtioBlk,
    made: u16,
}

/// A device whose driver has agreed on everything, over a disk of two pages
/// that hold 1s and 2s.
fn rig() -> Rig {
    let mut bytes = [1; 2 * PAGE];
    bytes[PAGE..].fill(2);
    let mut rig = Rig {
        memory: Plain(alloc::vec![0; 0x10000]),
        disk: VirtioBlk::new(Contents::new(&bytes).unwrap()),
        made: 0,
    };
    rig.set(0x70, 3);
    rig.set(0x24, 1);
    rig.set(0x20, 1);
    rig.set(0x70, 11);
    assert_eq!(rig.disk.read(0x70), 11, "the features are agreed on");
    rig.set(0x38, 8);
    rig.set(0x80, DESCRIPTORS as u32);
    rig.set(0x90, AVAILABLE as u32);
    rig.set(0xA0, USED as u32);
    rig.set(0x44, 1);
    rig.set(0x70, 15);
    rig
}

impl Rig {
    fn set(&mut self, register: u32, value: u32) {
        self.disk.write(register, value, &self.memory, 1000);
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        assert!(self.memory.store(PhysAddr(at), bytes));
    }

    fn get<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        assert!(self.memory.fetch(PhysAddr(at), &mut bytes));
        bytes
    }

    fn descriptor(&mut self, index: u64, at: u64, len: u32, flags: u16, next: u16) {
        let place = DESCRIPTORS + index * 16;
        self.put(place, &at.to_le_bytes());
        self.put(place + 8, &len.to_le_bytes());
        self.put(place + 12, &flags.to_le_bytes());
        self.put(place + 14, &next.to_le_bytes());
    }

    /// Makes a request of one piece of data available and rings the bell.
    fn request(&mut self, kind: u32, sector: u64, len: u32) {
        self.put(HEADER_AT, &kind.to_le_bytes());
        self.put(HEADER_AT + 8, &sector.to_le_bytes());
        self.put(STATUS_AT, &[0xEE]);
        let write = if kind == REQUEST_OUT { 0 } else { 2 };
        self.descriptor(0, HEADER_AT, 16, 1, 1);
        self.descriptor(1, DATA, len, write | 1, 2);
        self.descriptor(2, STATUS_AT, 1, 2, 0);
        self.make_available(0);
        self.set(0x50, 0);
    }

    fn make_available(&mut self, head: u16) {
        let place = AVAILABLE + 4 + u64::from(self.made % 8) * 2;
        self.put(place, &head.to_le_bytes());
        self.made += 1;
        self.put(AVAILABLE + 2, &self.made.to_le_bytes());
    }

    fn advance(&mut self, now: u64) {
        self.disk.advance(&mut self.memory, now);
    }

    fn used(&self) -> u16 {
        u16::from_le_bytes(self.get(USED + 2))
    }
}

#[test]
fn it_says_what_it_is() {
    let rig = rig();
    assert_eq!(rig.disk.read(0x00), u32::from_le_bytes(*b"virt"));
    assert_eq!((rig.disk.read(0x04), rig.disk.read(0x08)), (2, 2));
    assert_eq!((rig.disk.read(0x100), rig.disk.read(0x104)), (16, 0));
}

#[test]
fn features_that_it_does_not_have_are_refused() {
    let mut rig = rig();
    rig.set(0x70, 0);
    rig.set(0x70, 3);
    rig.set(0x24, 0);
    rig.set(0x20, 1 << 5);
    rig.set(0x70, 11);
    assert_eq!(rig.disk.read(0x70), 3);
}

#[test]
fn a_read_takes_its_time_and_then_moves_all_at_once() {
    let mut rig = rig();
    rig.request(REQUEST_IN, 8, PAGE as u32);
    let due = 1000 + LATENCY + 16 + PAGE as u64 + 1;
    assert_eq!(rig.disk.deadline(), Some(due));
    rig.advance(due - 1);
    assert_eq!((rig.used(), rig.disk.wants_interrupt()), (0, false));
    assert_eq!(rig.get(DATA), [0; 4]);
    rig.advance(due);
    assert_eq!((rig.used(), rig.disk.wants_interrupt()), (1, true));
    assert_eq!(rig.get(DATA), [2; PAGE]);
    assert_eq!(rig.get(STATUS_AT), [DONE]);
    assert_eq!(rig.get::<8>(USED + 4), (0x1001_u64 << 32).to_le_bytes());
    rig.set(0x64, 1);
    assert!(!rig.disk.wants_interrupt());
    assert_eq!(rig.disk.deadline(), None);
}

#[test]
fn a_write_changes_the_disk_and_flush_and_id_are_known() {
    let mut rig = rig();
    rig.put(DATA, &[9; 512]);
    rig.request(REQUEST_OUT, 1, 512);
    rig.advance(u64::MAX / 2);
    assert_eq!(rig.get(STATUS_AT), [DONE]);
    let mut got = [0; 1024];
    rig.disk.contents().read(511, &mut got);
    assert_eq!((got[0], got[1], got[512], got[513]), (1, 9, 9, 1));
    rig.request(REQUEST_ID, 0, 20);
    rig.advance(u64::MAX / 2);
    assert_eq!(rig.get(DATA), *b"coe\0");
    rig.request(REQUEST_FLUSH, 0, 0);
    rig.advance(u64::MAX / 2);
    assert_eq!((rig.get(STATUS_AT), rig.used()), ([DONE], 3));
}

#[test]
fn what_lies_behind_the_end_fails_and_an_unknown_kind_is_told() {
    for (kind, sector, len, status) in [
        (REQUEST_IN, 16, 512, FAILED),
        (REQUEST_IN, u64::MAX, 512, FAILED),
        (REQUEST_IN, 9, PAGE as u32, FAILED),
        (REQUEST_OUT, 16, 512, FAILED),
        (REQUEST_IN, 0, 100, FAILED),
        (77, 0, 512, UNKNOWN),
    ] {
        let mut rig = rig();
        rig.request(kind, sector, len);
        rig.advance(u64::MAX / 2);
        assert_eq!((rig.get(STATUS_AT), rig.used()), ([status], 1));
    }
}

#[test]
fn requests_are_done_one_after_the_other() {
    let mut rig = rig();
    rig.request(REQUEST_IN, 0, 512);
    rig.make_available(0);
    let one = LATENCY + 16 + 512 + 1;
    rig.advance(1000 + one);
    assert_eq!((rig.used(), rig.disk.deadline()), (1, Some(1000 + 2 * one)));
    rig.advance(1000 + 2 * one);
    assert_eq!((rig.used(), rig.disk.deadline()), (2, None));
}

#[test]
fn a_broken_queue_stops_the_device_until_a_reset() {
    type Break = fn(&mut Rig);
    let breaks: [Break; 5] = [
        |rig| rig.descriptor(2, STATUS_AT, 1, 3, 0),
        |rig| rig.descriptor(1, DATA, 512, 3, 200),
        |rig| rig.descriptor(1, 1 << 40, 512, 3, 2),
        |rig| rig.descriptor(0, HEADER_AT, 8, 1, 1),
        |rig| rig.descriptor(0, HEADER_AT, 16, 0, 0),
    ];
    for (n, broken) in breaks.iter().enumerate() {
        let mut rig = rig();
        rig.request(REQUEST_IN, 0, 512);
        broken(&mut rig);
        rig.advance(u64::MAX / 2);
        assert_eq!(rig.disk.read(0x70) & STATUS_NEEDS_RESET, 64, "{n}");
        assert_eq!(rig.disk.read(0x60), INTERRUPT_CONFIG, "{n}");
        rig.set(0x50, 0);
        assert_eq!(rig.disk.deadline(), None, "{n}");
        rig.set(0x70, 0);
        assert_eq!(rig.disk.read(0x70), 0, "{n}");
        assert_eq!(rig.disk.contents().len(), 2 * PAGE as u64);
    }
}
