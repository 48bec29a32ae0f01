//! The host's own CPU judges the arithmetic of `cpu::fp`: values, flags and C1. Each file has a
//! table with a line an instruction.
#![allow(unreachable_pub)]
#![cfg(target_arch = "x86_64")]

mod fused;
mod host;
mod random;
mod sse;
mod x87;
mod x87_memory;

use machine::cpu::fp::{DOUBLE, EXTENDED, Flags, Relation, SINGLE};

/// Bounded, seeded and enough to meet each special case many times.
const ROUNDS: usize = 60_000;

/// Bits of the x87's status word: the exceptions, and whether a result was rounded up.
const EXCEPTIONS: u16 = 0x3f;
const C1: u16 = 1 << 9;

fn status_of(flags: Flags, up: bool) -> u16 {
    u16::from(flags.bits()) | if up { C1 } else { 0 }
}

/// ZF, PF, CF as COMISD and FCOMI set them.
fn rflags_of(relation: Relation) -> u64 {
    match relation {
        Relation::Greater => 0,
        Relation::Less => 1,
        Relation::Equal => 0x40,
        Relation::Unordered => 0x45,
    }
}

#[test]
fn formats_are_what_the_manual_says() {
    assert_eq!(EXTENDED.precision, 64);
    assert_eq!(DOUBLE.indefinite(), 0xfff8_0000_0000_0000);
    assert_eq!(SINGLE.indefinite(), 0xffc0_0000);
}
