//! Every form of every MMX, SSE and AVX instruction that this machine announces, against the host's
//! CPU: results, flags, MXCSR, memory and faults.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod native;

use std::collections::BTreeSet;

use iced_x86::{
    Code, CpuidFeature, Encoder, EncodingKind, Instruction, Mnemonic, OpCodeOperandKind, OpKind,
    Register,
};
use native::{Case, Guest, OPERAND, Random, host};

/// Cases for each form, on average; bounded by what a test run may take.
const CASES: usize = 150;

const FEATURES: [CpuidFeature; 10] = [
    CpuidFeature::MMX,
    CpuidFeature::SSE,
    CpuidFeature::SSE2,
    CpuidFeature::SSE3,
    CpuidFeature::SSSE3,
    CpuidFeature::SSE4_1,
    CpuidFeature::SSE4_2,
    CpuidFeature::POPCNT,
    CpuidFeature::AVX,
    CpuidFeature::AVX2,
];

fn host_has(feature: CpuidFeature) -> bool {
    match feature {
        CpuidFeature::SSE3 => std::is_x86_feature_detected!("sse3"),
        CpuidFeature::SSSE3 => std::is_x86_feature_detected!("ssse3"),
        CpuidFeature::SSE4_1 => std::is_x86_feature_detected!("sse4.1"),
        CpuidFeature::SSE4_2 => std::is_x86_feature_detected!("sse4.2"),
        CpuidFeature::POPCNT => std::is_x86_feature_detected!("popcnt"),
        CpuidFeature::AVX => std::is_x86_feature_detected!("avx"),
        CpuidFeature::AVX2 => std::is_x86_feature_detected!("avx2"),
        _ => true,
    }
}

/// The forms to judge.
fn codes() -> Vec<Code> {
    Code::values()
        .filter(|code| {
            let info = code.op_code();
            let features = code.cpuid_features();
            matches!(info.encoding(), EncodingKind::Legacy | EncodingKind::VEX)
                && info.mode64()
                && features
                    .iter()
                    .all(|f| FEATURES.contains(f) && host_has(*f))
                && !is_for_others(code.mnemonic())
                && !is_missing(*code)
        })
        .collect()
}

/// Not instructions on vectors, or ones that need operands of their own.
fn is_for_others(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Sfence
            | M::Lfence
            | M::Mfence
            | M::Clflush
            | M::Pause
            | M::Monitor
            | M::Mwait
            | M::Prefetchnta
            | M::Prefetcht0
            | M::Prefetcht1
            | M::Prefetcht2
            | M::Ldmxcsr
            | M::Vldmxcsr
            | M::Fisttp
    )
}

/// Forms of 32 bytes that stop the machine by name: their lanes change width, or are summed.
fn is_missing(code: Code) -> bool {
    matches!(
        code,
        Code::VEX_Vcvtdq2pd_ymm_xmmm128
            | Code::VEX_Vcvtdq2ps_ymm_ymmm256
            | Code::VEX_Vcvtpd2dq_xmm_ymmm256
            | Code::VEX_Vcvtpd2ps_xmm_ymmm256
            | Code::VEX_Vcvtps2dq_ymm_ymmm256
            | Code::VEX_Vcvtps2pd_ymm_xmmm128
            | Code::VEX_Vcvttpd2dq_xmm_ymmm256
            | Code::VEX_Vcvttps2dq_ymm_ymmm256
            | Code::VEX_Vdpps_ymm_ymm_ymmm256_imm8
    )
}

const GPRS: [usize; 12] = [0, 1, 2, 3, 6, 8, 9, 10, 11, 12, 13, 14];

fn gpr(random: &mut Random, first: Register) -> Register {
    Register::try_from(first as usize + GPRS[random.below(12) as usize]).unwrap()
}

fn gpr8(random: &mut Random) -> Register {
    [Register::AL, Register::CL, Register::R8L, Register::R13L][random.below(4) as usize]
}

fn vector(random: &mut Random, first: Register, count: u64) -> Register {
    Register::try_from(first as usize + random.below(count) as usize).unwrap()
}

fn set_memory(instruction: &mut Instruction, operand: u32, displacement: u64) {
    instruction.set_op_kind(operand, OpKind::Memory);
    instruction.set_memory_base(Register::RDI);
    instruction.set_memory_displacement64(displacement);
    instruction.set_memory_displ_size(u32::from(displacement != 0));
}

