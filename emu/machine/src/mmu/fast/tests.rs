//! What the direct ways show and change is what the long way shows and changes,
//! and whoever has to notice writes does. Miri runs these.

use super::*;
use crate::addr::{PhysAddr, VirtAddr};
use crate::bus::Bus;
use crate::mmu::{Mmu, Paging};

const TABLES: u64 = 0x10_0000;
const FRAME: u64 = 0x20_0000;
const PAGE: u64 = 0x5000;

const P: u64 = 1;
const W: u64 = 2;
const U: u64 = 4;
const D: u64 = 1 << 6;
const G: u64 = 1 << 8;

const WRITE: Access = Access {
    write: true,
    fetch: false,
    user: false,
    ac: false,
};
const READ: Access = Access {
    write: false,
    ..WRITE
};

struct Bench {
    bus: Bus,
    mmu: Mmu,
    paging: Paging,
}

impl Bench {
    /// Pages 0 to 511 at [`FRAME`] and up, in one go.
    fn new(rights: u64) -> Bench {
        let mut bench = Bench {
            bus: Bus::new(4 << 20, 0),
            mmu: Mmu::default(),
            paging: Paging {
                enabled: true,
                root: PhysAddr(TABLES),
                ..Paging::default()
            },
        };
        bench.mmu.attach(&mut bench.bus);
        for table in 0..3 {
            let next = TABLES + (table + 1) * 0x1000;
            bench.put(TABLES + table * 0x1000, next | P | W | U);
        }
        for page in 0..16 {
            bench.put(TABLES + 0x3000 + page * 8, (FRAME + page * 0x1000) | rights);
        }
        bench
    }

    fn put(&mut self, pa: u64, value: u64) {
        assert!(self.bus.ram.write(PhysAddr(pa), 8, value));
    }

    /// An access the long way, which makes tags.
    fn reach(&mut self, va: u64, access: Access) -> PhysAddr {
        let (bus, paging) = (&mut self.bus, &self.paging);
        let pa = self.mmu.translate(bus, paging, VirtAddr(va), access);
        pa.expect("mapped")
    }

    fn read(&self, va: u64) -> Option<u64> {
        self.bus.ram.fast().read::<8>(Mode::Kernel, va)
    }

    fn write(&mut self, va: u64, value: u64) -> bool {
        self.bus.ram.fast_write::<8>(Mode::Kernel, va, value)
    }

    /// A write the long way.
    fn store(&mut self, va: u64, value: u64) {
        let pa = self.reach(va, WRITE);
        self.put(pa.0, value);
    }

    /// Makes a page that may be read and written directly.
    fn open(rights: u64) -> Bench {
        let mut bench = Bench::new(rights);
        bench.store(PAGE, 1);
        bench.store(PAGE, 2);
        assert_eq!(bench.read(PAGE), Some(2));
        assert!(bench.write(PAGE, 3));
        bench
    }

    fn seen(&self, pa: u64) -> Option<u64> {
        self.bus.ram.read(PhysAddr(pa), 8)
    }
}

#[test]
fn both_ways_show_the_same_bytes() {
    let mut b = Bench::open(P | W);
    assert!(b.write(PAGE + 0xFF8, 0x1122_3344_5566_7788));
    assert_eq!(b.seen(FRAME + PAGE + 0xFF8), Some(0x1122_3344_5566_7788));
    b.put(FRAME + PAGE + 0x100, 7);
    assert_eq!(b.read(PAGE + 0x100), Some(7));
    let ram = &mut b.bus.ram;
    assert!(ram.fast_write::<1>(Mode::Kernel, PAGE + 0xFFF, 0xAB));
    assert!(ram.fast_write::<2>(Mode::Kernel, PAGE + 0xFFB, 0xCDEF));
    assert!(ram.fast_write::<4>(Mode::Kernel, PAGE + 1, 0x0102_0304));
    assert!(ram.fast_write128(Mode::Kernel, PAGE + 0x31, 5 << 64 | 6));
    let ram = b.bus.ram.fast();
    assert_eq!(
        ram.read::<8>(Mode::Kernel, PAGE + 0xFF8),
        Some(0xAB22_33CD_EF66_7788)
    );
    assert_eq!(ram.read::<4>(Mode::Kernel, PAGE), Some(0x0203_0403));
    assert_eq!(ram.read::<2>(Mode::Kernel, PAGE + 3), Some(0x0102));
    assert_eq!(ram.read::<1>(Mode::Kernel, PAGE + 0xFFF), Some(0xAB));
    assert_eq!(ram.read128(Mode::Kernel, PAGE + 0x31), Some(5 << 64 | 6));
    assert_eq!(b.seen(FRAME + PAGE + 0x39), Some(5));
}

