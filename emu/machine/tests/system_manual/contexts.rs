//! Process contexts and global pages (volume 3A, 4.10).

use super::*;

impl Bench {
    /// Contexts 1 and 2 with the page in the TLB, global if `bits` says so, and then another frame
    /// behind it. Context 2 runs.
    fn two_contexts(bits: u64) -> Bench {
        let mut bench = Bench::new(PCID | cr4::PGE);
        bench.map(FRAMES[0], bits);
        for context in [1, 2] {
            bench.load_cr3(TABLES[0] | context).unwrap();
            assert_eq!(bench.seen(), 1);
        }
        bench.map(FRAMES[1], bits);
        bench
    }

    /// What both contexts see, without a flush by the way there.
    fn both(&mut self) -> [u64; 2] {
        [1, 2].map(|context| {
            self.load_cr3(TABLES[0] | context | KEEP).unwrap();
            self.seen()
        })
    }
}

/// 4.10.4.1, MOV to CR3 with CR4.PCIDE = 0: what is associated with context 0 goes, but for global
/// pages.
#[test]
fn a_load_of_cr3_without_contexts_spares_global_pages() {
    for (bits, expected) in [(0, 2), (GLOBAL, 1)] {
        let mut bench = Bench::new(cr4::PGE);
        bench.map(FRAMES[0], bits);
        assert_eq!(bench.seen(), 1);
        bench.map(FRAMES[1], bits);
        assert_eq!(bench.seen(), 1, "stale until it is invalidated");
        bench.load_cr3(TABLES[0]).unwrap();
        assert_eq!(bench.seen(), expected);
    }
}

/// 4.10.4.1, MOV to CR3 with CR4.PCIDE = 1 and bit 63 clear: what is associated with the context in
/// bits 11:0 goes, but for global pages; other contexts need not lose anything.
#[test]
fn a_load_of_cr3_with_contexts_empties_the_one_that_it_names() {
    let mut bench = Bench::two_contexts(0);
    bench.load_cr3(TABLES[0] | 1).unwrap();
    assert_eq!(bench.both(), [2, 1]);
}

/// 4.10.4.1, MOV to CR3 with CR4.PCIDE = 1 and bit 63 set: nothing needs to go. 2.5: bit 63 is not
/// stored.
#[test]
fn bit_63_keeps_translations() {
    let mut bench = Bench::two_contexts(0);
    assert_eq!(bench.both(), [1, 1]);
    assert_eq!(bench.cpu.cr3, TABLES[0] | 2);
}

/// 4.10.2.4: a global translation may be used whatever context it was made in.
#[test]
fn a_global_page_serves_every_context() {
    let mut bench = Bench::two_contexts(GLOBAL);
    for context in [3, 4] {
        bench.load_cr3(TABLES[0] | context).unwrap();
        assert_eq!(bench.seen(), 1);
    }
}

/// 4.10.4.1, INVLPG: the page goes in the current context, and from all of them if it is global.
#[test]
fn invlpg_is_for_the_current_context_and_global_pages() {
    for (bits, expected) in [(0, [1, 2]), (GLOBAL, [2, 2])] {
        let mut bench = Bench::two_contexts(bits);
        bench.run(&|a| a.invlpg(byte_ptr(PAGE + 5))).unwrap();
        assert_eq!(bench.both(), expected);
    }
}

/// 4.10.4.1, INVPCID: type 0 is for one address in one context, type 1 for one context, both
/// without global translations; type 2 is for all contexts and global translations too, type 3 for
/// all contexts without these.
#[test]
fn invpcid_has_four_types() {
    let cases = [
        (0, 1, PAGE, 0, [2, 1]),
        (0, 1, PAGE + 0x1000, 0, [1, 1]),
        (0, 1, PAGE, GLOBAL, [1, 1]),
        (1, 1, 0, 0, [2, 1]),
        (1, 1, 0, GLOBAL, [1, 1]),
        (2, 0, 0, 0, [2, 2]),
        (2, 0, 0, GLOBAL, [2, 2]),
        (3, 0, 0, 0, [2, 2]),
        (3, 0, 0, GLOBAL, [1, 1]),
    ];
    for (kind, context, address, bits, expected) in cases {
        let mut bench = Bench::two_contexts(bits);
        bench.invpcid(kind, context, address).unwrap();
        assert_eq!(bench.both(), expected, "type {kind}, bits {bits:#x}");
    }
}

/// Volume 2A, INVPCID: #GP(0) for a type above 3; for bits 63:12 of the descriptor; for an address
/// that is not canonical with type 0; for a context other than 0 with types 0 and 1 if CR4.PCIDE =
/// 0.
#[test]
fn invpcid_checks_its_operands() {
    let with = [
        (4, 0, 0, Err(13)),
        (1 << 32, 0, 0, Err(13)),
        (3, 1 << 12, 0, Err(13)),
        (0, 1, 1 << 47, Err(13)),
        (1, 1, 1 << 47, Ok(())),
    ];
    for (kind, context, address, expected) in with {
        let result = Bench::new(PCID).invpcid(kind, context, address);
        assert_eq!(result, expected, "type {kind} with contexts");
    }
    let without = [
        (0, 1, Err(13)),
        (1, 1, Err(13)),
        (1, 0, Ok(())),
        (2, 1, Ok(())),
    ];
    for (kind, context, expected) in without {
        let result = Bench::new(0).invpcid(kind, context, 0);
        assert_eq!(result, expected, "type {kind} without contexts");
    }
}

/// 4.10.1: CR4.PCIDE can be set only while CR3[11:0] is 0. 2.5: without it bit 63 of CR3 is
/// reserved.
#[test]
fn contexts_begin_with_context_0() {
    let mut bench = Bench::new(0);
    let control = bench.cpu.cr4;
    bench.load_cr3(TABLES[0] | 0x18).unwrap();
    assert_eq!(bench.load_cr4(control | PCID), Err(13));
    assert_eq!(bench.load_cr3(TABLES[0] | KEEP), Err(13));
    bench.load_cr3(TABLES[0]).unwrap();
    assert_eq!(bench.load_cr4(control | PCID), Ok(()));
    bench.load_cr3(TABLES[0] | 0xFFF).unwrap();
    assert_eq!(bench.cpu.cr3, TABLES[0] | 0xFFF);
}

/// 4.10.4.1, MOV to CR4: a change of PGE, and PCIDE going from 1 to 0, let everything go, global
/// translations too.
#[test]
fn ending_contexts_empties_the_tlb() {
    for bit in [PCID, cr4::PGE] {
        let mut bench = Bench::two_contexts(GLOBAL);
        bench.load_cr3(TABLES[0] | KEEP).unwrap();
        bench.load_cr4(bench.cpu.cr4 & !bit).unwrap();
        assert_eq!(bench.seen(), 2);
    }
}
