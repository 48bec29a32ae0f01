use super::*;
use crate::addr::PAGE_SIZE;

const P: u64 = 1;
const W: u64 = 2;
const U: u64 = 4;
const A: u64 = 1 << 5;
const D: u64 = 1 << 6;
const PS: u64 = 1 << 7;
const G: u64 = 1 << 8;
const NX: u64 = 1 << 63;

const READ: Access = Access {
    write: false,
    fetch: false,
    user: false,
    ac: false,
};
const WRITE: Access = Access {
    write: true,
    ..READ
};

/// Tables at fixed places: level 3 at 0x1000, 2 at 0x2000, 1 at 0x3000, 0 at 0x4000.
struct Bench {
    bus: Bus,
    mmu: Mmu,
    paging: Paging,
}

fn table(level: u64) -> u64 {
    (4 - level) * 0x1000
}

impl Bench {
    fn new() -> Self {
        let mut bench = Bench {
            bus: Bus::new(16 << 20, 0),
            mmu: Mmu::default(),
            paging: Paging {
                enabled: true,
                root: PhysAddr(table(3)),
                context: 0,
                write_protect: true,
                no_execute: true,
                global: true,
                smep: true,
                smap: true,
            },
        };
        bench.mmu.attach(&mut bench.bus);
        for level in 1..4 {
            bench.set(level, 0, table(level - 1) | P | W | U);
        }
        bench
    }

    fn set(&mut self, level: u64, index: u64, entry: u64) {
        self.bus
            .write_table(PhysAddr(table(level) + index * 8), entry);
    }

    fn get(&self, level: u64, index: u64) -> u64 {
        self.bus.read_table(PhysAddr(table(level) + index * 8))
    }

    fn at(&mut self, va: u64, access: Access) -> Result<u64, u32> {
        let va = VirtAddr(va);
        match self.mmu.translate(&mut self.bus, &self.paging, va, access) {
            Ok(pa) => Ok(pa.0),
            Err(fault) => {
                assert_eq!(fault.address, va);
                Err(fault.code)
            }
        }
    }
}

#[test]
fn each_page_size_maps() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P | W | U);
    b.set(1, 1, 0x0040_0000 | P | W | PS);
    b.set(2, 1, 0x4000_0000 | P | W | PS);
    assert_eq!(
        b.at(0x5ABC, READ),
        Err(code::PRESENT),
        "SMAP keeps the supervisor out"
    );
    b.paging.smap = false;
    assert_eq!(b.at(0x5ABC, READ), Ok(0x12_3ABC));
    assert_eq!(b.at(0x20_0000 + 0x1_2345, READ), Ok(0x41_2345));
    assert_eq!(
        b.at(0x4000_0000 + 0x1234_5678, READ),
        Ok(0x4000_0000 + 0x1234_5678)
    );
}

#[test]
fn without_paging_addresses_are_physical_and_32_bits() {
    let mut b = Bench::new();
    b.paging.enabled = false;
    assert_eq!(b.at(0x1_1234_5678, WRITE), Ok(0x1234_5678));
}

/// Every combination of page rights, mode and access against the rules, written
/// down here once more in the manual's order.
#[test]
fn the_permission_matrix() {
    for bits in 0..1 << 12 {
        let bit = |n: u32| bits & (1 << n) != 0;
        let (w, u, nx) = (bit(0), bit(1), bit(2));
        let mut b = Bench::new();
        b.paging.write_protect = bit(3);
        b.paging.no_execute = bit(4);
        b.paging.smep = bit(5);
        b.paging.smap = bit(6);
        let access = Access {
            write: bit(7),
            fetch: bit(8),
            user: bit(9),
            ac: bit(10),
        };
        let present = bit(11);
        if access.write && access.fetch {
            continue;
        }
        let mut entry = 0x0012_3000;
        entry |= if present { P } else { 0 };
        entry |= if w { W } else { 0 };
        entry |= if u { U } else { 0 };
        entry |= if nx { NX } else { 0 };
        b.set(0, 5, entry);
        let reserved = nx && !b.paging.no_execute;
        let denied = if access.user {
            !u || access.write && !w || access.fetch && nx
        } else {
            access.write && !w && b.paging.write_protect
                || access.fetch && (nx || u && b.paging.smep)
                || !access.fetch && u && b.paging.smap && !access.ac
        };
        let refused = !present || reserved || denied;
        let mut want = 0;
        want |= if present { code::PRESENT } else { 0 };
        want |= if present && reserved {
            code::RESERVED
        } else {
            0
        };
        want |= if access.write { code::WRITE } else { 0 };
        want |= if access.user { code::USER } else { 0 };
        let tells = b.paging.no_execute || b.paging.smep;
        want |= if access.fetch && tells {
            code::FETCH
        } else {
            0
        };
        let want = if refused { Err(want) } else { Ok(0x12_3000) };
        assert_eq!(b.at(0x5000, access), want, "first, {bits:#b}");
        assert_eq!(b.at(0x5000, access), want, "again, {bits:#b}");
    }
}

