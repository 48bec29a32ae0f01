//! Control and status of the x87, and whole states in memory: FLDENV, FSAVE, FXSAVE and kin.

use super::x87_environment::{at, load_environment, prepare, store_environment};
use super::x87_state::{check_pending, enter, status};
use crate::addr::VirtAddr;
use crate::cpu::fp::F80;
use crate::cpu::insn::{Insn, Op, Width};
use crate::cpu::state::{X87, cr0, cr4};
use crate::cpu::{Cx, Fault};

/// The bits of MXCSR that exist, as FXSAVE reports them.
pub(super) const MXCSR_MASK: u32 = 0xffff;

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Fxsave | Op::Fxsave64 => return fxsave(cx, insn),
        Op::Fxrstor | Op::Fxrstor64 => return fxrstor(cx, insn),
        Op::Emms => return emms(cx),
        _ => {}
    }
    let waiting = matches!(insn.op, Op::Fldcw | Op::Fldenv | Op::Frstor);
    enter(cx, waiting)?;
    match insn.op {
        Op::Fnstcw => {
            let value = cx.cpu.x87.control.into();
            cx.set(insn, 0, value)
        }
        Op::Fnstsw => {
            let value = cx.cpu.x87.status.into();
            cx.set(insn, 0, value)
        }
        Op::Fldcw => {
            let value = cx.get(insn, 0)? as u16;
            set_control(&mut cx.cpu.x87, value);
            Ok(())
        }
        Op::Fnclex => {
            cx.cpu.x87.status &= !(0x7f | status::PENDING);
            Ok(())
        }
        Op::Fninit => {
            initialise(&mut cx.cpu.x87);
            Ok(())
        }
        // A no-operation since the 387.
        Op::Fnsetpm => Ok(()),
        Op::Fnstenv => fnstenv(cx, insn),
        Op::Fldenv => fldenv(cx, insn),
        Op::Fnsave => fnsave(cx, insn),
        Op::Frstor => frstor(cx, insn),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}

pub(super) fn set_control(x87: &mut X87, value: u16) {
    x87.control = value & 0x1f3f | 0x40;
    x87.update_pending();
}

/// FNINIT leaves the registers' contents.
fn initialise(x87: &mut X87) {
    *x87 = X87 {
        registers: x87.registers,
        ..X87::default()
    };
}

fn emms(cx: &mut Cx<'_>) -> Result<(), Fault> {
    if cx.cpu.cr0 & cr0::EM != 0 {
        return Err(Fault::UD);
    }
    if cx.cpu.cr0 & cr0::TS != 0 {
        return Err(Fault::NM);
    }
    check_pending(cx)?;
    cx.cpu.x87.status &= !status::TOP;
    cx.cpu.x87.tag = 0xffff;
    Ok(())
}

/// FNSTENV masks all exceptions afterwards.
fn fnstenv(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = prepare(cx, insn, true)?;
    store_environment(cx, insn, va)?;
    let control = cx.cpu.x87.control | 0x3f;
    set_control(&mut cx.cpu.x87, control);
    Ok(())
}

fn fldenv(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = prepare(cx, insn, false)?;
    let (_, x87) = load_environment(cx, insn, va)?;
    cx.cpu.x87 = x87;
    Ok(())
}

fn fnsave(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = prepare(cx, insn, true)?;
    let registers = store_environment(cx, insn, va)?;
    for i in 0..8u8 {
        let value = cx.cpu.x87.raw(i);
        let place = at(registers, 10 * u64::from(i));
        cx.write_part(place, 8, value.sig)?;
        cx.write_part(at(place, 8), 2, value.se.into())?;
    }
    initialise(&mut cx.cpu.x87);
    Ok(())
}

fn frstor(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = prepare(cx, insn, false)?;
    let (registers, mut x87) = load_environment(cx, insn, va)?;
    for i in 0..8u8 {
        let place = at(registers, 10 * u64::from(i));
        let value = F80 {
            sig: cx.read_part(place, 8)?,
            se: cx.read_part(at(place, 8), 2)? as u16,
        };
        let physical = x87.physical(i);
        x87.registers[physical] = value;
    }
    cx.cpu.x87 = x87;
    Ok(())
}

/// What FXSAVE and FXRSTOR check: 16-byte alignment, and that the kernel allows it.
fn prepare_fx(cx: &mut Cx<'_>, insn: &Insn, write: bool) -> Result<VirtAddr, Fault> {
    if cx.cpu.cr0 & (cr0::EM | cr0::TS) != 0 {
        return Err(Fault::NM);
    }
    let va = cx.address(insn, write)?;
    if va.0 & 15 != 0 {
        // #AC comes before #GP, if the program asks for it.
        cx.check_alignment(va, 4, cx.rights(write))?;
        return Err(Fault::GP);
    }
    cx.probe_state(va, 512, write)?;
    Ok(va)
}

