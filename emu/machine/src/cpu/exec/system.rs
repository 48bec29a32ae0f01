//! What an operating system needs: tables, control registers, MSRs, identification.

use super::flags::{set_some, when};
use crate::addr::VirtAddr;
use crate::cpu::debug::{ACCESS_DETECTED, GENERAL_DETECT};
use crate::cpu::insn::{Gpr, Insn, Op, Operand, Seg, Width};
use crate::cpu::state::{Shadow, cr0, cr4, flag};
use crate::cpu::{Cx, Fault, vector};

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;
const RBX: u8 = 3;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    if cx.cpu.real_mode() && protected_only(insn.op) {
        return Err(Fault::UD);
    }
    match insn.op {
        Op::Cpuid => identify(cx),
        Op::Rdtsc | Op::Rdtscp | Op::Rdpmc => counters(cx, insn.op),
        Op::MovSeg => move_segment(cx, insn),
        Op::Lss | Op::Lds | Op::Les | Op::Lfs | Op::Lgs => load_far(cx, insn),
        Op::Sgdt | Op::Sidt | Op::Sldt | Op::Str | Op::Smsw if is_hidden(cx) => Err(Fault::GP),
        Op::Sgdt | Op::Sidt => store_table(cx, insn),
        Op::Sldt | Op::Str | Op::Smsw => store_word(cx, insn),
        Op::Lar | Op::Lsl | Op::Verr | Op::Verw => inspect(cx, insn),
        _ if cx.cpu.cpl() != 0 => Err(Fault::GP),
        Op::Hlt => {
            cx.cpu.halted = true;
            Ok(())
        }
        Op::Rdmsr | Op::Wrmsr => model_specific(cx, insn.op),
        Op::MovCr => move_control(cx, insn),
        Op::MovDr => move_debug(cx, insn),
        Op::Swapgs => swap_gs(cx),
        Op::Lgdt | Op::Lidt => load_table(cx, insn),
        Op::Lldt | Op::Ltr => load_system(cx, insn),
        Op::Clts => {
            let value = cx.cpu.cr0 & !cr0::TS;
            cx.write_cr0(value)
        }
        Op::Lmsw => load_machine_status(cx, insn),
        Op::Invlpg => {
            let offset = cx.offset(&insn.mem);
            invalidate(cx, insn.mem.seg, offset);
            Ok(())
        }
        Op::Invpcid => invalidate_context(cx, insn),
        // There are no caches that memory could differ from.
        Op::Invd | Op::Wbinvd => Ok(()),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}

/// What real mode does not recognize.
fn protected_only(op: Op) -> bool {
    matches!(
        op,
        Op::Lldt | Op::Ltr | Op::Sldt | Op::Str | Op::Lar | Op::Lsl | Op::Verr | Op::Verw
    )
}

/// CR4.UMIP hides from programs where the tables are.
fn is_hidden(cx: &Cx<'_>) -> bool {
    cx.cpu.cpl() != 0 && cx.cpu.cr4 & cr4::UMIP != 0
}

fn set32(cx: &mut Cx<'_>, index: u8, value: u32) {
    cx.set_reg(index, Width::Dword, u64::from(value));
}

fn set_pair(cx: &mut Cx<'_>, value: u64) {
    set32(cx, RAX, value as u32);
    set32(cx, RDX, (value >> 32) as u32);
}

fn identify(cx: &mut Cx<'_>) -> Result<(), Fault> {
    let leaf = cx.reg(RAX, Width::Dword) as u32;
    let subleaf = cx.reg(RCX, Width::Dword) as u32;
    let [a, b, c, d] = cx.cpuid(leaf, subleaf);
    set32(cx, RAX, a);
    set32(cx, RBX, b);
    set32(cx, RCX, c);
    set32(cx, RDX, d);
    Ok(())
}

/// RDTSC, RDTSCP, RDPMC, each with the bit of CR4 that opens it to programs.
fn counters(cx: &mut Cx<'_>, op: Op) -> Result<(), Fault> {
    let user = cx.cpu.cpl() != 0;
    if op == Op::Rdpmc {
        let index = cx.reg(RCX, Width::Dword) as u32;
        let closed = user && cx.cpu.cr4 & cr4::PCE == 0;
        let value = cx
            .cpu
            .pmu
            .counter(index)
            .filter(|_| !closed)
            .ok_or(Fault::GP)?;
        set_pair(cx, value);
        return Ok(());
    }
    if user && cx.cpu.cr4 & cr4::TSD != 0 {
        return Err(Fault::GP);
    }
    let now = cx.tsc();
    set_pair(cx, now);
    if op == Op::Rdtscp {
        let aux = cx.cpu.msr.tsc_aux;
        set32(cx, RCX, aux);
    }
    Ok(())
}