/// The instruction with operands by chance; `None` if a form is not for this harness.
fn build(code: Code, random: &mut Random) -> Option<Instruction> {
    use OpCodeOperandKind as K;
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    let in_memory = random.below(2) == 0;
    // Mostly aligned; otherwise it shows who minds.
    let displacement = if random.below(6) == 0 {
        random.below(64)
    } else {
        32 * random.below(3)
    };
    for i in 0..code.op_code().op_count() {
        let kind = code.op_code().op_kind(i);
        let register = match kind {
            K::xmm_reg | K::xmm_rm => vector(random, Register::XMM0, 16),
            K::xmm_vvvv | K::xmm_is4 => vector(random, Register::XMM0, 16),
            K::ymm_reg | K::ymm_rm | K::ymm_vvvv | K::ymm_is4 => vector(random, Register::YMM0, 16),
            K::ymm_or_mem if !in_memory => vector(random, Register::YMM0, 16),
            K::mm_reg | K::mm_rm => vector(random, Register::MM0, 8),
            K::r32_reg | K::r32_rm => gpr(random, Register::EAX),
            K::r64_reg | K::r64_rm => gpr(random, Register::RAX),
            K::r16_reg => gpr(random, Register::AX),
            K::xmm_or_mem if !in_memory => vector(random, Register::XMM0, 16),
            K::mm_or_mem if !in_memory => vector(random, Register::MM0, 8),
            K::r16_or_mem if !in_memory => gpr(random, Register::AX),
            K::r32_or_mem if !in_memory => gpr(random, Register::EAX),
            K::r8_or_mem if !in_memory => gpr8(random),
            K::r64_or_mem if !in_memory => gpr(random, Register::RAX),
            K::mem
            | K::xmm_or_mem
            | K::ymm_or_mem
            | K::mm_or_mem
            | K::r8_or_mem
            | K::r16_or_mem
            | K::r32_or_mem
            | K::r64_or_mem => {
                set_memory(&mut instruction, i, displacement);
                continue;
            }
            K::mem_vsib32x | K::mem_vsib64x => {
                set_memory(&mut instruction, i, displacement);
                instruction.set_memory_index(vector(random, Register::XMM0, 16));
                instruction.set_memory_index_scale(1 << random.below(4));
                continue;
            }
            K::mem_vsib32y | K::mem_vsib64y => {
                set_memory(&mut instruction, i, displacement);
                instruction.set_memory_index(vector(random, Register::YMM0, 16));
                instruction.set_memory_index_scale(1 << random.below(4));
                continue;
            }
            K::seg_rDI => {
                instruction.set_op_kind(i, OpKind::MemorySegRDI);
                continue;
            }
            K::imm8 => {
                instruction.set_op_kind(i, OpKind::Immediate8);
                instruction.set_immediate8(random.next() as u8);
                continue;
            }
            _ => return None,
        };
        instruction.set_op_kind(i, OpKind::Register);
        instruction.set_op_register(i, register);
    }
    Some(instruction)
}

fn encode(instruction: &Instruction) -> Vec<u8> {
    let mut encoder = Encoder::new(64);
    encoder
        .encode(instruction, 0)
        .unwrap_or_else(|error| panic!("{instruction:?}: {error}"));
    encoder.take_buffer()
}

fn mxcsr(random: &mut Random) -> u32 {
    let masks = match random.below(6) {
        0 => random.below(64) as u32,
        _ => 0x3f,
    };
    let daz_ftz = [0, 0, 0, 1 << 6, 1 << 15, 1 << 6 | 1 << 15][random.below(6) as usize];
    let earlier = if random.below(4) == 0 {
        random.below(64) as u32
    } else {
        0
    };
    masks << 7 | (random.below(4) as u32) << 13 | daz_ftz | earlier
}

/// The operands, made alike now and then: equal, or neighbours.
fn relate(case: &mut Case, instruction: &Instruction, random: &mut Random) {
    if random.below(4) == 0 {
        let like = case.xmm[random.below(16) as usize];
        for xmm in case.xmm.iter_mut().chain(&mut case.ymm_high) {
            if random.below(2) == 0 {
                *xmm = like ^ u128::from(random.below(2));
            }
        }
    }
    // Shift counts and lengths of strings.
    if random.below(4) == 0 {
        for xmm in &mut case.xmm {
            if random.below(3) == 0 {
                *xmm = random.below(70).into();
            }
        }
        case.gpr[0] = random.below(20).wrapping_sub(2);
        case.gpr[2] = random.below(20).wrapping_sub(2);
    }
    // Indices of gathers, of 32 or of 64 bits, that stay within memory.
    if instruction.is_vsib() {
        let register = instruction.memory_index().number();
        let code = format!("{:?}", instruction.mnemonic());
        let (lanes, bits) = if code.contains("gatherd") {
            (4, 32)
        } else {
            (2, 64)
        };
        for half in [&mut case.xmm[register], &mut case.ymm_high[register]] {
            *half = (0..lanes).fold(0, |sum, i| {
                let index = random.below(100).wrapping_sub(40);
                sum | u128::from(index & u64::MAX >> (64 - bits)) << (bits * i)
            });
        }
    }
}

/// A gather wants three different registers.
fn is_encodable(instruction: &Instruction) -> bool {
    let [a, b, c] = [
        instruction.op0_register(),
        instruction.memory_index(),
        instruction.op2_register(),
    ]
    .map(Register::number);
    !instruction.is_vsib() || (a != b && b != c && a != c)
}

#[test]
fn every_form_does_what_the_host_does() {
    let (mut host, mut guest, mut random) = (host(), Guest::new(), Random(1));
    let mut wrong = BTreeSet::new();
    let mut judged = 0;
    for code in codes() {
        for _ in 0..CASES {
            let Some(instruction) = build(code, &mut random) else {
                wrong.insert(format!("{code:?}: no way to build it\n"));
                break;
            };
            if !is_encodable(&instruction) {
                continue;
            }
            let bytes = encode(&instruction);
            let mut case = Case::random(&mut random);
            case.mxcsr = mxcsr(&mut random);
            relate(&mut case, &instruction, &mut random);
            case.full = random.next() as u8;
            case.status = (random.below(8) as u16) << 11;
            for st in &mut case.st {
                *st = random.f80();
            }
            let want = host.run(&bytes, &case);
            judged += 1;
            let got = match guest.run(&bytes, &case) {
                Ok(got) => got,
                Err(halt) => {
                    wrong.insert(format!("{code:?}: {halt}\n"));
                    break;
                }
            };
            if got != want {
                let text = got.difference(&want);
                wrong.insert(format!(
                    "{code:?} {bytes:02x?} mxcsr {:#x}\n{text}",
                    case.mxcsr
                ));
                break;
            }
        }
    }
    assert!(judged > 300 * CASES, "only {judged} cases");
    assert!(
        wrong.is_empty(),
        "{} forms are wrong:\n{}",
        wrong.len(),
        wrong.iter().cloned().collect::<String>()
    );
    assert_eq!(OPERAND % 16, 0);
}
