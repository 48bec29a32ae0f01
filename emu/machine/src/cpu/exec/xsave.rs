//! XSAVE, XSAVEOPT, XSAVEC, XRSTOR, and XCR0 (SDM volume 1, chapter 13).
//!
//! The state has three components: x87, SSE and AVX. An area holds the legacy region as FXSAVE
//! has it, a header of 64 bytes, and the high halves of the YMM registers. With three components
//! the compacted format differs from the standard one in nothing but the header.
//!
//! A component is in use (XINUSE) exactly if it differs from its initial configuration; what was
//! modified since the last XRSTOR is not followed, so XSAVEOPT writes all that is in use.

use super::x87_control::{
    at, load_mxcsr, load_x87, load_xmm, store_mxcsr, store_x87, store_xmm, vector_registers,
};
use crate::addr::VirtAddr;
use crate::cpu::insn::{Insn, Op, Width};
use crate::cpu::model::{Feature, Word};
use crate::cpu::state::{X87, cr0, cr4, xcr0};
use crate::cpu::{Cx, Fault};

const XSTATE_BV: u64 = 512;
const XCOMP_BV: u64 = 520;
const HEADER_END: u64 = 576;
/// Where the AVX component begins, and its size.
const HIGH_HALVES: u64 = 576;
const HIGH_HALVES_SIZE: u64 = 256;
/// Bit of XCOMP_BV: the area is compacted.
const COMPACTED: u64 = 1 << 63;
/// MXCSR as it is at first.
const MXCSR_INITIAL: u32 = 0x1F80;

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    if cx.cpu.cr4 & cr4::OSXSAVE == 0 {
        return Err(Fault::UD);
    }
    match insn.op {
        Op::Xgetbv => get_control(cx),
        Op::Xsetbv => set_control(cx),
        Op::Xsave | Op::Xsave64 => save(cx, insn, Form::Standard),
        Op::Xsaveopt | Op::Xsaveopt64 => save(cx, insn, Form::Optimised),
        Op::Xsavec | Op::Xsavec64 => save(cx, insn, Form::Compacted),
        Op::Xrstor | Op::Xrstor64 => restore(cx, insn),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}

/// EDX:EAX.
fn pair(cx: &Cx<'_>) -> u64 {
    cx.reg(2, Width::Dword) << 32 | cx.reg(0, Width::Dword)
}

/// XGETBV: XCR0, or with ECX = 1 what of it is in use.
fn get_control(cx: &mut Cx<'_>) -> Result<(), Fault> {
    let features = cx.cpu.model.features();
    let value = match cx.reg(1, Width::Dword) {
        0 => cx.cpu.xcr0,
        1 if features.has(Feature::Xgetbv1) => cx.cpu.xcr0 & in_use(cx),
        _ => return Err(Fault::GP),
    };
    cx.set_reg(0, Width::Dword, value & 0xFFFF_FFFF);
    cx.set_reg(2, Width::Dword, value >> 32);
    Ok(())
}

/// XSETBV: the x87 cannot be switched off, and AVX needs SSE.
fn set_control(cx: &mut Cx<'_>) -> Result<(), Fault> {
    let value = pair(cx);
    let unknown = value & !cx.cpu.xcr0_known() != 0;
    let half = value & (xcr0::SSE | xcr0::AVX) == xcr0::AVX;
    let allowed = cx.cpu.cpl() == 0 && cx.reg(1, Width::Dword) == 0;
    if !allowed || unknown || half || value & xcr0::X87 == 0 {
        return Err(Fault::GP);
    }
    cx.cpu.xcr0 = value;
    Ok(())
}

/// XINUSE: the components that are not in their initial configuration. MXCSR does not count.
fn in_use(cx: &Cx<'_>) -> u64 {
    let count = vector_registers(cx);
    let part = |used: bool, bit: u64| if used { bit } else { 0 };
    let any = |registers: &[u128]| registers[..count].iter().any(|&value| value != 0);
    part(cx.cpu.x87 != X87::default(), xcr0::X87)
        | part(any(&cx.cpu.xmm), xcr0::SSE)
        | part(any(&cx.cpu.ymm_high), xcr0::AVX)
}

impl Cx<'_> {
    /// CPUID leaf 0xD: the components, and how large an area for them is.
    pub(in crate::cpu) fn cpuid_xsave(&self, subleaf: u32) -> [u32; 4] {
        let known = self.cpu.xcr0_known();
        let size = |components: u64| match components & xcr0::AVX {
            0 => HEADER_END as u32,
            _ => (HIGH_HALVES + HIGH_HALVES_SIZE) as u32,
        };
        let features = self.cpu.model.features();
        match subleaf {
            _ if !features.has(Feature::Xsave) => [0; 4],
            0 => [known as u32, size(self.cpu.xcr0), size(known), 0],
            1 => [features.word(Word::LeafDEax), size(self.cpu.xcr0), 0, 0],
            2 if known & xcr0::AVX != 0 => [HIGH_HALVES_SIZE as u32, HIGH_HALVES as u32, 0, 0],
            _ => [0; 4],
        }
    }
}

/// How a state is saved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// XSAVE: all that is asked for.
    Standard,
    /// XSAVEOPT: of that what is in use.
    Optimised,
    /// XSAVEC: the same, with a header that says so.
    Compacted,
}

/// What all of them check, and the address of the area.
fn area(cx: &mut Cx<'_>, insn: &Insn, write: bool) -> Result<VirtAddr, Fault> {
    if cx.cpu.cr0 & cr0::TS != 0 {
        return Err(Fault::NM);
    }
    let offset = cx.offset(&insn.mem);
    let va = cx.linear(insn.mem.seg, offset, HEADER_END, write)?;
    match va.0 & 63 {
        0 => Ok(va),
        _ => Err(Fault::GP),
    }
}

