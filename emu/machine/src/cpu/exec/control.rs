//! Jumps, calls, interrupts and returns.

use super::stack::push;
use crate::addr::VirtAddr;
use crate::cpu::call_gate::Transfer;
use crate::cpu::descriptor::Descriptor;
use crate::cpu::insn::{Insn, Op, Operand, Seg, Width};
use crate::cpu::state::{Segment, efer, flag};
use crate::cpu::{Cx, Fault, vector};

const RCX: u8 = 1;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Jmp => {
            let target = near_target(cx, insn)?;
            jump(cx, target)
        }
        Op::Jcc if cx.cpu.condition(insn.condition) => relative(cx, insn),
        Op::Jcc => Ok(()),
        Op::Call => call(cx, insn),
        Op::Ret => near_return(cx, insn),
        Op::Loop | Op::Loope | Op::Loopne | Op::Jrcxz => count_and_jump(cx, insn),
        Op::JmpFar => far_jump(cx, insn),
        Op::CallFar => far_call(cx, insn),
        Op::RetFar => far_return(cx, insn),
        Op::Int => software(cx, insn),
        Op::Int1 => cx.debug_interrupt(),
        Op::Int3 => cx.software_interrupt(vector::BP),
        Op::Iret => cx.interrupt_return(insn.size),
        Op::Syscall => system_call(cx),
        Op::Sysret => system_return(cx, insn.size),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}

/// Checks a target and goes there; a bad one is the jump's own fault.
fn jump(cx: &mut Cx<'_>, target: u64) -> Result<(), Fault> {
    let code = &cx.cpu.seg[Seg::Cs as usize];
    let good = match cx.cpu.code64() {
        true => VirtAddr(target).is_canonical(),
        false => target <= u64::from(code.limit),
    };
    if !good {
        return Err(Fault::GP);
    }
    cx.next = target;
    Ok(())
}

fn relative(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let target = near_target(cx, insn)?;
    jump(cx, target)
}

fn near_target(cx: &mut Cx<'_>, insn: &Insn) -> Result<u64, Fault> {
    let target = match insn.operands[0] {
        Operand::Imm(distance) => cx.next.wrapping_add(distance),
        _ => cx.get(insn, 0)?,
    };
    Ok(target & insn.size.mask())
}

/// The return address is stored before the target is checked, as CPUs do; RSP moves last.
fn call(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let target = near_target(cx, insn)?;
    let back = cx.next;
    let before = cx.cpu.gpr[4];
    push(cx, insn.size, back)?;
    let jumped = jump(cx, target);
    if jumped.is_err() {
        cx.cpu.gpr[4] = before;
    }
    jumped
}

fn near_return(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let target = cx.stack_word(0, insn.size)?;
    jump(cx, target)?;
    cx.release_stack(u64::from(insn.size.bytes()) + immediate(insn));
    Ok(())
}

/// The bytes of arguments that a return gives back.
fn immediate(insn: &Insn) -> u64 {
    match insn.operands[0] {
        Operand::Imm(bytes) => bytes & 0xFFFF,
        _ => 0,
    }
}

/// LOOP, LOOPE, LOOPNE count in the width of addresses; JrCXZ only looks.
fn count_and_jump(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.mem.address;
    let count = cx.reg(RCX, width);
    if insn.op == Op::Jrcxz {
        return if count == 0 {
            relative(cx, insn)
        } else {
            Ok(())
        };
    }
    let count = count.wrapping_sub(1) & width.mask();
    let zero = cx.cpu.flag(flag::ZF);
    let taken = count != 0
        && match insn.op {
            Op::Loope => zero,
            Op::Loopne => !zero,
            _ => true,
        };
    if taken {
        relative(cx, insn)?;
    }
    cx.set_reg(RCX, width, count);
    Ok(())
}

/// Selector and offset of a far transfer.
fn far_pointer(cx: &mut Cx<'_>, insn: &Insn) -> Result<(u16, u64), Fault> {
    if let Operand::Far { selector, offset } = insn.operands[0] {
        return Ok((selector, u64::from(offset)));
    }
    let offset_len = insn.mem.bytes as u8 - 2;
    let va = cx.address(insn, false)?;
    let offset = cx.read(va, offset_len)?;
    let selector = cx.read(va.add(u64::from(offset_len)), 2)?;
    Ok((selector as u16, offset))
}

/// Checks the far target; the segment becomes current only afterwards.
fn far_target(
    cx: &mut Cx<'_>,
    selector: u16,
    descriptor: Descriptor,
    offset: u64,
) -> Result<Segment, Fault> {
    cx.check_code(selector, descriptor)?;
    let long = cx.cpu.long_mode() && descriptor.is_long();
    let good = match long {
        true => VirtAddr(offset).is_canonical(),
        false => offset <= u64::from(descriptor.limit()),
    };
    if good {
        cx.touch(selector, descriptor)
    } else {
        Err(Fault::GP)
    }
}

fn far_jump(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (selector, offset) = far_pointer(cx, insn)?;
    if cx.cpu.real_mode() {
        return cx.far_in_real_mode(selector, offset);
    }
    let descriptor = cx.far_descriptor(selector)?;
    if !descriptor.is_segment() {
        return cx.through_gate(selector, descriptor, Transfer::Jump);
    }
    let segment = far_target(cx, selector, descriptor, offset)?;
    let cpl = cx.cpu.cpl();
    cx.set_code(selector, cpl, segment);
    cx.next = offset;
    Ok(())
}

