//! CPUID: what this CPU says about itself. The bits of features come from the table of
//! [`model`](super::model), which the decoder asks too.

use super::Cx;
use super::model::{Features, Word};
use super::pmu;
use super::state::cr4;
use crate::addr::PHYS_BITS;

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
        let features = self.cpu.model.features();
        // Beyond the highest leaf of its range, the highest basic leaf answers.
        let leaf = match leaf {
            abi::probe::CPUID_LEAF => leaf,
            ..=MAX_BASIC | 0x8000_0000..=MAX_EXTENDED => leaf,
            _ => MAX_BASIC,
        };
        match leaf {
            0 => vendor(MAX_BASIC, VENDOR),
            1 => basic(features, self.cpu.cr4),
            // Cache descriptors: all there is to know is in leaf 4.
            2 => [0x00FF_FF01, 0, 0, 0],
            7 if subleaf == 0 => [
                0,
                features.word(Word::Leaf7Ebx),
                features.word(Word::Leaf7Ecx),
                0,
            ],
            0xA => performance(),
            0xD => self.cpuid_xsave(subleaf),
            0x15 => [1, TSC_RATIO, CRYSTAL, 0],
            abi::probe::CPUID_LEAF => {
                let [a, b, c] = words(&abi::probe::SIGNATURE);
                [leaf, a, b, c]
            }
            0x8000_0000 => [MAX_EXTENDED, 0, 0, 0],
            0x8000_0001 => [
                0,
                0,
                features.word(Word::ExtendedEcx),
                features.word(Word::ExtendedEdx),
            ],
            0x8000_0002..=0x8000_0004 => brand(leaf - 0x8000_0002),
            // Invariant TSC.
            0x8000_0007 => [0, 0, 0, 1 << 8],
            0x8000_0008 => [PHYS_BITS | 48 << 8, 0, 0, 0],
            _ => [0; 4],
        }
    }
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
fn basic(features: Features, control: u64) -> Leaf {
    let eax = 6 << 8 | 0xF << 4 | 1;
    // CLFLUSH works on 8 times 8 bytes; one logical CPU, APIC id 0.
    let ebx = 8 << 8 | 1 << 16;
    // What the kernel has switched on, for programs: CR4.OSXSAVE.
    let osxsave = match control & cr4::OSXSAVE {
        0 => 0,
        _ => 1 << 27,
    };
    [
        eax,
        ebx,
        features.word(Word::Leaf1Ecx) | osxsave,
        features.word(Word::Leaf1Edx),
    ]
}

/// Leaf 0xA: version 2, one general and one fixed counter of 48 bits; of the seven
/// architectural events only "instructions retired" is there.
fn performance() -> Leaf {
    let eax = 2 | 1 << 8 | pmu::WIDTH << 16 | 7 << 24;
    [eax, 0b111_1101, 0, 1 | pmu::WIDTH << 5]
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
