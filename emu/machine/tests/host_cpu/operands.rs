//! Operands by chance: registers, immediates, and memory in every form of addressing.

use iced_x86::{Instruction, OpCodeOperandKind, OpKind, Register};

use crate::forms;
use crate::random::Random;
use crate::state::{CODE, DATA, DATA_LEN, READ_ONLY};

/// What an address must be fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Any,
    /// Mostly a multiple of so many bytes.
    Aligned(u64),
    /// Within a cache line: hosts punish locks on two by slowing the whole machine.
    Locked,
    Stack,
}

/// An address, often at the seams of pages and now and then beyond an end.
pub fn place(random: &mut Random, fit: Place) -> u64 {
    let whole = DATA_LEN as u64;
    let near = |random: &mut Random, seam: u64| DATA + seam + 8 - random.below(40);
    let inside = DATA + 0x200 + random.below(READ_ONLY as u64 - 0x400);
    let align = match fit {
        Place::Any => 1 << random.below(5),
        Place::Aligned(bytes) => bytes,
        Place::Locked => 16,
        Place::Stack => 8,
    };
    let at = match random.below(24) {
        0 => near(random, READ_ONLY as u64),
        1 => near(random, whole),
        2 => near(random, 0x1000),
        3 => DATA + 16 - random.below(40),
        4 => DATA + whole - random.below(0x1000),
        _ => inside,
    };
    match fit {
        Place::Locked => at & !15,
        _ if random.chance(5) => at,
        _ => at & !(align - 1),
    }
}

/// Draws one operand; none if it is of a kind that no judged form has.
pub fn set(
    random: &mut Random,
    instruction: &mut Instruction,
    i: u32,
    kind: OpCodeOperandKind,
) -> Option<()> {
    if let Some((first, count)) = bank(kind) {
        let in_memory = is_either(kind) && random.chance(2);
        match in_memory {
            true => memory(random, instruction, i, false),
            false => {
                let n = random.below(count) as usize;
                register(instruction, i, Register::try_from(first as usize + n).ok()?);
            }
        }
        return Some(());
    }
    if let Some(fixed) = fixed(kind) {
        register(instruction, i, fixed);
        return Some(());
    }
    if let Some(kind) = immediate_kind(kind) {
        let value = random.value();
        immediate(instruction, i, kind, value);
        return Some(());
    }
    special(random, instruction, i, kind)
}

/// Kinds that are neither registers nor immediates.
fn special(
    random: &mut Random,
    instruction: &mut Instruction,
    i: u32,
    kind: OpCodeOperandKind,
) -> Option<()> {
    use OpCodeOperandKind as K;
    match kind {
        K::mem | K::mem_offs => memory(random, instruction, i, kind == K::mem_offs),
        K::mem_vsib32x | K::mem_vsib64x => gather(random, instruction, i, Register::XMM0),
        K::mem_vsib32y | K::mem_vsib64y => gather(random, instruction, i, Register::YMM0),
        K::imm8_const_1 => immediate(instruction, i, OpKind::Immediate8, 1),
        K::br64_1 | K::br64_4 => {
            instruction.set_op_kind(i, OpKind::NearBranch64);
            instruction.set_near_branch64(CODE + random.below(100));
        }
        K::seg_rSI => instruction.set_op_kind(i, wide_or(random, OpKind::MemorySegRSI)),
        K::es_rDI => instruction.set_op_kind(i, wide_or(random, OpKind::MemoryESRDI)),
        K::seg_rDI => instruction.set_op_kind(i, wide_or(random, OpKind::MemorySegRDI)),
        K::seg_rBX_al => {
            instruction.set_op_kind(i, OpKind::Memory);
            let base = if random.chance(4) {
                Register::EBX
            } else {
                Register::RBX
            };
            instruction.set_memory_base(base);
            instruction.set_memory_index(Register::AL);
        }
        _ => return None,
    }
    Some(())
}

