//! AVX and AVX2 instructions that reach into memory lane by lane: loads and stores of the lanes
//! that a mask chooses, and gathers. A lane that is not chosen is not accessed and cannot fault.

use alloc::vec::Vec;

use super::avx::{self, Halves, halves};
use super::sse::missing;
use crate::cpu::insn::{FIRST, Insn, Mem, NO_REGISTER, Op, Operand, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault, Span};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    use Width::{Dword, Qword};
    match insn.op {
        Op::Vmaskmovps | Op::Vpmaskmovd => masked(cx, insn, Dword),
        Op::Vmaskmovpd | Op::Vpmaskmovq => masked(cx, insn, Qword),
        Op::Vgatherdps | Op::Vpgatherdd => gather(cx, insn, Dword, Dword),
        Op::Vgatherdpd | Op::Vpgatherdq => gather(cx, insn, Qword, Dword),
        Op::Vgatherqps | Op::Vpgatherqd => gather(cx, insn, Dword, Qword),
        Op::Vgatherqpd | Op::Vpgatherqq => gather(cx, insn, Qword, Qword),
        _ => missing(insn),
    }
}

/// A lane of both halves together.
fn lane(value: Halves, width: Width, index: usize) -> u64 {
    let count = 16 / usize::from(width.bytes());
    let shift = width.bits() * (index % count) as u32;
    (value[(index / count) & 1] >> shift) as u64 & width.mask()
}

fn set_lane(value: &mut Halves, width: Width, index: usize, new: u64) {
    let count = 16 / usize::from(width.bytes());
    let shift = width.bits() * (index % count) as u32;
    let half = &mut value[(index / count) & 1];
    *half = *half & !(u128::from(width.mask()) << shift) | u128::from(new) << shift;
}

/// Whether a mask chooses a lane: its sign does.
fn is_chosen(mask: Halves, width: Width, index: usize) -> bool {
    lane(mask, width, index) & width.sign() != 0
}

/// Translates one lane. As on processors it may be unaligned even if the program asks for #AC.
fn span(
    cx: &mut Cx<'_>,
    insn: &Insn,
    offset: u64,
    width: Width,
    write: bool,
) -> Result<Span, Fault> {
    let len = width.bytes();
    let va = cx.linear(insn.mem.seg, offset, len.into(), write)?;
    let rights = cx.rights_unaligned(write);
    cx.span(va, len, rights)
}

fn masked(cx: &mut Cx<'_>, insn: &Insn, width: Width) -> Result<(), Fault> {
    let mask = halves(cx, insn, FIRST)?;
    let count = usize::from(insn.mem.bytes) / usize::from(width.bytes());
    let chosen = (0..count).filter(|&i| is_chosen(mask, width, i));
    let start = cx.offset(&insn.mem);
    let offset = |i: usize| start.wrapping_add(i as u64 * u64::from(width.bytes()));
    if insn.operands[0] != Operand::Mem {
        let mut value = [0; 2];
        for i in chosen {
            let span = span(cx, insn, offset(i), width, false)?;
            set_lane(&mut value, width, i, cx.load(span));
        }
        return avx::set(cx, insn, value);
    }
    let value = halves(cx, insn, 1)?;
    let chosen: Vec<usize> = chosen.collect();
    if let (Some(&first), Some(&last)) = (chosen.first(), chosen.last()) {
        // A fault in a second page names the last byte that would be written, as on processors.
        let end = offset(last + 1).wrapping_sub(1);
        for place in [offset(first), end] {
            let va = cx.linear(insn.mem.seg, place, 1, true)?;
            cx.probe(va, 1, true)?;
        }
    }
    let mut stores = Vec::with_capacity(count);
    for i in chosen {
        let span = span(cx, insn, offset(i), width, true)?;
        stores.push((span, lane(value, width, i)));
    }
    for (span, value) in stores {
        cx.store(span, value);
    }
    Ok(())
}

