//! Every form of every x87 instruction that this machine has, against the host's CPU: registers,
//! tags, status with condition codes and C1, control, memory and RFLAGS.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod native;

use std::collections::BTreeSet;

use iced_x86::{
    Code, CpuidFeature, Encoder, EncodingKind, Instruction, Mnemonic, OpCodeOperandKind, OpKind,
    Register,
};
use native::{Case, Guest, OPERAND, Random, host};

/// Cases for each form; bounded by what a test run may take.
const CASES: usize = 800;

/// The forms to judge.
fn codes() -> Vec<Code> {
    Code::values()
        .filter(|code| {
            let info = code.op_code();
            let features = code.cpuid_features();
            info.encoding() == EncodingKind::Legacy
                && info.mode64()
                && !info.fwait()
                && (features.contains(&CpuidFeature::FPU)
                    || features.contains(&CpuidFeature::FPU387)
                    || code.mnemonic() == Mnemonic::Fisttp)
                && !is_missing(code.mnemonic())
        })
        .collect()
}

/// The elementary functions, whose last places are ours (`x87_functions.rs` judges them); aliases
/// without a use; and WAIT, which has nothing to show.
fn is_missing(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::F2xm1
            | M::Fcos
            | M::Fpatan
            | M::Fptan
            | M::Fsin
            | M::Fsincos
            | M::Fyl2x
            | M::Fyl2xp1
            | M::Wait
            | M::Fstpnce
            | M::Fneni
            | M::Fndisi
            | M::Fnsetpm
            | M::Frstpm
    )
}

fn build(code: Code, random: &mut Random) -> Option<Instruction> {
    use OpCodeOperandKind as K;
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    for i in 0..code.op_code().op_count() {
        let register = match code.op_code().op_kind(i) {
            K::mem => {
                instruction.set_op_kind(i, OpKind::Memory);
                instruction.set_memory_base(Register::RDI);
                let displacement = random.below(64);
                instruction.set_memory_displacement64(displacement);
                instruction.set_memory_displ_size(u32::from(displacement != 0));
                continue;
            }
            K::st0 => Register::ST0,
            K::sti_opcode => {
                Register::try_from(Register::ST0 as usize + random.below(8) as usize).unwrap()
            }
            K::ax => Register::AX,
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

fn case(random: &mut Random) -> Case {
    let mut case = Case::random(random);
    let masks = if random.below(4) == 0 {
        random.below(64) as u16
    } else {
        0x3f
    };
    let precision = [0u16, 2, 3, 3][random.below(4) as usize];
    case.control = 0x40 | masks | precision << 8 | (random.below(4) as u16) << 10;
    // Earlier exceptions that are masked, a stack fault, condition codes, the top.
    let earlier = if random.below(3) == 0 {
        random.next() as u16 & masks & 0x3f
    } else {
        0
    };
    let stack_fault = if earlier & 1 != 0 {
        random.next() as u16 & 0x40
    } else {
        0
    };
    case.status = earlier | stack_fault | random.next() as u16 & 0x7f00;
    case.full = match random.below(4) {
        0 => random.next() as u8,
        1 => 0xff,
        // Full but for the one that a push would take.
        _ => !(1u8.rotate_left(u32::from(case.status >> 11 & 7) + 7)),
    };
    for st in &mut case.st {
        *st = random.f80();
    }
    if random.below(4) == 0 {
        let like = case.st[0];
        case.st[random.below(8) as usize] = like;
    }
    // Numbers of about the size of the integers.
    if random.below(3) == 0 {
        case.st[0].se = case.st[0].se & 0x8000 | (0x3ffd + random.below(70) as u16);
        case.st[0].sig |= 1 << 63;
    }
    case
}

/// What a load from memory finds there.
fn prepare_memory(code: Code, at: usize, case: &mut Case, random: &mut Random) {
    let bytes = &mut case.memory[at..at + 108];
    match code.mnemonic() {
        Mnemonic::Fld => match code {
            Code::Fld_m32fp => bytes[..4].copy_from_slice(&random.single().to_le_bytes()[..4]),
            Code::Fld_m64fp => bytes[..8].copy_from_slice(&random.double().to_le_bytes()),
            _ => bytes[..10].copy_from_slice(&random.f80().to_bytes()),
        },
        Mnemonic::Fbld => {
            for byte in &mut bytes[..9] {
                *byte = (random.below(10) << 4 | random.below(10)) as u8;
            }
        }
        Mnemonic::Fldcw => bytes[1] &= 0x1f,
        // An environment without reserved bits.
        Mnemonic::Fldenv | Mnemonic::Frstor => {
            bytes[1] &= 0x1f;
            let second = if matches!(code, Code::Fldenv_m14byte | Code::Frstor_m94byte) {
                2
            } else {
                4
            };
            bytes[second] &= 0x7f;
            bytes[second + 1] &= 0x7f;
        }
        _ => {}
    }
}

/// Where a state in memory holds the last instruction's address, operand and opcode, which the
/// harness cannot make equal.
fn forget_pointers(code: Code, at: usize, case: &mut Case) {
    let range = match code {
        Code::Fnstenv_m14byte | Code::Fnsave_m94byte => 6..14,
        Code::Fnstenv_m28byte | Code::Fnsave_m108byte => 12..28,
        _ => return,
    };
    case.memory[at + range.start..at + range.end].fill(0);
}

/// One case of a form: what differs, if anything does.
fn judge(code: Code, guest: &mut Guest, random: &mut Random) -> Option<String> {
    let Some(instruction) = build(code, random) else {
        return Some(format!("{code:?}: no way to build it\n"));
    };
    let bytes = encode(&instruction);
    let at = OPERAND + instruction.memory_displacement64() as usize;
    let mut before = case(random);
    prepare_memory(code, at, &mut before, random);
    let mut want = host().run(&bytes, &before);
    let mut got = match guest.run(&bytes, &before) {
        Ok(got) => got,
        Err(halt) => return Some(format!("{code:?}: {halt}\n")),
    };
    forget_pointers(code, at, &mut want);
    forget_pointers(code, at, &mut got);
    (got != want).then(|| {
        format!(
            "{code:?} {bytes:02x?} control {:#x} status {:#x} full {:#x} memory {:02x?} st {:x?}\n{}",
            before.control,
            before.status,
            before.full,
            &before.memory[at..at + 10],
            before.st,
            got.difference(&want),
        )
    })
}

#[test]
fn every_form_does_what_the_host_does() {
    let (mut guest, mut random) = (Guest::new(), Random(2));
    let codes = codes();
    assert!(codes.len() > 120, "only {} forms", codes.len());
    let wrong: BTreeSet<String> = codes
        .into_iter()
        .filter_map(|code| (0..CASES).find_map(|_| judge(code, &mut guest, &mut random)))
        .collect();
    let text: String = wrong.iter().cloned().collect();
    assert!(wrong.is_empty(), "{} forms are wrong:\n{text}", wrong.len());
}