/// The 32-bit form of an implicit operand, now and then. Both operands of MOVS must agree, or the
/// encoder refuses.
fn wide_or(random: &mut Random, kind: OpKind) -> OpKind {
    if !random.chance(5) {
        return kind;
    }
    match kind {
        OpKind::MemorySegRSI => OpKind::MemorySegESI,
        OpKind::MemoryESRDI => OpKind::MemoryESEDI,
        _ => OpKind::MemorySegEDI,
    }
}

/// The first register of a bank, and how many of them a form can name.
fn bank(kind: OpCodeOperandKind) -> Option<(Register, u64)> {
    use OpCodeOperandKind as K;
    Some(match kind {
        K::r8_or_mem | K::r8_reg | K::r8_opcode => (Register::AL, 20),
        K::r16_or_mem | K::r16_reg | K::r16_rm | K::r16_opcode => (Register::AX, 16),
        K::r32_or_mem | K::r32_reg | K::r32_rm | K::r32_opcode | K::r32_vvvv => (Register::EAX, 16),
        K::r64_or_mem | K::r64_reg | K::r64_rm | K::r64_opcode | K::r64_vvvv => (Register::RAX, 16),
        K::mm_or_mem | K::mm_reg | K::mm_rm => (Register::MM0, 8),
        K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4 => (Register::XMM0, 16),
        K::ymm_or_mem | K::ymm_reg | K::ymm_rm | K::ymm_vvvv | K::ymm_is4 => (Register::YMM0, 16),
        K::sti_opcode => (Register::ST0, 8),
        K::seg_reg => (Register::ES, 6),
        _ => return None,
    })
}

fn is_either(kind: OpCodeOperandKind) -> bool {
    use OpCodeOperandKind as K;
    matches!(
        kind,
        K::r8_or_mem
            | K::r16_or_mem
            | K::r32_or_mem
            | K::r64_or_mem
            | K::mm_or_mem
            | K::xmm_or_mem
            | K::ymm_or_mem
    )
}

fn fixed(kind: OpCodeOperandKind) -> Option<Register> {
    use OpCodeOperandKind as K;
    Some(match kind {
        K::al => Register::AL,
        K::cl => Register::CL,
        K::ax => Register::AX,
        K::dx => Register::DX,
        K::eax => Register::EAX,
        K::rax => Register::RAX,
        K::st0 => Register::ST0,
        K::fs => Register::FS,
        K::gs => Register::GS,
        _ => return None,
    })
}

fn immediate_kind(kind: OpCodeOperandKind) -> Option<OpKind> {
    use OpCodeOperandKind as K;
    Some(match kind {
        K::imm8 => OpKind::Immediate8,
        K::imm16 => OpKind::Immediate16,
        K::imm32 => OpKind::Immediate32,
        K::imm64 => OpKind::Immediate64,
        K::imm8sex16 => OpKind::Immediate8to16,
        K::imm8sex32 => OpKind::Immediate8to32,
        K::imm8sex64 => OpKind::Immediate8to64,
        K::imm32sex64 => OpKind::Immediate32to64,
        _ => return None,
    })
}

fn register(instruction: &mut Instruction, i: u32, register: Register) {
    instruction.set_op_kind(i, OpKind::Register);
    instruction.set_op_register(i, register);
}

fn immediate(instruction: &mut Instruction, i: u32, kind: OpKind, value: u64) {
    // ENTER has two immediates, of which the second is a byte.
    let kind = match (i, instruction.op0_kind(), kind) {
        (1, OpKind::Immediate16, OpKind::Immediate8) => OpKind::Immediate8_2nd,
        _ => kind,
    };
    instruction.set_op_kind(i, kind);
    match kind {
        OpKind::Immediate8 => instruction.set_immediate8(value as u8),
        OpKind::Immediate8_2nd => instruction.set_immediate8_2nd(value as u8),
        OpKind::Immediate16 => instruction.set_immediate16(value as u16),
        OpKind::Immediate32 => instruction.set_immediate32(value as u32),
        OpKind::Immediate64 => instruction.set_immediate64(value),
        OpKind::Immediate8to16 => instruction.set_immediate8to16(value as i8 as i16),
        OpKind::Immediate8to32 => instruction.set_immediate8to32(value as i8 as i32),
        OpKind::Immediate8to64 => instruction.set_immediate8to64(value as i8 as i64),
        _ => instruction.set_immediate32to64(i64::from(value as i32)),
    }
}