#[test]
fn an_access_into_the_next_page_is_no_hit() {
    let mut b = Bench::open(P | W);
    b.store(PAGE + 0x1000, 1);
    b.store(PAGE + 0x1000, 1);
    assert!(b.read(PAGE + 0x1000).is_some());
    for offset in 0xFF9..0x1000 {
        assert_eq!(b.read(PAGE + offset), None);
        assert!(!b.write(PAGE + offset, 0));
    }
    let ram = b.bus.ram.fast();
    assert_eq!(ram.read128(Mode::Kernel, PAGE + 0xFF1), None);
    assert!(ram.read128(Mode::Kernel, PAGE + 0xFF0).is_some());
    assert_eq!(ram.read::<2>(Mode::Kernel, PAGE + 0xFFF), None);
}

#[test]
fn each_mode_has_its_own_bank() {
    let b = Bench::open(P | W | U);
    for mode in [Mode::User, Mode::KernelAc, Mode::Watched] {
        assert_eq!(b.bus.ram.fast().read::<8>(mode, PAGE), None, "{mode:?}");
    }
}

/// Through the pointers that compiled code gets.
#[test]
fn a_bank_is_the_same_from_outside() {
    let b = Bench::open(P | W);
    let bank = b.bus.ram.fast().bank(Mode::Kernel);
    // SAFETY: nothing else is done with the bench meanwhile.
    unsafe {
        assert!(write::<4>(bank, PAGE + 8, 9));
        assert_eq!(read::<4>(bank, PAGE + 8), Some(9));
        assert!(write128(bank, PAGE + 16, 10));
        assert_eq!(read128(bank, PAGE + 16), Some(10));
        assert_eq!(read::<8>(bank, PAGE + 0x3000), None);
        let none = b.bus.ram.fast().bank(Mode::Watched);
        assert_eq!(read::<8>(none, PAGE), None);
        assert!(!write::<8>(none, PAGE, 0));
    }
    assert_eq!(b.seen(FRAME + PAGE + 8), Some(9));
}

#[test]
fn a_page_that_is_not_dirty_or_read_only_is_only_read() {
    let mut b = Bench::new(P | W);
    b.put(FRAME + PAGE, 1);
    b.reach(PAGE, READ);
    assert_eq!(b.read(PAGE), Some(1));
    assert!(!b.write(PAGE, 2), "the dirty bit is not set");
    let mut b = Bench::new(P);
    b.put(FRAME + PAGE, 1);
    b.paging.write_protect = true;
    b.reach(PAGE, READ);
    assert!(!b.write(PAGE, 2), "read-only");
}

#[test]
fn a_page_that_was_never_written_is_read_as_zeros_and_then_moves() {
    let mut b = Bench::new(P | W);
    b.reach(PAGE, READ);
    assert_eq!(b.read(PAGE), Some(0));
    b.put(FRAME + PAGE, 5);
    assert_ne!(b.read(PAGE), Some(0), "the old page is gone");
    b.reach(PAGE, READ);
    assert_eq!(b.read(PAGE), Some(5));
}

#[test]
fn a_page_that_was_never_written_is_not_written_before_the_frame_has_one() {
    let mut b = Bench::new(P | W | D);
    b.reach(PAGE, READ);
    assert!(!b.write(PAGE, 4), "all such frames show the same zeros");
    b.mmu.flush_all(&mut b.bus);
    b.reach(PAGE, WRITE);
    assert!(b.write(PAGE, 4));
    assert_eq!(b.seen(FRAME + PAGE), Some(4));
    assert_eq!(b.seen(FRAME + PAGE + 0x1000), Some(0));
}

#[test]
fn a_write_is_noticed_when_its_way_is_made() {
    let mut b = Bench::open(P | W);
    let pa = PhysAddr(FRAME + PAGE);
    let generation = b.bus.ram.keep_code(pa);
    let image = b.bus.ram.image();
    b.mmu.flush_all(&mut b.bus);
    b.reach(PAGE, WRITE);
    assert_ne!(b.bus.ram.generation(pa), generation);
    assert!(b.write(PAGE, 4));
    b.bus.ram.rewind(&image);
    assert_eq!(b.seen(FRAME + PAGE), Some(3), "the image has its own");
}