/// Lane after lane from where an index says. A fault leaves the lanes before it done and their
/// masks clear, so that the instruction goes on from there.
fn gather(cx: &mut Cx<'_>, insn: &Insn, element: Width, index: Width) -> Result<(), Fault> {
    let count = lanes(insn, element, index);
    let indices = halves(cx, insn, FIRST)?;
    let (mut value, mut mask) = (halves(cx, insn, 0)?, whole_lanes(cx, insn, element));
    let mut fetched = false;
    for i in 0..count {
        if is_chosen(mask, element, i) {
            let distance = index.extend(lane(indices, index, i));
            match fetch(cx, insn, element, distance) {
                Ok(new) => set_lane(&mut value, element, i, new),
                Err(fault) => {
                    set_register(cx, insn.operands[2], mask);
                    if fetched {
                        keep_partly(cx, insn, value);
                    }
                    return Err(interrupted(cx, insn, fault, fetched));
                }
            }
            fetched = true;
        }
        set_lane(&mut mask, element, i, 0);
    }
    for i in count..32 / usize::from(element.bytes()) {
        set_lane(&mut value, element, i, 0);
    }
    set_register(cx, insn.operands[2], [0; 2]);
    avx::set(cx, insn, value)
}

/// The mask with every bit of a lane as its sign. With VEX.256 it is that of a whole register,
/// whatever part of it counts.
fn whole_lanes(cx: &Cx<'_>, insn: &Insn, element: Width) -> Halves {
    let (Operand::Xmm(i) | Operand::Ymm(i)) = insn.operands[2] else {
        return [0; 2];
    };
    let i = usize::from(i & 15);
    let wide = [0, FIRST].map(|operand| matches!(insn.operands[operand], Operand::Ymm(_)));
    let given = match wide {
        [false, false] => [cx.cpu.xmm[i], 0],
        _ => [cx.cpu.xmm[i], cx.cpu.ymm_high[i]],
    };
    let mut mask = [0; 2];
    let count = 32 / usize::from(element.bytes());
    for i in (0..count).filter(|&i| is_chosen(given, element, i)) {
        set_lane(&mut mask, element, i, element.mask());
    }
    mask
}

/// What a fault in a gather becomes: if a lane has been fetched, a debug exception that is due comes
/// in its place, with RF set; the fault comes again with the rest (volume 2, VGATHERDPS).
fn interrupted(cx: &mut Cx<'_>, insn: &Insn, fault: Fault, fetched: bool) -> Fault {
    let trap = cx.cpu.rflags & flag::TF;
    if !fetched || trap | cx.cpu.debug_pending == 0 {
        return fault;
    }
    let debug = cx.debug_trap_in_repeat(trap, insn.op);
    debug.err().unwrap_or(fault)
}

/// As many lanes as both the registers of elements and of indices have.
fn lanes(insn: &Insn, element: Width, index: Width) -> usize {
    let bytes = |operand| match operand {
        Operand::Ymm(_) => 32,
        _ => 16,
    };
    let elements = bytes(insn.operands[0]) / usize::from(element.bytes());
    elements.min(bytes(insn.operands[FIRST]) / usize::from(index.bytes()))
}

/// One element: the address with this distance in the place of the index register.
fn fetch(cx: &mut Cx<'_>, insn: &Insn, element: Width, distance: u64) -> Result<u64, Fault> {
    let start = cx.offset(&Mem {
        index: NO_REGISTER,
        ..insn.mem
    });
    let distance = distance.wrapping_mul(u64::from(insn.mem.scale));
    let offset = start.wrapping_add(distance) & insn.mem.address.mask();
    let span = span(cx, insn, offset, element, false)?;
    Ok(cx.load(span))
}

/// Writes what has been fetched. The upper half is cleared only by the end of a VEX.256 form that
/// fills a lower half, but always by VEX.128.
fn keep_partly(cx: &mut Cx<'_>, insn: &Insn, value: Halves) {
    let (Operand::XmmZeroing(i) | Operand::Ymm(i)) = insn.operands[0] else {
        return;
    };
    let i = usize::from(i & 15);
    cx.cpu.xmm[i] = value[0];
    cx.cpu.ymm_high[i] = match (insn.operands[0], insn.operands[FIRST]) {
        (Operand::Ymm(_), _) => value[1],
        (_, Operand::Ymm(_)) => cx.cpu.ymm_high[i],
        _ => 0,
    };
}

/// Writes both halves of a register that may be named by its low one.
fn set_register(cx: &mut Cx<'_>, register: Operand, value: Halves) {
    if let Operand::Xmm(i) | Operand::Ymm(i) = register {
        let i = usize::from(i & 15);
        [cx.cpu.xmm[i], cx.cpu.ymm_high[i]] = value;
    }
}
