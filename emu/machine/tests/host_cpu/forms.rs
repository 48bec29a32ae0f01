//! Which instruction forms are judged.

use iced_x86::{Code, CpuidFeature, Decoder, DecoderOptions, EncodingKind, Instruction, Mnemonic};
use iced_x86::{OpCodeOperandKind, OpKind, Register};

/// Why a form is not judged here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// Not in 64-bit mode, or in an encoding that no model has.
    Elsewhere,
    /// This host's CPU does not have it.
    Host,
    /// It asks the operating system for something, or tells what differs from host to host.
    System,
    /// One documented result is ours, which other tests bound.
    Ours,
}

/// Why a form is not judged, whether or not it is announced.
pub fn reason(code: Code) -> Option<Absent> {
    let info = code.op_code();
    let possible = info.is_instruction()
        && info.mode64()
        && matches!(info.encoding(), EncodingKind::Legacy | EncodingKind::VEX)
        && !info.fwait()
        && !is_amd(code);
    if !possible {
        return Some(Absent::Elsewhere);
    }
    if is_system(code) {
        return Some(Absent::System);
    }
    if is_ours(code.mnemonic()) {
        return Some(Absent::Ours);
    }
    let host = code
        .cpuid_features()
        .iter()
        .all(|&feature| host_has(feature));
    (!host).then_some(Absent::Host)
}

/// What these bytes are to the decoder library, hints and unannounced prefixes as on the machine.
pub fn decode(bytes: &[u8], at: u64) -> Instruction {
    Decoder::with_ip(64, bytes, at, DecoderOptions::FORCE_RESERVED_NOP).decode()
}

/// Forms with a 16-bit branch in 64-bit mode.
fn is_amd(code: Code) -> bool {
    use OpCodeOperandKind as K;
    let relative = code
        .op_code()
        .op_kinds()
        .iter()
        .any(|k| matches!(k, K::br16_1 | K::br16_2 | K::br32_1 | K::br64_1 | K::br64_4));
    let branch = matches!(
        code.mnemonic(),
        Mnemonic::Jmp | Mnemonic::Call | Mnemonic::Ret
    );
    code.op_code().operand_size() == 16 && (relative || branch)
}

/// What asks the kernel for something, what Linux virtualises, and what loads segments.
fn is_system(code: Code) -> bool {
    use Mnemonic as M;
    let name = format!("{code:?}");
    matches!(
        code.mnemonic(),
        M::Int
            | M::Int1
            | M::Int3
            | M::Into
            | M::Bound
            | M::Syscall
            | M::Sysret
            | M::Sysretq
            | M::Sysenter
            | M::Sysexit
            | M::Sysexitq
            | M::Iret
            | M::Iretd
            | M::Iretq
            | M::Retf
            | M::Lss
            | M::Lfs
            | M::Lgs
            | M::Sgdt
            | M::Sidt
            | M::Sldt
            | M::Str
            | M::Smsw
            | M::Lar
            | M::Lsl
            | M::Verr
            | M::Verw
            | M::Cpuid
            | M::Rdtsc
            | M::Rdtscp
            | M::Rdpmc
            | M::Rdrand
            | M::Rdseed
            | M::Xgetbv
            | M::Rdpid
            | M::Monitor
            | M::Mwait
            | M::Ud0
            | M::Ud1
    ) || name.starts_with("Mov_Sreg")
        || name.starts_with("Pop") && (name.ends_with("_FS") || name.ends_with("_GS"))
        || name.contains("m1616")
        || name.contains("m1632")
        || name.contains("m1664")
        || name.contains("_tr")
}

/// The transcendental functions.
fn is_ours(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::F2xm1 | M::Fcos | M::Fpatan | M::Fptan | M::Fsin | M::Fsincos | M::Fyl2x | M::Fyl2xp1
    )
}

/// Whether the host's CPU has a set that is not part of every x86-64 CPU.
fn host_has(feature: CpuidFeature) -> bool {
    use CpuidFeature as F;
    match feature {
        F::SSE3 => std::is_x86_feature_detected!("sse3"),
        F::SSSE3 => std::is_x86_feature_detected!("ssse3"),
        F::SSE4_1 => std::is_x86_feature_detected!("sse4.1"),
        F::SSE4_2 => std::is_x86_feature_detected!("sse4.2"),
        F::POPCNT => std::is_x86_feature_detected!("popcnt"),
        F::CMPXCHG16B => std::is_x86_feature_detected!("cmpxchg16b"),
        F::AVX => std::is_x86_feature_detected!("avx"),
        F::AVX2 => std::is_x86_feature_detected!("avx2"),
        F::FMA => std::is_x86_feature_detected!("fma"),
        F::F16C => std::is_x86_feature_detected!("f16c"),
        F::BMI1 => std::is_x86_feature_detected!("bmi1"),
        F::BMI2 => std::is_x86_feature_detected!("bmi2"),
        F::LZCNT => std::is_x86_feature_detected!("lzcnt"),
        F::MOVBE => std::is_x86_feature_detected!("movbe"),
        F::ADX => std::is_x86_feature_detected!("adx"),
        F::AES => std::is_x86_feature_detected!("aes"),
        F::PCLMULQDQ => std::is_x86_feature_detected!("pclmulqdq"),
        F::SHA => std::is_x86_feature_detected!("sha"),
        F::XSAVE => std::is_x86_feature_detected!("xsave"),
        F::XSAVEOPT => std::is_x86_feature_detected!("xsaveopt"),
        F::XSAVEC => std::is_x86_feature_detected!("xsavec"),
        _ => true,
    }
}

/// Whether the memory operand's address is made by the instruction and not by an operand.
pub fn is_implicit(instruction: &Instruction) -> bool {
    instruction.is_string_instruction()
        || instruction.mnemonic() == Mnemonic::Xlatb
        || instruction
            .op_kinds()
            .any(|kind| matches!(kind, OpKind::MemorySegRDI | OpKind::MemorySegEDI))
}

/// Whether the index of the memory operand is a vector.
pub fn is_gather(instruction: &Instruction) -> bool {
    let index = instruction.memory_index();
    index.is_xmm() || index.is_ymm()
}

/// Whether it saves or loads the components of a state.
pub fn is_xsave(instruction: &Instruction) -> bool {
    format!("{:?}", instruction.mnemonic()).starts_with("Xsave")
        || matches!(
            instruction.mnemonic(),
            Mnemonic::Xrstor | Mnemonic::Xrstor64
        )
}

/// The number of a general-purpose register, whatever part of it is meant.
pub fn number(register: Register) -> usize {
    register.full_register().number()
}
