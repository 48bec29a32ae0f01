//! Bytes to instructions: the only room that knows the decoder library.

mod announced;
mod class;
mod operand;
mod operation;
mod vex;
mod width;

use alloc::format;
use alloc::string::String;

use iced_x86::{Decoder, DecoderError, DecoderOptions, EncodingKind, Instruction};

use announced::{is_announced, options};
use class::class;
use operand::{memory, operand, size};
use operation::operation;

use super::Fault;
use super::insn::{Class, Family, Insn, Mem, NO_REGISTER, Op, Operand, Rep, Seg, Width};
use super::model::{CpuModel, Features};

/// No instruction is longer.
pub const MAX_LENGTH: usize = 15;

/// What an instruction without an operation of ours is called until its bytes are at hand.
pub const UNNAMED: &str = "an instruction";

/// The name of the instruction in these bytes, for messages.
#[must_use]
pub fn name(bytes: &[u8], bits: u32, model: CpuModel) -> String {
    let mut decoder = Decoder::with_ip(bits, bytes, 0, options(model.features()));
    format!("{:?}", decoder.decode().mnemonic())
}

/// Decodes one instruction as this model has it; `None` if the bytes end before it does. Fifteen
/// bytes that do not hold a whole instruction are a general-protection fault.
pub fn decode(bytes: &[u8], bits: u32, model: CpuModel) -> Result<Option<Insn>, Fault> {
    let features = model.features();
    let mut decoder = Decoder::with_ip(bits, bytes, 0, options(features));
    let instruction = decoder.decode();
    if instruction.is_invalid() {
        return match decoder.last_error() {
            DecoderError::NoMoreBytes if bytes.len() < MAX_LENGTH => Ok(None),
            _ if instruction.len() >= MAX_LENGTH && !is_whole(bytes, bits, features) => {
                Err(Fault::GP)
            }
            _ => Ok(Some(special(Op::Undefined, 1))),
        };
    }
    let mut insn = translate(&instruction, features);
    if matches!(insn.family, Family::X87 | Family::X87Move) {
        insn.fop = x87_opcode(bytes);
    }
    Ok(Some(insn))
}

/// The low three bits of the first byte of an x87 instruction and the byte behind it; no prefix
/// looks like that first byte.
fn x87_opcode(bytes: &[u8]) -> u16 {
    let escape = bytes.windows(2).find(|pair| pair[0] & 0xF8 == 0xD8);
    escape.map_or(0, |pair| u16::from(pair[0] & 7) << 8 | u16::from(pair[1]))
}

/// Whether the bytes hold all of an instruction, if only one that is refused: with a LOCK prefix
/// that it cannot have, say.
fn is_whole(bytes: &[u8], bits: u32, features: Features) -> bool {
    let lenient = options(features) | DecoderOptions::NO_INVALID_CHECK;
    !Decoder::with_ip(bits, bytes, 0, lenient)
        .decode()
        .is_invalid()
}

fn special(op: Op, len: u8) -> Insn {
    Insn {
        op,
        family: op.family(),
        class: Class::Simple,
        size: Width::Byte,
        len,
        condition: 0,
        rep: Rep::None,
        lock: false,
        vex: false,
        fop: 0,
        operands: [Operand::None; 4],
        mem: Mem {
            base: NO_REGISTER,
            index: NO_REGISTER,
            scale: 1,
            address: Width::Qword,
            seg: Seg::Ds,
            disp: 0,
            bytes: 0,
        },
    }
}

fn translate(instruction: &Instruction, features: Features) -> Insn {
    let len = instruction.len() as u8;
    if !is_announced(instruction, features) {
        return special(Op::Undefined, len);
    }
    let Some(op) = operation(instruction) else {
        return special(Op::Missing, len);
    };
    let mut insn = special(op, len);
    for i in 0..instruction.op_count().min(4) {
        insn.operands[i as usize] = operand(instruction, i);
    }
    insn.vex = instruction.code().encoding() == EncodingKind::VEX;
    if op.family().is_vector() {
        vex::arrange(&mut insn, instruction);
    }
    insn.class = class(op);
    insn.mem = memory(instruction);
    insn.size = size(instruction, &insn);
    insn.condition = (instruction.condition_code() as u8).wrapping_sub(1) & 15;
    insn.lock = instruction.has_lock_prefix() || op == Op::Xchg;
    insn.rep = match (
        instruction.has_repne_prefix(),
        instruction.has_repe_prefix(),
    ) {
        (true, _) => Rep::Repne,
        (_, true) => Rep::Repe,
        _ => Rep::None,
    };
    insn
}

#[cfg(test)]
mod tests;
