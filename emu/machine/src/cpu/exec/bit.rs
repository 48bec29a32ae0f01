//! Single bits, scans and counts.

use super::flags::{self, when, zsp};
use crate::addr::VirtAddr;
use crate::cost::Class;
use crate::cpu::insn::{Insn, Op, Operand, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault, Place};

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Bt | Op::Bts | Op::Btr | Op::Btc => test(cx, insn),
        Op::Bsf | Op::Bsr => scan(cx, insn),
        Op::Popcnt => population(cx, insn),
        Op::Bswap => swap(cx, insn),
        Op::Crc32 => crc32(cx, insn),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}

/// BT, BTS, BTR, BTC: only CF changes.
fn test(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.size;
    let write = insn.op != Op::Bt;
    let number = cx.get(insn, 1)?;
    let mask = 1 << (number & u64::from(width.bits() - 1));
    let place = match insn.operands[0] {
        Operand::Mem => bit_string(cx, insn, number, write)?,
        Operand::Gpr(reg) => Place::Gpr(reg),
        _ => return Err(Fault::UD),
    };
    let old = cx.peek(place);
    let new = match insn.op {
        Op::Bts => old | mask,
        Op::Btr => old & !mask,
        Op::Btc => old ^ mask,
        _ => old,
    };
    if write {
        cx.put(place, new);
    }
    flags::set_some(cx.cpu, flag::CF, when(old & mask != 0, flag::CF));
    Ok(())
}

/// The unit of memory that holds the bit: a register's bit number reaches beyond the operand.
fn bit_string(cx: &mut Cx<'_>, insn: &Insn, number: u64, write: bool) -> Result<Place, Fault> {
    let width = insn.size;
    let unit = match insn.operands[1] {
        Operand::Gpr(_) => (width.extend(number) as i64) >> width.bits().trailing_zeros(),
        _ => 0,
    };
    let distance = unit.wrapping_mul(i64::from(width.bytes())) as u64;
    let offset = cx.offset(&insn.mem).wrapping_add(distance) & insn.mem.address.mask();
    let len = width.bytes();
    let va: VirtAddr = cx.linear(insn.mem.seg, offset, u64::from(len), write)?;
    let span = cx.span(va, len, cx.rights(write))?;
    if insn.lock {
        cx.charge(Class::Locked);
    }
    Ok(Place::Mem(span))
}

/// BSF and BSR. A zero source leaves the destination as it was. Only ZF is promised; current Intel
/// CPUs clear the other flags and set PF by the number found.
fn scan(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = cx.get(insn, 1)?;
    if source == 0 {
        flags::set(cx.cpu, flag::ZF | flag::PF);
        return Ok(());
    }
    let found = u64::from(match insn.op {
        Op::Bsf => source.trailing_zeros(),
        _ => 63 - source.leading_zeros(),
    });
    flags::set(cx.cpu, zsp(Width::Byte, found) & flag::PF);
    cx.set(insn, 0, found)
}

fn population(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = cx.get(insn, 1)?;
    cx.set(insn, 0, u64::from(source.count_ones()))?;
    flags::set(cx.cpu, when(source == 0, flag::ZF));
    Ok(())
}

/// BSWAP; of a 16-bit register it makes zero, as CPUs do where the manual says undefined.
fn swap(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = cx.get(insn, 0)?;
    let swapped = match insn.size {
        Width::Qword => value.swap_bytes(),
        Width::Dword => u64::from((value as u32).swap_bytes()),
        _ => 0,
    };
    cx.set(insn, 0, swapped)
}

/// CRC32: the Castagnoli polynomial, bits reflected.
fn crc32(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let source = match insn.operands[1] {
        Operand::Gpr(reg) => reg.width,
        _ => Width::from_bytes(usize::from(insn.mem.bytes)).unwrap_or(Width::Byte),
    };
    let data = cx.get(insn, 1)?;
    let mut crc = cx.get(insn, 0)? as u32;
    for byte in data
        .to_le_bytes()
        .into_iter()
        .take(usize::from(source.bytes()))
    {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 };
        }
    }
    cx.set(insn, 0, u64::from(crc))
}