/// MXCSR among the components: it belongs to two of them.
const MXCSR: u64 = 1 << 62;

/// Translates the parts of the area that these components have, so that nothing can fault later.
fn probe(cx: &mut Cx<'_>, insn: &Insn, components: u64, write: bool) -> Result<(), Fault> {
    let offset = cx.offset(&insn.mem);
    let count = vector_registers(cx) as u64;
    let parts = [
        (xcr0::X87, 0, 24),
        (MXCSR, 24, 8),
        (xcr0::X87, 32, 128),
        (xcr0::SSE, 160, 16 * count),
        (xcr0::AVX, HIGH_HALVES, 16 * count),
    ];
    for (_, start, len) in parts.into_iter().filter(|part| part.0 & components != 0) {
        let place = offset.wrapping_add(start) & insn.mem.address.mask();
        let va = cx.linear(insn.mem.seg, place, len, write)?;
        cx.probe(va, len, write)?;
    }
    Ok(())
}

fn save(cx: &mut Cx<'_>, insn: &Insn, form: Form) -> Result<(), Fault> {
    let va = area(cx, insn, true)?;
    let asked = cx.cpu.xcr0 & pair(cx);
    let mut used = in_use(cx);
    if form == Form::Compacted && cx.cpu.mxcsr != MXCSR_INITIAL {
        used |= xcr0::SSE;
    }
    let saved = match form {
        Form::Standard => asked,
        Form::Optimised | Form::Compacted => asked & used,
    };
    // The standard format keeps MXCSR for SSE and AVX alike, used or not.
    let with_mxcsr = match form {
        Form::Compacted => saved & xcr0::SSE != 0,
        _ => asked & (xcr0::SSE | xcr0::AVX) != 0,
    };
    cx.probe(at(va, XSTATE_BV), 16, true)?;
    probe(cx, insn, saved | if with_mxcsr { MXCSR } else { 0 }, true)?;
    if saved & xcr0::X87 != 0 {
        store_x87(cx, insn, va)?;
    }
    if with_mxcsr {
        store_mxcsr(cx, va)?;
    }
    if saved & xcr0::SSE != 0 {
        store_xmm(cx, va)?;
    }
    if saved & xcr0::AVX != 0 {
        store_high_halves(cx, va)?;
    }
    if form == Form::Compacted {
        cx.write(at(va, XSTATE_BV), 8, asked & used)?;
        return cx.write(at(va, XCOMP_BV), 8, asked | COMPACTED);
    }
    let old = cx.read(at(va, XSTATE_BV), 8)?;
    cx.write(at(va, XSTATE_BV), 8, old & !asked | asked & used)
}

fn store_high_halves(cx: &mut Cx<'_>, va: VirtAddr) -> Result<(), Fault> {
    for i in 0..vector_registers(cx) {
        let value = cx.cpu.ymm_high[i];
        cx.write128(at(va, HIGH_HALVES + 16 * i as u64), value)?;
    }
    Ok(())
}

/// The header of an area: which components it holds, and whether it is compacted. #GP if it
/// cannot have been written here.
fn header(cx: &mut Cx<'_>, va: VirtAddr) -> Result<(u64, bool), Fault> {
    let mut words = [0; 8];
    for (i, word) in (0u64..).zip(&mut words) {
        *word = cx.read(at(va, XSTATE_BV + 8 * i), 8)?;
    }
    let [present, compaction, rest @ ..] = words;
    let compacted = compaction & COMPACTED != 0;
    let sound = match compacted {
        true => {
            let format = compaction & !COMPACTED;
            format & !cx.cpu.xcr0 == 0 && present & !format == 0 && rest == [0; 6]
        }
        false => present & !cx.cpu.xcr0 == 0 && compaction == 0 && rest[0] == 0,
    };
    if sound {
        Ok((present, compacted))
    } else {
        Err(Fault::GP)
    }
}

fn restore(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = area(cx, insn, false)?;
    let asked = cx.cpu.xcr0 & pair(cx);
    let (present, compacted) = header(cx, va)?;
    let loaded = asked & present;
    let with_mxcsr = match compacted {
        true => loaded & xcr0::SSE != 0,
        false => asked & (xcr0::SSE | xcr0::AVX) != 0,
    };
    probe(cx, insn, loaded | if with_mxcsr { MXCSR } else { 0 }, false)?;
    if with_mxcsr {
        cx.cpu.mxcsr = load_mxcsr(cx, va)?;
    } else if compacted && asked & xcr0::SSE != 0 {
        cx.cpu.mxcsr = MXCSR_INITIAL;
    }
    if asked & xcr0::X87 != 0 {
        cx.cpu.x87 = match loaded & xcr0::X87 {
            0 => X87::default(),
            _ => load_x87(cx, insn, va)?,
        };
    }
    let count = vector_registers(cx);
    match (asked & xcr0::SSE, loaded & xcr0::SSE) {
        (0, _) => {}
        (_, 0) => cx.cpu.xmm[..count].fill(0),
        _ => load_xmm(cx, va)?,
    }
    match (asked & xcr0::AVX, loaded & xcr0::AVX) {
        (0, _) => {}
        (_, 0) => cx.cpu.ymm_high[..count].fill(0),
        _ => load_high_halves(cx, va)?,
    }
    Ok(())
}

fn load_high_halves(cx: &mut Cx<'_>, va: VirtAddr) -> Result<(), Fault> {
    for i in 0..vector_registers(cx) {
        cx.cpu.ymm_high[i] = cx.read128(at(va, HIGH_HALVES + 16 * i as u64))?;
    }
    Ok(())
}
