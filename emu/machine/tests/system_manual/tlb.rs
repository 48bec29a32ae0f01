//! What the TLB keeps, what page faults take from it, and what a walk marks (volume 3A, 4.8 and
//! 4.10).

use super::*;

impl Bench {
    /// Maps the first frame at another address by tables of its own, which no other access goes
    /// through: the address, and where the entries of the four levels lie.
    fn map_far(&mut self) -> (u64, [u64; 4]) {
        let far = PAGE | 1 << 39;
        let upper = [0x13_0000, 0x13_1000, 0x13_2000];
        let entries = [
            TABLES[0] + 8,
            upper[0],
            upper[1],
            upper[2] + (PAGE >> 12 & 511) * 8,
        ];
        let next = [upper[0], upper[1], upper[2], FRAMES[0]];
        for (at, to) in entries.into_iter().zip(next) {
            self.put(at, to | PRESENT | WRITE);
        }
        (far, entries)
    }

    fn get(&mut self, at: u64) -> u64 {
        self.bus.read(PhysAddr(at), 8, 0)
    }
}

/// 4.10.4.1: a page fault lets go what the TLB has of the page that caused it.
#[test]
fn a_page_fault_drops_the_entry_that_caused_it() {
    let mut bench = Bench::new(0);
    bench.put(TABLES[3] + PAGE / 512, FRAMES[0] | PRESENT);
    assert_eq!(bench.seen(), 1);
    bench.map(FRAMES[1], 0);
    let write = |a: &mut CodeAssembler| a.mov(byte_ptr(PAGE + 8), 1);
    assert_eq!(bench.run(&write), Err(14));
    assert_eq!(bench.run(&write), Ok(()));
    assert_eq!(bench.seen(), 2);
}

/// 4.10.2.3: what the TLB holds of a page stays in use when its entry, or one above it, is no
/// longer present; INVLPG ends that.
#[test]
fn what_is_unmapped_stays_until_it_is_invalidated() {
    for level in 0..4 {
        let mut bench = Bench::new(0);
        let (far, entries) = bench.map_far();
        let read = move |a: &mut CodeAssembler| {
            a.mov(rcx, far)?;
            a.mov(rax, qword_ptr(rcx))
        };
        bench.run(&read).unwrap();
        bench.put(entries[level], 0);
        assert_eq!(bench.run(&read), Ok(()), "level {level}: stale");
        let forget = move |a: &mut CodeAssembler| {
            a.mov(rcx, far)?;
            a.invlpg(byte_ptr(rcx))
        };
        bench.run(&forget).unwrap();
        assert_eq!(bench.run(&read), Err(14), "level {level}: invalidated");
    }
}

/// 4.10.4.1, the same where the TLB has the page but the tables refuse: it may be written, is not
/// dirty yet, and so the write looks at the tables, which do not have it any more.
#[test]
fn a_page_fault_of_the_tables_drops_what_the_tlb_has() {
    let write = |a: &mut CodeAssembler| a.mov(byte_ptr(PAGE + 8), 1);
    for entry in [0, FRAMES[0] | PRESENT] {
        let mut bench = Bench::new(0);
        assert_eq!(bench.seen(), 1);
        bench.put(TABLES[3] + PAGE / 512, entry);
        assert_eq!(bench.seen(), 1, "stale until a fault");
        assert_eq!(bench.run(&write), Err(14));
        bench.map(FRAMES[1], 0);
        assert_eq!(bench.seen(), 2, "entry {entry:#x}");
    }
}

/// 4.8: an entry that refers to another table has been used for a translation, and its accessed
/// flag is set, also if the access is refused further down. The entry that refuses has not been
/// used: neither one that is not present, nor one with a reserved bit, nor one that maps the page.
#[test]
fn a_refused_access_marks_the_tables_on_its_way() {
    const ACCESSED: u64 = 1 << 5;
    const NO_WRITE: u64 = PRESENT;
    const RESERVED: u64 = PRESENT | WRITE | 1 << 51;
    for refusal in [0, NO_WRITE, RESERVED] {
        for last in 0..4 {
            let mut bench = Bench::new(0);
            let (far, entries) = bench.map_far();
            let old = bench.get(entries[last]);
            bench.put(entries[last], old & !(PRESENT | WRITE) | refusal);
            let result = bench.run(&|a| {
                a.mov(rcx, far)?;
                a.mov(byte_ptr(rcx), 1)
            });
            assert_eq!(result, Err(14));
            let marked = entries.map(|at| bench.get(at) & ACCESSED != 0);
            // Rights are judged when the way is at its end.
            let end = if refusal == NO_WRITE { 3 } else { last };
            let expected = [0, 1, 2, 3].map(|level| level < end);
            assert_eq!(marked, expected, "entry {last}, {refusal:#x}");
        }
    }
}
