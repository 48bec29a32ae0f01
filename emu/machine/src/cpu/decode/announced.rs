//! Which instructions the running model has: the decoder library's names for sets, in terms of the
//! table that CPUID answers from.

use iced_x86::{Code, CodeSize, CpuidFeature, DecoderOptions, Instruction};

use crate::cpu::model::{Feature, Features};

/// Hints are no-operations on every CPU, whatever newer ones make of them; TZCNT and LZCNT are
/// BSF and BSR on a CPU that does not announce them, and WBNOINVD, which none does, is WBINVD.
pub(super) fn options(features: Features) -> u32 {
    let unless = |feature, option| if features.has(feature) { 0 } else { option };
    DecoderOptions::FORCE_RESERVED_NOP
        | DecoderOptions::NO_WBNOINVD
        | unless(Feature::Bmi1, DecoderOptions::NO_MPFX_0FBC)
        | unless(Feature::Lzcnt, DecoderOptions::NO_MPFX_0FBD)
}

/// Whether CPUID announces all that the instruction needs.
pub(super) fn is_announced(instruction: &Instruction, features: Features) -> bool {
    let long = instruction.code_size() == CodeSize::Code64;
    if long && matches!(instruction.code(), Code::Lahf | Code::Sahf) {
        return features.has(Feature::Lahf);
    }
    (instruction.cpuid_features().iter()).all(|&needed| has(features, needed))
}

/// Whether a set has what the decoder library calls so.
fn has(features: Features, needed: CpuidFeature) -> bool {
    use CpuidFeature as F;
    let feature = match needed {
        F::INTEL8086 | F::INTEL186 | F::INTEL286 | F::INTEL386 | F::INTEL486 | F::X64 => {
            return true;
        }
        // Without a bit in CPUID, or as old as long mode.
        F::CPUID | F::MULTIBYTENOP | F::PAUSE | F::RDPMC => return true,
        F::TSC => Feature::Tsc,
        F::MSR => Feature::Msr,
        F::CX8 => Feature::Cx8,
        F::CMOV => Feature::Cmov,
        F::SYSCALL => Feature::Syscall,
        F::CMPXCHG16B => Feature::Cx16,
        F::RDTSCP => Feature::Rdtscp,
        F::CLFSH => Feature::Clfsh,
        F::SMAP => Feature::Smap,
        F::FPU | F::FPU287 | F::FPU387 => Feature::Fpu,
        F::MMX => Feature::Mmx,
        F::FXSR => Feature::Fxsr,
        F::SSE => Feature::Sse,
        F::SSE2 => Feature::Sse2,
        F::SSE3 => Feature::Sse3,
        F::SSSE3 => Feature::Ssse3,
        F::SSE4_1 => Feature::Sse41,
        F::SSE4_2 => Feature::Sse42,
        F::POPCNT => Feature::Popcnt,
        F::AVX => Feature::Avx,
        F::AVX2 => Feature::Avx2,
        F::FMA => Feature::Fma,
        F::F16C => Feature::F16c,
        F::BMI1 => Feature::Bmi1,
        F::BMI2 => Feature::Bmi2,
        F::LZCNT => Feature::Lzcnt,
        F::MOVBE => Feature::Movbe,
        F::XSAVE => Feature::Xsave,
        F::XSAVEOPT => Feature::Xsaveopt,
        F::XSAVEC => Feature::Xsavec,
        F::AES => Feature::Aes,
        F::PCLMULQDQ => Feature::Pclmulqdq,
        F::SHA => Feature::Sha,
        F::ADX => Feature::Adx,
        F::RDRAND => Feature::Rdrand,
        F::RDSEED => Feature::Rdseed,
        F::FSGSBASE => Feature::Fsgsbase,
        F::INVPCID => Feature::Invpcid,
        _ => return false,
    };
    features.has(feature)
}