/// A memory operand of any shape.
fn memory(random: &mut Random, instruction: &mut Instruction, i: u32, offset_only: bool) {
    let wide = !random.chance(6);
    let first = if wide { Register::RAX } else { Register::EAX };
    let pool = |random: &mut Random| general(first, random.below(16));
    let (mut base, mut index) = (Register::None, Register::None);
    if !offset_only {
        match random.below(8) {
            0 => base = if wide { Register::RIP } else { Register::EIP },
            1 => {}
            2..=4 => base = pool(random),
            5 => index = pool(random),
            _ => (base, index) = (pool(random), pool(random)),
        }
    }
    let absolute = base.is_ip() || base == Register::None && index == Register::None;
    let displacement = if absolute {
        place(random, Place::Aligned(16))
    } else if forms::number(base) == 4
        && base != Register::None
        && instruction_uses_stack(instruction)
    {
        random.below(128).wrapping_sub(64)
    } else {
        match random.below(4) {
            0 => 0,
            1 => random.below(256).wrapping_sub(128),
            _ => i64::from(random.value() as i32) as u64,
        }
    };
    instruction.set_op_kind(i, OpKind::Memory);
    instruction.set_memory_base(base);
    instruction.set_memory_index(index);
    if index != Register::None {
        instruction.set_memory_index_scale(1 << random.below(4));
    }
    instruction.set_memory_displacement64(displacement);
    let only_displacement = if offset_only { 8 } else { 4 };
    instruction.set_memory_displ_size(match base {
        Register::None if index == Register::None => only_displacement,
        _ if wide => 8,
        _ => 4,
    });
    segment(random, instruction);
}

fn segment(random: &mut Random, instruction: &mut Instruction) {
    match random.below(16) {
        0 => instruction.set_segment_prefix(Register::FS),
        1 => instruction.set_segment_prefix(Register::GS),
        _ => {}
    }
}

fn general(first: Register, n: u64) -> Register {
    Register::try_from(first as usize + n as usize).unwrap_or(first)
}

fn instruction_uses_stack(instruction: &Instruction) -> bool {
    instruction.stack_pointer_increment() != 0
}

/// A memory operand whose index is a vector.
fn gather(random: &mut Random, instruction: &mut Instruction, i: u32, first: Register) {
    instruction.set_op_kind(i, OpKind::Memory);
    if !random.chance(8) {
        instruction.set_memory_base(general(Register::RAX, random.below(16)));
    }
    instruction.set_memory_index(general(first, random.below(16)));
    instruction.set_memory_index_scale(1 << random.below(4));
    instruction.set_memory_displacement64(random.below(256).wrapping_sub(128));
    instruction.set_memory_displ_size(8);
    segment(random, instruction);
}

/// LOCK and REP where they are allowed.
pub fn prefixes(random: &mut Random, instruction: &mut Instruction) {
    let info = instruction.op_code();
    let to_memory = instruction.op0_kind() == OpKind::Memory;
    let string = instruction.is_string_instruction();
    if info.can_use_lock_prefix() && to_memory && random.chance(3) {
        instruction.set_has_lock_prefix(true);
    }
    if info.can_use_rep_prefix() && string && random.chance(2) {
        instruction.set_has_rep_prefix(true);
    } else if info.can_use_repne_prefix() && string && random.chance(2) {
        instruction.set_has_repne_prefix(true);
    }
}