#[test]
fn rights_of_all_levels_combine() {
    for level in 0..4 {
        let mut b = Bench::new();
        b.set(0, 0, 0x0012_3000 | P | W | U);
        let whole = b.get(level, 0);
        let user = Access { user: true, ..READ };
        assert!(b.at(0, user).is_ok());
        b.mmu.flush_all(&mut b.bus);
        b.set(level, 0, whole & !U);
        assert_eq!(b.at(0, user), Err(code::PRESENT | code::USER));
        b.set(level, 0, whole & !W);
        let write = Access {
            write: true,
            ..user
        };
        assert_eq!(
            b.at(0, write),
            Err(code::PRESENT | code::USER | code::WRITE)
        );
        b.set(level, 0, whole | NX);
        let fetch = Access {
            fetch: true,
            ..user
        };
        assert_eq!(
            b.at(0, fetch),
            Err(code::PRESENT | code::USER | code::FETCH)
        );
        b.set(level, 0, whole & !P);
        assert_eq!(b.at(0, user), Err(code::USER));
    }
}

#[test]
fn reserved_bits_fault() {
    let cases = [
        (3, 1 << 51, "beyond the physical address"),
        (2, 1 << 40, "beyond the physical address"),
        (0, 1 << 45, "beyond the physical address"),
        (3, PS, "there are no pages of 512 GiB"),
        (1, PS | 1 << 13, "a 2 MiB page that is not aligned"),
        (1, PS | 1 << 20, "a 2 MiB page that is not aligned"),
        (2, PS | 1 << 29, "a 1 GiB page that is not aligned"),
    ];
    for (level, bits, why) in cases {
        let mut b = Bench::new();
        b.paging.smap = false;
        b.set(0, 0, 0x0012_3000 | P | W);
        b.set(level, 0, (b.get(level, 0) & 0x1FFF) | bits);
        let want = Err(code::PRESENT | code::RESERVED | code::WRITE);
        assert_eq!(b.at(0, WRITE), want, "{why}");
    }
}

#[test]
fn large_pages_may_have_their_pat_bit() {
    let mut b = Bench::new();
    b.set(1, 0, 0x0040_0000 | P | W | PS | 1 << 12);
    assert_eq!(b.at(0x3000, WRITE), Ok(0x40_3000));
}

#[test]
fn accessed_and_dirty_are_set_by_the_walk() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P | W);
    b.at(0x5000, READ).unwrap();
    for level in 1..4 {
        assert_eq!(b.get(level, 0) & (A | D), A, "level {level}");
    }
    assert_eq!(b.get(0, 5) & (A | D), A);
    b.at(0x5000, WRITE).unwrap();
    assert_eq!(b.get(0, 5) & (A | D), A | D);
    // The dirty bit is cached: cleared behind the TLB's back, it stays clear.
    b.set(0, 5, 0x0012_3000 | P | W);
    b.at(0x5000, WRITE).unwrap();
    assert_eq!(b.get(0, 5) & (A | D), 0);
    b.mmu.invalidate(&mut b.bus, VirtAddr(0x5000), 0);
    b.at(0x5000, WRITE).unwrap();
    assert_eq!(b.get(0, 5) & (A | D), A | D);
}

#[test]
fn a_refused_access_marks_the_way_but_not_the_page() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P);
    assert!(b.at(0x5000, WRITE).is_err());
    assert_eq!(b.get(0, 5) & (A | D), 0);
    for level in 1..4 {
        assert_eq!(b.get(level, 0) & (A | D), A, "level {level}");
    }
}

#[test]
fn a_stale_translation_stays_until_it_is_flushed() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P | W);
    assert_eq!(b.at(0x5000, READ), Ok(0x12_3000));
    b.set(0, 5, 0x0045_6000 | P | W);
    assert_eq!(b.at(0x5000, READ), Ok(0x12_3000), "no INVLPG yet");
    b.mmu.invalidate(&mut b.bus, VirtAddr(0x5FFF), 0);
    assert_eq!(b.at(0x5000, READ), Ok(0x45_6000));
    b.set(0, 5, 0);
    assert_eq!(
        b.at(0x5000, READ),
        Ok(0x45_6000),
        "unmapped, but not flushed"
    );
    b.mmu.flush(&mut b.bus, 0);
    assert_eq!(b.at(0x5000, READ), Err(0));
}

#[test]
fn stale_rights_refuse_once() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P);
    assert_eq!(b.at(0x5000, READ), Ok(0x12_3000));
    b.set(0, 5, 0x0012_3000 | P | W);
    assert_eq!(b.at(0x5000, WRITE), Err(code::PRESENT | code::WRITE));
    assert_eq!(
        b.at(0x5000, WRITE),
        Ok(0x12_3000),
        "the fault dropped the entry"
    );
}

#[test]
fn global_pages_survive_a_load_of_cr3() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P | W | G);
    b.at(0x5000, READ).unwrap();
    b.set(0, 5, 0x0045_6000 | P | W);
    b.mmu.flush(&mut b.bus, 0);
    assert_eq!(b.at(0x5000, READ), Ok(0x12_3000));
    b.mmu.flush_all(&mut b.bus);
    assert_eq!(b.at(0x5000, READ), Ok(0x45_6000));
}