fn far_call(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (selector, offset) = far_pointer(cx, insn)?;
    let before = cx.cpu.gpr[4];
    if cx.cpu.real_mode() {
        return push_return(cx, insn)
            .and_then(|()| cx.far_in_real_mode(selector, offset))
            .inspect_err(|_| cx.cpu.gpr[4] = before);
    }
    let descriptor = cx.far_descriptor(selector)?;
    if !descriptor.is_segment() {
        return cx.through_gate(selector, descriptor, Transfer::Call);
    }
    let segment = far_target(cx, selector, descriptor, offset)?;
    push_return(cx, insn).inspect_err(|_| cx.cpu.gpr[4] = before)?;
    let cpl = cx.cpu.cpl();
    cx.set_code(selector, cpl, segment);
    cx.next = offset;
    Ok(())
}

/// The way back of a far call.
fn push_return(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let cs = u64::from(cx.cpu.seg[Seg::Cs as usize].selector);
    let back = cx.next;
    push(cx, insn.size, cs)?;
    push(cx, insn.size, back)
}

/// RETF to the same or an outer level.
fn far_return(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let step = u64::from(insn.size.bytes());
    let offset = cx.stack_word(0, insn.size)?;
    let selector = cx.stack_word(step, insn.size)? as u16;
    let cpl = cx.cpu.cpl();
    let new_cpl = (selector & 3) as u8;
    let arguments = immediate(insn);
    if cx.cpu.real_mode() {
        cx.far_in_real_mode(selector, offset)?;
        cx.release_stack(2 * step + arguments);
        return Ok(());
    }
    if new_cpl == cpl {
        let descriptor = cx.far_descriptor(selector)?;
        let segment = far_target(cx, selector, descriptor, offset)?;
        cx.set_code(selector, cpl, segment);
        cx.release_stack(2 * step + arguments);
        cx.next = offset;
        return Ok(());
    }
    let sp = cx.stack_word(2 * step + arguments, insn.size)?;
    let ss = cx.stack_word(3 * step + arguments, insn.size)? as u16;
    let rflags = cx.cpu.rflags;
    let frame = [
        offset,
        u64::from(selector),
        rflags,
        sp.wrapping_add(arguments),
        u64::from(ss),
    ];
    cx.return_outward(frame, insn.size)
}

/// INT n. INT 3 in two bytes is no different.
fn software(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.operands[0] {
        Operand::Imm(number) => cx.software_interrupt(number as u8),
        _ => Err(Fault::UD),
    }
}

/// The segments that SYSCALL and SYSRET set without looking at any table.
fn fixed_segment(selector: u16, access: u16) -> Segment {
    Segment::flat(selector, access)
}

const CODE64_KERNEL: u16 = 0xA09B;
const CODE64_USER: u16 = 0xA0FB;
const CODE32_USER: u16 = 0xC0FB;
const DATA_KERNEL: u16 = 0xC093;
const DATA_USER: u16 = 0xC0F3;

fn system_call(cx: &mut Cx<'_>) -> Result<(), Fault> {
    if !may_call_system(cx) {
        return Err(Fault::UD);
    }
    call_system(cx);
    Ok(())
}

/// Whether SYSCALL is there.
#[inline(always)]
pub(in crate::cpu) fn may_call_system(cx: &Cx<'_>) -> bool {
    cx.cpu.msr.efer & efer::SCE != 0 && cx.cpu.code64()
}

/// What SYSCALL does.
#[inline(always)]
pub(in crate::cpu) fn call_system(cx: &mut Cx<'_>) {
    let selector = (cx.cpu.msr.star >> 32) as u16 & !3;
    cx.cpu.gpr[1] = cx.next;
    cx.cpu.gpr[11] = cx.cpu.rflags & !flag::RF;
    cx.cpu.rflags = cx.cpu.rflags & !cx.cpu.msr.sfmask & !flag::RF | flag::FIXED;
    cx.cpu.seg[Seg::Ss as usize] = fixed_segment(selector.wrapping_add(8), DATA_KERNEL);
    cx.set_code(selector, 0, fixed_segment(selector, CODE64_KERNEL));
    cx.next = cx.cpu.msr.lstar;
}

fn system_return(cx: &mut Cx<'_>, size: Width) -> Result<(), Fault> {
    if cx.cpu.msr.efer & efer::SCE == 0 || !cx.cpu.code64() {
        return Err(Fault::UD);
    }
    if !may_return_from_system(cx, size) {
        return Err(Fault::GP);
    }
    return_from_system(cx, size);
    Ok(())
}

/// Whether SYSRET passes.
#[inline(always)]
pub(in crate::cpu) fn may_return_from_system(cx: &Cx<'_>, size: Width) -> bool {
    may_call_system(cx)
        && cx.cpu.cpl() == 0
        && (size != Width::Qword || VirtAddr(cx.cpu.gpr[1]).is_canonical())
}

/// What SYSRET does, to code of 64 or of 32 bits.
#[inline(always)]
pub(in crate::cpu) fn return_from_system(cx: &mut Cx<'_>, size: Width) {
    const LOADED: u64 = 0x003C_7FD7;
    let to64 = size == Width::Qword;
    let target = cx.cpu.gpr[1];
    let base = (cx.cpu.msr.star >> 48) as u16;
    let (selector, access) = match to64 {
        true => (base.wrapping_add(16), CODE64_USER),
        false => (base, CODE32_USER),
    };
    cx.cpu.rflags = cx.cpu.gpr[11] & LOADED | flag::FIXED;
    cx.cpu.seg[Seg::Ss as usize] = fixed_segment(base.wrapping_add(8) | 3, DATA_USER);
    cx.set_code(selector, 3, fixed_segment(selector, access));
    cx.next = if to64 { target } else { target & 0xFFFF_FFFF };
}
