//! What the decoder makes of some bytes.

use alloc::vec::Vec;

use iced_x86::Code;

use super::*;
use crate::cpu::insn::RIP;

/// CPUID announces whole sets; whatever of them is missing stops the machine, so the list is
/// kept here by name.
#[test]
fn what_is_announced_has_an_operation() {
    let missing: Vec<String> = Code::values()
        .filter(|code| code.op_code().is_instruction())
        // Decoded as two instructions.
        .filter(|code| !code.op_code().fwait())
        .filter(|code| {
            let mut instruction = Instruction::default();
            instruction.set_code(*code);
            is_announced(&instruction, CpuModel::V3.features()) && operation(&instruction).is_none()
        })
        .map(|code| format!("{code:?}"))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// LAHF, POPCNT, CMPXCHG16B, PSHUFB; and SAHF of 32-bit code, which is as old as that.
#[test]
fn what_a_model_does_not_announce_is_undefined() {
    let op = |bytes: &[u8], bits, model| decode(bytes, bits, model).unwrap().unwrap().op;
    let codes: [(&[u8], Op); 4] = [
        (&[0x9F], Op::Lahf),
        (&[0xF3, 0x0F, 0xB8, 0xC1], Op::Popcnt),
        (&[0x48, 0x0F, 0xC7, 0x0E], Op::Cmpxchg16b),
        (&[0x66, 0x0F, 0x38, 0x00, 0xC1], Op::Pshufb),
    ];
    for (bytes, expected) in codes {
        assert_eq!(op(bytes, 64, CpuModel::V1), Op::Undefined);
        assert_eq!(op(bytes, 64, CpuModel::V2), expected);
    }
    assert_eq!(op(&[0x9E], 32, CpuModel::V1), Op::Sahf);
    // Their prefix is ignored where they are not announced.
    let scan = [0xF3, 0x0F, 0xBC, 0xC1];
    assert_eq!(op(&scan, 64, CpuModel::V2), Op::Bsf);
    assert_eq!(op(&scan, 64, CpuModel::V3), Op::Tzcnt);
    assert_eq!(op(&[0xF3, 0x0F, 0x09], 64, CpuModel::V3), Op::Wbinvd);
}

#[test]
fn addresses_relative_to_rip_do_not_depend_on_where_the_code_stands() {
    let insn = decode(&[0x48, 0x8B, 0x05, 0x10, 0, 0, 0], 64, CpuModel::V2)
        .unwrap()
        .unwrap();
    assert_eq!(
        (insn.op, insn.mem.base, insn.mem.disp),
        (Op::Mov, RIP, 0x10)
    );
    let insn = decode(&[0xEB, 0xFE], 64, CpuModel::V2).unwrap().unwrap();
    assert_eq!(
        (insn.op, insn.operands[0]),
        (Op::Jmp, Operand::Imm(-2_i64 as u64))
    );
}

#[test]
fn fifteen_bytes_are_the_most() {
    let mut bytes = [0x66; 15];
    assert_eq!(decode(&bytes[..14], 64, CpuModel::V2), Ok(None));
    assert_eq!(decode(&bytes, 64, CpuModel::V2), Err(Fault::GP));
    // Fifteen that make a whole instruction are judged by what it is: LOCK NOP.
    bytes[13..].copy_from_slice(&[0xF0, 0x90]);
    let refused = decode(&bytes, 64, CpuModel::V2).unwrap().unwrap();
    assert_eq!(refused.op, Op::Undefined);
    bytes[13..].copy_from_slice(&[0x66, 0x90]);
    assert!(matches!(
        decode(&bytes, 64, CpuModel::V2),
        Ok(Some(Insn {
            op: Op::Nop,
            len: 15,
            ..
        }))
    ));
}