#[test]
fn invlpg_drops_all_of_a_large_page() {
    let mut b = Bench::new();
    b.set(1, 1, 0x0040_0000 | P | W | PS);
    b.set(1, 2, 0x0060_0000 | P | W | PS);
    for va in [0x20_0000, 0x20_5000, 0x3F_F000, 0x40_0000] {
        b.at(va, READ).unwrap();
    }
    b.set(1, 1, 0);
    b.set(1, 2, 0);
    b.mmu.invalidate(&mut b.bus, VirtAddr(0x2A_A123), 0);
    for va in [0x20_0000, 0x20_5000, 0x3F_F000] {
        assert_eq!(b.at(va, READ), Err(0), "{va:#x}");
    }
    assert_eq!(b.at(0x40_0000, READ), Ok(0x60_0000), "the neighbour stays");
}

#[test]
fn a_set_is_filled_in_turn_whatever_is_hit() {
    let mut b = Bench::new();
    // Pages 256 apart share a set; map them as fragments of 2 MiB pages.
    let page = |n: u64| n * 256 * PAGE_SIZE;
    for index in 0..4 {
        b.set(1, index, (index << 21) | P | W | PS);
    }
    for n in 0..4 {
        b.at(page(n), READ).unwrap();
    }
    b.mmu.take_work();
    for _ in 0..3 {
        b.at(page(0), READ).unwrap();
    }
    assert_eq!(b.mmu.take_work(), Work::default(), "all four fit");
    b.at(page(4), READ).unwrap();
    b.mmu.take_work();
    b.at(page(1), READ).unwrap();
    assert_eq!(b.mmu.take_work().misses, 0);
    b.at(page(0), READ).unwrap();
    assert_eq!(
        b.mmu.take_work(),
        Work {
            misses: 1,
            steps: 3
        },
        "the first in was the first out"
    );
}

#[test]
fn looking_changes_nothing() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P);
    let before = postcard::to_allocvec(&b.mmu).unwrap();
    assert_eq!(
        Mmu::look(&b.bus, &b.paging, VirtAddr(0x5123)),
        Some(PhysAddr(0x12_3123))
    );
    assert_eq!(Mmu::look(&b.bus, &b.paging, VirtAddr(0x6123)), None);
    assert_eq!(postcard::to_allocvec(&b.mmu).unwrap(), before);
    assert_eq!(b.get(0, 5), 0x0012_3000 | P);
}

/// The first write to a clean page walks again, and what it finds replaces what
/// reads have been using: no kind of access may stay behind.
#[test]
fn a_walk_for_the_dirty_bit_renews_reads_too() {
    let mut b = Bench::new();
    b.set(0, 5, 0x0012_3000 | P | W);
    assert_eq!(b.at(0x5000, READ), Ok(0x12_3000));
    b.set(0, 5, 0x0045_6000 | P | W);
    assert_eq!(b.at(0x5000, READ), Ok(0x12_3000), "stale");
    assert_eq!(b.at(0x5000, WRITE), Ok(0x45_6000), "walked");
    assert_eq!(b.at(0x5000, READ), Ok(0x45_6000));
}

/// The host's cache may be dropped at any moment without a trace: two machines,
/// one of which forgets it before each access, stay equal.
#[test]
fn the_fast_cache_is_nobodys_business() {
    let (mut with, mut without) = (Bench::new(), Bench::new());
    let mut random = 1_u64;
    let mut next = |n: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % n
    };
    for step in 0..20_000 {
        let (kind, page, bits, rights) = (next(100), next(4), next(16), next(16));
        let far = next(3) << 20;
        for b in [&mut with, &mut without] {
            match kind {
                0 => b.mmu.invalidate(&mut b.bus, VirtAddr(page << 12), 0),
                1 => b.mmu.flush(&mut b.bus, 0),
                2 => b.mmu.flush_all(&mut b.bus),
                3 => b.paging.write_protect = bits & 1 != 0,
                4 => b.paging.smap = bits & 1 != 0,
                5..=30 => {
                    let rights = P | (rights & 6) | (rights & 8) << 5;
                    b.set(0, page, (0x0010_0000 + (far >> 4)) | rights);
                    b.set(1, 8, 0x0060_0000 | P | W | PS | (rights & G));
                }
                _ => {}
            }
        }
        with.mmu.set_paging(&mut with.bus, &with.paging);
        let access = Access {
            write: bits & 1 != 0,
            fetch: bits & 3 == 2,
            user: bits & 4 != 0,
            ac: bits & 8 != 0,
        };
        let va = if kind > 80 {
            (8 << 21) + far + (page << 12)
        } else {
            page << 12
        };
        without.mmu.drop_all(&mut without.bus);
        assert_eq!(with.at(va, access), without.at(va, access), "step {step}");
        assert_eq!(with.mmu.take_work(), without.mmu.take_work(), "step {step}");
    }
    let bytes = |b: &Bench| postcard::to_allocvec(&b.mmu).unwrap();
    assert_eq!(bytes(&with), bytes(&without));
}
