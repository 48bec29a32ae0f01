//! What an instruction works on: registers, immediates, memory, and how wide they are.

use iced_x86::{CodeSize, Instruction, MemorySize, Mnemonic, OpKind, Register};

use super::width;
use crate::cpu::insn::{Family, Gpr, Insn, Mem, NO_REGISTER, Op, Operand, RIP, Seg, Width};

pub(super) fn operand(instruction: &Instruction, index: u32) -> Operand {
    let next = instruction.len() as u64;
    match instruction.op_kind(index) {
        OpKind::Register => register(instruction.op_register(index)),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            Operand::Imm(instruction.near_branch_target().wrapping_sub(next))
        }
        OpKind::FarBranch16 => Operand::Far {
            selector: instruction.far_branch_selector(),
            offset: u32::from(instruction.far_branch16()),
        },
        OpKind::FarBranch32 => Operand::Far {
            selector: instruction.far_branch_selector(),
            offset: instruction.far_branch32(),
        },
        kind if is_immediate(kind) => Operand::Imm(instruction.immediate(index)),
        _ => Operand::Mem,
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate8_2nd
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
}

pub(super) fn register(register: Register) -> Operand {
    let number = register.number() as u8;
    if register.is_gpr() {
        let high = matches!(
            register,
            Register::AH | Register::CH | Register::DH | Register::BH
        );
        let index = register.full_register().number() as u8;
        let width = Width::from_bytes(register.size()).unwrap_or(Width::Qword);
        return Operand::Gpr(Gpr { index, width, high });
    }
    match register {
        r if r.is_segment_register() => segment(r).map_or(Operand::None, Operand::Seg),
        r if r.is_cr() => Operand::Cr(number),
        r if r.is_dr() => Operand::Dr(number),
        r if r.is_ymm() => Operand::Ymm(number),
        r if r.is_xmm() => Operand::Xmm(number),
        r if r.is_mm() => Operand::Mmx(number),
        r if r.is_st() => Operand::St(number),
        _ => Operand::None,
    }
}

fn segment(register: Register) -> Option<Seg> {
    Some(match register {
        Register::ES => Seg::Es,
        Register::CS => Seg::Cs,
        Register::SS => Seg::Ss,
        Register::DS => Seg::Ds,
        Register::FS => Seg::Fs,
        Register::GS => Seg::Gs,
        _ => return None,
    })
}

/// The memory operand; for string instructions the segment of the source and the width of the
/// index registers.
pub(super) fn memory(instruction: &Instruction) -> Mem {
    let base = instruction.memory_base();
    let index = instruction.memory_index();
    let number = |r: Register| {
        if r == Register::None {
            NO_REGISTER
        } else {
            r.number() as u8
        }
    };
    let mut disp = instruction.memory_displacement64();
    let ip_relative = instruction.is_ip_rel_memory_operand();
    if ip_relative {
        disp = disp.wrapping_sub(instruction.len() as u64);
    }
    Mem {
        base: if ip_relative { RIP } else { number(base) },
        index: number(index),
        scale: instruction.memory_index_scale() as u8,
        address: address_width(instruction),
        seg: memory_segment(instruction),
        disp,
        bytes: memory_bytes(instruction),
    }
}

/// The segment of the memory operand. In 64-bit code only the prefixes of FS and GS mean anything,
/// and the base alone says whether a bad address is a stack fault.
fn memory_segment(instruction: &Instruction) -> Seg {
    let named = segment(instruction.memory_segment()).unwrap_or(Seg::Ds);
    let ignored = !matches!(named, Seg::Fs | Seg::Gs)
        && instruction.segment_prefix() != Register::None
        && native_width(instruction) == Width::Qword;
    match instruction.memory_base() {
        _ if !ignored => named,
        Register::RSP | Register::ESP | Register::RBP | Register::EBP => Seg::Ss,
        _ => Seg::Ds,
    }
}

fn memory_bytes(instruction: &Instruction) -> u16 {
    match instruction.memory_size() {
        // The decoder counts these as unknown or without their real extent.
        MemorySize::Fxsave_512Byte | MemorySize::Fxsave64_512Byte => 512,
        size => size.size() as u16,
    }
}

/// The width of the address computation: what the base or index has, or the prefix says.
fn address_width(instruction: &Instruction) -> Width {
    for i in 0..instruction.op_count() {
        match instruction.op_kind(i) {
            OpKind::MemorySegSI | OpKind::MemorySegDI | OpKind::MemoryESDI => return Width::Word,
            OpKind::MemorySegESI | OpKind::MemorySegEDI | OpKind::MemoryESEDI => {
                return Width::Dword;
            }
            OpKind::MemorySegRSI | OpKind::MemorySegRDI | OpKind::MemoryESRDI => {
                return Width::Qword;
            }
            _ => {}
        }
    }
    let registers = [instruction.memory_base(), instruction.memory_index()];
    if let Some(register) = registers.iter().find(|r| r.is_gpr() || r.is_ip()) {
        return Width::from_bytes(register.size()).unwrap_or(Width::Qword);
    }
    if let Some(width) = width::counter(instruction.code()) {
        return width;
    }
    match Width::from_bytes(instruction.memory_displ_size() as usize) {
        Some(width) if width != Width::Byte => width,
        _ => native_width(instruction),
    }
}

/// The width of the code.
fn native_width(instruction: &Instruction) -> Width {
    match instruction.code_size() {
        CodeSize::Code16 => Width::Word,
        CodeSize::Code64 => Width::Qword,
        _ => Width::Dword,
    }
}

pub(super) fn size(instruction: &Instruction, insn: &Insn) -> Width {
    let native = native_width(instruction);
    match insn.op.family() {
        Family::String => return element(instruction),
        _ if instruction.mnemonic() == Mnemonic::Sysret => return Width::Dword,
        Family::Stack | Family::Control => {
            return width::control(instruction).unwrap_or(native);
        }
        _ => {}
    }
    if matches!(insn.op, Op::Lgdt | Op::Lidt | Op::Sgdt | Op::Sidt) {
        return width::control(instruction).unwrap_or(native);
    }
    if matches!(insn.op, Op::Ins | Op::Outs) {
        return element(instruction);
    }
    match insn.operands[0] {
        Operand::Gpr(reg) => reg.width,
        Operand::Mem => Width::from_bytes(usize::from(insn.mem.bytes)).unwrap_or(native),
        _ => native,
    }
}

fn element(instruction: &Instruction) -> Width {
    Width::from_bytes(instruction.memory_size().size()).unwrap_or(Width::Byte)
}
