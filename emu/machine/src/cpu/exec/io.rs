//! Ports, and the rights to them.

use super::string::{RDI, RSI, advance, repeat, source};
use crate::addr::VirtAddr;
use crate::cpu::insn::{Insn, Op, Operand, Seg, Width};
use crate::cpu::state::{access, flag};
use crate::cpu::{Cx, Fault};

const RAX: u8 = 0;
const RDX: u8 = 2;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::In => input(cx, insn),
        Op::Out => output(cx, insn),
        _ => strings(cx, insn),
    }
}

/// The port that an operand names: an immediate byte or dx.
fn port(cx: &Cx<'_>, operand: Operand) -> u16 {
    match operand {
        Operand::Imm(port) => port as u8 as u16,
        _ => cx.reg(RDX, Width::Word) as u16,
    }
}

fn input(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let port = port(cx, insn.operands[1]);
    check(cx, port, insn.size)?;
    let value = read(cx, port, insn.size);
    cx.set_reg(RAX, insn.size, value);
    Ok(())
}

fn output(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let port = port(cx, insn.operands[0]);
    let size = match insn.operands[1] {
        Operand::Gpr(reg) => reg.width,
        _ => insn.size,
    };
    check(cx, port, size)?;
    let value = cx.reg(RAX, size);
    write(cx, port, size, value);
    Ok(())
}

/// INS and OUTS: the port must be open even for a count of zero.
fn strings(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let port = cx.reg(RDX, Width::Word) as u16;
    check(cx, port, insn.size)?;
    match insn.op {
        Op::Ins => repeat(cx, insn, input_string),
        _ => repeat(cx, insn, output_string),
    }
}

fn input_string(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let port = cx.reg(RDX, Width::Word) as u16;
    let len = insn.size.bytes();
    let offset = cx.reg(RDI, insn.mem.address);
    let va = cx.linear(Seg::Es, offset, u64::from(len), true)?;
    let span = cx.span(va, len, cx.rights(true))?;
    let value = read(cx, port, insn.size);
    cx.store(span, value);
    advance(cx, insn, RDI);
    Ok(())
}

fn output_string(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let port = cx.reg(RDX, Width::Word) as u16;
    let value = source(cx, insn)?;
    write(cx, port, insn.size, value);
    advance(cx, insn, RSI);
    Ok(())
}

fn read(cx: &mut Cx<'_>, port: u16, size: Width) -> u64 {
    cx.note_port(port, size.bytes());
    let now = cx.cpu.cycle;
    let eax = cx.reg(RAX, Width::Dword) as u32;
    u64::from(cx.bus.port_in(port, usize::from(size.bytes()), eax, now)) & size.mask()
}

fn write(cx: &mut Cx<'_>, port: u16, size: Width, value: u64) {
    cx.note_port(port, size.bytes());
    let now = cx.cpu.cycle;
    cx.bus
        .port_out(port, usize::from(size.bytes()), value as u32, now);
}

/// Below IOPL everything is allowed; above it the bitmap of a TSS that is no 286's says.
fn check(cx: &mut Cx<'_>, port: u16, size: Width) -> Result<(), Fault> {
    let iopl = (cx.cpu.rflags & flag::IOPL) >> 12;
    if u64::from(cx.cpu.cpl()) <= iopl {
        return Ok(());
    }
    let task = cx.cpu.tr;
    let has_map = task.access & access::TYPE & 8 != 0;
    if !task.usable() || !has_map || task.limit < 0x67 {
        return Err(Fault::GP);
    }
    let map = cx.read_system(VirtAddr(task.base.wrapping_add(0x66)), 2)?;
    let byte = map + u64::from(port / 8);
    if byte + 1 > u64::from(task.limit) {
        return Err(Fault::GP);
    }
    let bits = cx.read_system(VirtAddr(task.base.wrapping_add(byte)), 2)?;
    let wanted = ((1 << size.bytes()) - 1) << (port % 8);
    if bits & wanted != 0 {
        Err(Fault::GP)
    } else {
        Ok(())
    }
}
