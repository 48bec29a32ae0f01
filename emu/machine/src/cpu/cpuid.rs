//! CPUID: what this CPU says it can do. An instruction set is announced here and nowhere else;
//! the decoder asks the same constants.

use super::Cx;
use super::pmu;
use crate::addr::PHYS_BITS;

/// What is announced beyond the base that every x86-64 CPU has.
pub mod announced {
    #![allow(missing_docs)]
    pub const FPU: bool = true;
    pub const MMX: bool = true;
    pub const FXSR: bool = true;
    pub const SSE: bool = true;
    pub const SSE2: bool = true;
    pub const SSE3: bool = true;
    pub const SSSE3: bool = true;
    pub const SSE4_1: bool = true;
    pub const SSE4_2: bool = true;
    pub const POPCNT: bool = true;
}

/// Highest basic leaf.
const MAX_BASIC: u32 = 0x15;
/// Highest extended leaf.
const MAX_EXTENDED: u32 = 0x8000_0008;
const VENDOR: &[u8; 12] = b"GenuineIntel";
const BRAND: &[u8; 48] = b"coe deterministic x86-64 CPU, one cycle per ns\0\0";

/// The crystal that the TSC and the APIC timer count by, in Hz, and TSC ticks per crystal tick.
const CRYSTAL: u32 = 25_000_000;
const TSC_RATIO: u32 = 40;

/// eax, ebx, ecx, edx.
type Leaf = [u32; 4];

impl Cx<'_> {
    /// The leaf for these values of eax and ecx.
    #[must_use]
    pub(super) fn cpuid(&self, leaf: u32, subleaf: u32) -> Leaf {
        match leaf {
            0 => vendor(MAX_BASIC, VENDOR),
            1 => features(),
            // Cache descriptors: all there is to know is in leaf 4.
            2 => [0x00FF_FF01, 0, 0, 0],
            7 if subleaf == 0 => [0, bit(7, true) | bit(20, true), 0, 0],
            0xA => performance(),
            0x15 => [1, TSC_RATIO, CRYSTAL, 0],
            abi::probe::CPUID_LEAF => {
                let [a, b, c] = words(&abi::probe::SIGNATURE);
                [leaf, a, b, c]
            }
            0x8000_0000 => [MAX_EXTENDED, 0, 0, 0],
            0x8000_0001 => extended(),
            0x8000_0002..=0x8000_0004 => brand(leaf - 0x8000_0002),
            // Invariant TSC.
            0x8000_0007 => [0, 0, 0, 1 << 8],
            0x8000_0008 => [PHYS_BITS | 48 << 8, 0, 0, 0],
            _ => [0; 4],
        }
    }
}

const fn bit(number: u32, on: bool) -> u32 {
    (on as u32) << number
}

fn words(bytes: &[u8; 12]) -> [u32; 3] {
    let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
    [word(0), word(4), word(8)]
}

fn vendor(max: u32, name: &[u8; 12]) -> Leaf {
    let [b, d, c] = words(name);
    [max, b, c, d]
}

/// Leaf 1: family 6, model and stepping of no CPU that software works around.
fn features() -> Leaf {
    use announced as a;
    let eax = 6 << 8 | 0xF << 4 | 1;
    // CLFLUSH works on 8 times 8 bytes; one logical CPU, APIC id 0.
    let ebx = 8 << 8 | 1 << 16;
    let ecx = bit(0, a::SSE3)
        | bit(9, a::SSSE3)
        | bit(13, true) // CMPXCHG16B
        | bit(19, a::SSE4_1)
        | bit(20, a::SSE4_2)
        | bit(23, a::POPCNT)
        | bit(31, true); // hypervisor: leaf 0x40000000 is worth a look
    let base = [2, 3, 4, 5, 6, 8, 9, 13, 15, 16, 19]; // DE PSE TSC MSR PAE CX8 APIC PGE CMOV PAT CLFSH
    let edx = base.iter().fold(0, |sum, &number| sum | 1 << number)
        | bit(0, a::FPU)
        | bit(23, a::MMX)
        | bit(24, a::FXSR)
        | bit(25, a::SSE)
        | bit(26, a::SSE2);
    [eax, ebx, ecx, edx]
}

/// Leaf 0xA: version 2, one general and one fixed counter of 48 bits; of the seven
/// architectural events only "instructions retired" is there.
fn performance() -> Leaf {
    let eax = 2 | 1 << 8 | pmu::WIDTH << 16 | 7 << 24;
    [eax, 0b111_1101, 0, 1 | pmu::WIDTH << 5]
}

/// Leaf 0x80000001.
fn extended() -> Leaf {
    // LAHF in 64-bit mode; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
    [0, 0, 1, 1 << 11 | 1 << 20 | 1 << 26 | 1 << 27 | 1 << 29]
}

fn brand(part: u32) -> Leaf {
    let start = part as usize * 16;
    let word = |i: usize| {
        let at = start + 4 * i;
        BRAND
            .get(at..at + 4)
            .and_then(|b| b.first_chunk())
            .map_or(0, |b| u32::from_le_bytes(*b))
    };
    [word(0), word(1), word(2), word(3)]
}