fn model_specific(cx: &mut Cx<'_>, op: Op) -> Result<(), Fault> {
    let register = cx.reg(RCX, Width::Dword) as u32;
    if op == Op::Rdmsr {
        let value = cx.read_msr(register)?;
        set_pair(cx, value);
        return Ok(());
    }
    let value = cx.reg(RDX, Width::Dword) << 32 | cx.reg(RAX, Width::Dword);
    cx.write_msr(register, value)
}

/// The general register on one side of a MOV to or from a special one, and whether it is read.
fn other_side(insn: &Insn) -> Result<(Gpr, bool, Operand), Fault> {
    match (insn.operands[0], insn.operands[1]) {
        (Operand::Gpr(reg), special) => Ok((reg, false, special)),
        (special, Operand::Gpr(reg)) => Ok((reg, true, special)),
        _ => Err(Fault::UD),
    }
}

fn move_control(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (reg, to_special, special) = other_side(insn)?;
    let Operand::Cr(number) = special else {
        return Err(Fault::UD);
    };
    if to_special {
        let value = cx.cpu.gpr(reg);
        return match number {
            0 => cx.write_cr0(value),
            2 => {
                cx.cpu.cr2 = value;
                Ok(())
            }
            3 => cx.write_cr3(value),
            4 => cx.write_cr4(value),
            8 => cx.write_task_priority(value),
            _ => Err(Fault::UD),
        };
    }
    let value = match number {
        0 => cx.cpu.cr0,
        2 => cx.cpu.cr2,
        3 => cx.cpu.cr3,
        4 => cx.cpu.cr4,
        8 => cx.task_priority(),
        _ => return Err(Fault::UD),
    };
    cx.cpu.set_gpr(reg, value);
    Ok(())
}

fn move_debug(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (reg, to_special, special) = other_side(insn)?;
    let Operand::Dr(number) = special else {
        return Err(Fault::UD);
    };
    let number = match number {
        4 | 5 if cx.cpu.cr4 & cr4::DE != 0 => return Err(Fault::UD),
        4 | 5 => number + 2,
        0..=7 => number,
        _ => return Err(Fault::UD),
    };
    if cx.cpu.dr[7] & GENERAL_DETECT != 0 {
        cx.cpu.dr[6] |= ACCESS_DETECTED;
        return Err(Fault::plain(vector::DB));
    }
    let slot = usize::from(number);
    if !to_special {
        let value = cx.cpu.dr[slot];
        cx.cpu.set_gpr(reg, value);
        return Ok(());
    }
    let value = cx.cpu.gpr(reg);
    if number >= 6 && value >> 32 != 0 {
        return Err(Fault::GP);
    }
    cx.cpu.dr[slot] = match number {
        6 => value & 0xE00F | 0xFFFF_0FF0,
        7 => value & 0xFFFF_23FF | 0x400,
        _ => value,
    };
    cx.attention_changed();
    Ok(())
}

fn move_segment(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match (insn.operands[0], insn.operands[1]) {
        (Operand::Seg(seg), _) => {
            let selector = cx.get(insn, 1)? as u16;
            cx.load_segment(seg, selector)?;
            // So that RSP can be loaded next without an interrupt between.
            cx.cpu.shadow = Shadow::of_load(seg);
            Ok(())
        }
        (_, Operand::Seg(seg)) => {
            let selector = u64::from(cx.cpu.seg[seg as usize].selector);
            cx.set(insn, 0, selector)
        }
        _ => Err(Fault::UD),
    }
}

/// LSS, LDS, LES, LFS, LGS: a register and a segment from memory.
fn load_far(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let seg = match insn.op {
        Op::Lss => Seg::Ss,
        Op::Lds => Seg::Ds,
        Op::Les => Seg::Es,
        Op::Lfs => Seg::Fs,
        _ => Seg::Gs,
    };
    let va = cx.address(insn, false)?;
    let len = insn.size.bytes();
    let offset = cx.read(va, len)?;
    let selector = cx.read(va.add(u64::from(len)), 2)?;
    cx.load_segment(seg, selector as u16)?;
    cx.set(insn, 0, offset)
}

fn load_table(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = cx.address(insn, false)?;
    let table = cx.read_table(va, insn.size)?;
    match insn.op {
        Op::Lgdt => cx.cpu.gdtr = table,
        _ => cx.cpu.idtr = table,
    }
    Ok(())
}

fn store_table(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = cx.address(insn, true)?;
    let table = if insn.op == Op::Sgdt {
        cx.cpu.gdtr
    } else {
        cx.cpu.idtr
    };
    cx.write_table(va, table, insn.size)
}