#[test]
fn writes_to_code_are_noticed() {
    let mut b = Bench::open(P | W);
    let pa = PhysAddr(FRAME + PAGE);
    let (generation, epoch) = (b.bus.ram.keep_code(pa), b.bus.ram.epoch());
    assert!(!b.write(PAGE, 4));
    assert_eq!(b.read(PAGE), Some(3), "reading is as before");
    b.mmu.flush_all(&mut b.bus);
    b.reach(PAGE, READ);
    assert!(!b.write(PAGE, 4), "a way made later");
    b.store(PAGE, 4);
    assert_ne!(b.bus.ram.generation(pa), generation);
    assert_ne!(b.bus.ram.epoch(), epoch);
    b.store(PAGE, 5);
    assert!(b.write(PAGE, 6), "nobody keeps code there any more");
}

#[test]
fn writes_after_a_hash_are_noticed() {
    let mut b = Bench::open(P | W);
    let before: u128 = b.bus.ram.hashes().fold(0, |sum, (_, hash)| sum ^ hash);
    b.mmu.attach(&mut b.bus);
    assert!(!b.write(PAGE, 4));
    b.store(PAGE, 4);
    b.store(PAGE, 4);
    assert!(b.write(PAGE, 5));
    let after: u128 = b.bus.ram.hashes().fold(0, |sum, (_, hash)| sum ^ hash);
    assert_ne!(before, after);
}

#[test]
fn writes_after_an_image_are_noticed() {
    let mut b = Bench::open(P | W);
    let image = b.bus.ram.image();
    assert!(!b.write(PAGE, 4));
    b.store(PAGE, 4);
    b.store(PAGE, 5);
    assert!(b.write(PAGE, 6));
    b.bus.ram.rewind(&image);
    assert_eq!(b.read(PAGE), None);
    assert!(!b.write(PAGE, 7));
    assert_eq!(b.seen(FRAME + PAGE), Some(3));
}

#[test]
fn machines_that_share_pages_do_not_see_each_others_writes() {
    let mut b = Bench::open(P | W);
    let (first, mut second) = (b.bus.fork(), b.bus.fork());
    b.mmu.attach(&mut b.bus);
    assert!(!b.write(PAGE, 4), "shared");
    b.store(PAGE, 4);
    assert_ne!(b.read(PAGE), Some(3), "the old page is another's");
    b.store(PAGE, 5);
    assert!(b.write(PAGE, 6));
    assert!(second.ram.write(PhysAddr(FRAME + PAGE), 8, 7));
    drop(second);
    assert_eq!(first.ram.read(PhysAddr(FRAME + PAGE), 8), Some(3));
    drop(first);
    assert!(b.write(PAGE, 8));
    assert_eq!(b.seen(FRAME + PAGE), Some(8));
}

#[test]
fn a_copy_made_at_any_time_is_a_copy() {
    let mut b = Bench::open(P | W);
    let copy = b.bus.ram.clone();
    assert!(b.write(PAGE, 4), "what can be written was copied");
    assert_eq!(copy.read(PhysAddr(FRAME + PAGE), 8), Some(3));
}

#[test]
fn hashing_shared_pages_from_several_threads_is_sound() {
    let b = Bench::open(P | W);
    let other = b.bus.fork();
    let sum = |bus: &Bus| bus.ram.hashes().fold(0, |sum: u128, (_, hash)| sum ^ hash);
    let sums = std::thread::scope(|scope| {
        let threads = [&b.bus, &other, &other].map(|bus| scope.spawn(move || sum(bus)));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    assert!(sums.iter().all(|one| *one == sums[0]));
}

#[test]
fn another_mmu_finds_no_ways() {
    let mut b = Bench::open(P | W);
    b.mmu = Mmu::default();
    b.mmu.attach(&mut b.bus);
    assert_eq!(b.read(PAGE), None);
}

#[test]
fn global_ways_survive_a_load_of_cr3_and_others_do_not() {
    for (rights, stays) in [(P | W, false), (P | W | G, true)] {
        let mut b = Bench::new(rights);
        b.paging.global = true;
        b.store(PAGE, 1);
        b.store(PAGE, 1);
        assert!(b.write(PAGE, 2));
        b.mmu.flush(&mut b.bus, 0);
        assert_eq!(b.read(PAGE).is_some(), stays);
        assert_eq!(b.write(PAGE, 2), stays);
        b.mmu.flush_all(&mut b.bus);
        assert_eq!(b.read(PAGE), None);
    }
}