/// Pointers are 64 bits wide in the form with REX.W, else an offset and an unused selector.
fn pointer_width(insn: &Insn) -> Width {
    match insn.op {
        Op::Fxsave64
        | Op::Fxrstor64
        | Op::Xsave64
        | Op::Xsaveopt64
        | Op::Xsavec64
        | Op::Xrstor64 => Width::Qword,
        _ => Width::Dword,
    }
}

fn fxsave(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = prepare_fx(cx, insn, true)?;
    let at = |offset| at(va, offset);
    store_x87(cx, insn, at)?;
    store_mxcsr(cx, at)?;
    match cx.cpu.cr4 & cr4::OSFXSR {
        0 => Ok(()),
        _ => store_xmm(cx, at),
    }
}

/// Bytes 0 to 23 and 32 to 159 of the legacy region: the x87. `at` tells where its bytes lie.
pub(super) fn store_x87(
    cx: &mut Cx<'_>,
    insn: &Insn,
    at: impl Fn(u64) -> VirtAddr,
) -> Result<(), Fault> {
    let x87 = cx.cpu.x87.clone();
    let full = (0..8).fold(0, |bits, i| {
        bits | u64::from(x87.tag >> (2 * i) & 3 != 3) << i
    });
    let words = u64::from(x87.control)
        | u64::from(x87.status) << 16
        | full << 32
        | u64::from(x87.opcode) << 48;
    let mask = pointer_width(insn).mask();
    cx.write(at(0), 8, words)?;
    cx.write(at(8), 8, x87.instruction & mask)?;
    cx.write(at(16), 8, x87.data & mask)?;
    for i in 0..8u8 {
        let value = x87.raw(i);
        let wide = u128::from(value.sig) | u128::from(value.se) << 64;
        cx.write128(at(32 + 16 * u64::from(i)), wide)?;
    }
    Ok(())
}

/// Bytes 24 to 31 of the legacy region: MXCSR, and the bits of it that exist.
pub(super) fn store_mxcsr(cx: &mut Cx<'_>, at: impl Fn(u64) -> VirtAddr) -> Result<(), Fault> {
    let mxcsr = u64::from(cx.cpu.mxcsr) | u64::from(MXCSR_MASK) << 32;
    cx.write(at(24), 8, mxcsr)
}

/// Bytes 160 to 415 of the legacy region: the XMM registers.
pub(super) fn store_xmm(cx: &mut Cx<'_>, at: impl Fn(u64) -> VirtAddr) -> Result<(), Fault> {
    for i in 0..vector_registers(cx) {
        let value = cx.cpu.xmm[i];
        cx.write128(at(160 + 16 * i as u64), value)?;
    }
    Ok(())
}

/// How many vector registers there are here.
pub(super) fn vector_registers(cx: &Cx<'_>) -> usize {
    if cx.code64 { 16 } else { 8 }
}

fn fxrstor(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = prepare_fx(cx, insn, false)?;
    let at = |offset| at(va, offset);
    let mxcsr = load_mxcsr(cx, at)?;
    let x87 = load_x87(cx, insn, at)?;
    if cx.cpu.cr4 & cr4::OSFXSR != 0 {
        load_xmm(cx, at)?;
    }
    cx.cpu.x87 = x87;
    cx.cpu.mxcsr = mxcsr;
    Ok(())
}

/// MXCSR in the legacy region; #GP if it has bits that do not exist.
pub(super) fn load_mxcsr(cx: &mut Cx<'_>, at: impl Fn(u64) -> VirtAddr) -> Result<u32, Fault> {
    let mxcsr = cx.read(at(24), 4)? as u32;
    match mxcsr & !MXCSR_MASK {
        0 => Ok(mxcsr),
        _ => Err(Fault::GP),
    }
}

/// The x87 in the legacy region.
pub(super) fn load_x87(
    cx: &mut Cx<'_>,
    insn: &Insn,
    at: impl Fn(u64) -> VirtAddr,
) -> Result<X87, Fault> {
    let words = cx.read(at(0), 8)?;
    let mask = pointer_width(insn).mask();
    let mut x87 = X87 {
        status: (words >> 16) as u16,
        opcode: (words >> 48) as u16 & 0x7ff,
        instruction: cx.read(at(8), 8)? & mask,
        data: cx.read(at(16), 8)? & mask,
        tag: (0..8).fold(0, |tags, i| {
            if words >> (32 + i) & 1 == 0 {
                tags | 3 << (2 * i)
            } else {
                tags
            }
        }),
        ..X87::default()
    };
    set_control(&mut x87, words as u16);
    for i in 0..8u8 {
        let wide = cx.read128(at(32 + 16 * u64::from(i)))?;
        let physical = x87.physical(i);
        x87.registers[physical] = F80 {
            sig: wide as u64,
            se: (wide >> 64) as u16,
        };
    }
    Ok(x87)
}

/// The XMM registers from the legacy region.
pub(super) fn load_xmm(cx: &mut Cx<'_>, at: impl Fn(u64) -> VirtAddr) -> Result<(), Fault> {
    for i in 0..vector_registers(cx) {
        cx.cpu.xmm[i] = cx.read128(at(160 + 16 * i as u64))?;
    }
    Ok(())
}