fn load_system(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let selector = cx.get(insn, 0)? as u16;
    match insn.op {
        Op::Lldt => cx.load_ldt(selector),
        _ => cx.load_task(selector),
    }
}

fn store_word(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = match insn.op {
        Op::Sldt => u64::from(cx.cpu.ldtr.selector),
        Op::Str => u64::from(cx.cpu.tr.selector),
        _ => cx.cpu.cr0,
    };
    cx.set(insn, 0, value)
}

/// LMSW: the four low bits of CR0; it can set PE but not clear it.
fn load_machine_status(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let old = cx.cpu.cr0;
    let value = cx.get(insn, 0)? & 0xF | old & cr0::PE;
    cx.write_cr0(old & !0xF | value)
}

/// INVLPG takes any address and never faults for it.
fn invalidate(cx: &mut Cx<'_>, seg: Seg, offset: u64) {
    let long = cx.cpu.code64();
    let base = match seg {
        Seg::Fs | Seg::Gs => cx.cpu.seg[seg as usize].base,
        _ if long => 0,
        _ => cx.cpu.seg[seg as usize].base,
    };
    let va = VirtAddr(base.wrapping_add(offset));
    if va.is_canonical() {
        let context = cx.cpu.context();
        cx.mmu.invalidate(cx.bus, va, context);
    }
}

/// INVPCID: its register says how much goes, its memory operand of which process context, and which
/// address.
fn invalidate_context(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let kind = cx.get(insn, 0)?;
    let va = cx.address(insn, false)?;
    let descriptor = cx.read128(va)?;
    let (context, address) = (descriptor as u64, VirtAddr((descriptor >> 64) as u64));
    let needs_pcid = kind < 2 && context != 0 && cx.cpu.cr4 & cr4::PCIDE == 0;
    if kind > 3 || context >> 12 != 0 || needs_pcid || kind == 0 && !address.is_canonical() {
        return Err(Fault::GP);
    }
    let context = context as u16;
    match kind {
        0 => cx.mmu.invalidate_in(cx.bus, address, context),
        1 => cx.mmu.flush(cx.bus, context),
        2 => cx.mmu.flush_all(cx.bus),
        _ => cx.mmu.flush_contexts(cx.bus),
    }
    Ok(())
}

fn swap_gs(cx: &mut Cx<'_>) -> Result<(), Fault> {
    let cpu = &mut *cx.cpu;
    core::mem::swap(
        &mut cpu.seg[Seg::Gs as usize].base,
        &mut cpu.msr.kernel_gs_base,
    );
    Ok(())
}

/// LAR, LSL, VERR, VERW: ZF says whether the selector could be used so.
fn inspect(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let two = matches!(insn.op, Op::Lar | Op::Lsl);
    let selector = cx.get(insn, usize::from(two))? as u16;
    let found = match inspected(cx, insn.op, selector) {
        Err(Fault::Exception(exception)) if exception.vector == vector::GP => None,
        other => other?,
    };
    if let Some(value) = found.filter(|_| two) {
        cx.set(insn, 0, value)?;
    }
    set_some(cx.cpu, flag::ZF, when(found.is_some(), flag::ZF));
    Ok(())
}

fn inspected(cx: &mut Cx<'_>, op: Op, selector: u16) -> Result<Option<u64>, Fault> {
    if selector & !3 == 0 {
        return Ok(None);
    }
    let descriptor = cx.descriptor(selector, vector::GP)?;
    let level = cx.cpu.cpl().max((selector & 3) as u8);
    let reachable = descriptor.is_conforming() || descriptor.dpl() >= level;
    // Of the system descriptors IA-32e mode knows LDT, TSS and call gate, other modes those of
    // the 286 and task gates too; a gate has no limit.
    let kind = descriptor.kind();
    let legacy = !cx.cpu.long_mode();
    let known = match op {
        _ if descriptor.is_segment() => true,
        Op::Lar if legacy && matches!(kind, 1 | 3 | 4 | 5) => true,
        Op::Lsl if legacy && matches!(kind, 1 | 3) => true,
        Op::Lar => matches!(kind, 2 | 9 | 0xB | 0xC),
        Op::Lsl => matches!(kind, 2 | 9 | 0xB),
        _ => false,
    };
    let usable = match op {
        Op::Verr => descriptor.is_readable(),
        Op::Verw => descriptor.is_writable_data(),
        _ => true,
    };
    let value = match op {
        Op::Lsl => u64::from(descriptor.limit()),
        _ => descriptor.0 >> 32 & 0x00FF_FF00,
    };
    Ok((reachable && known && usable).then_some(value))
}
