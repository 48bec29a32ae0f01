//! XSAVE, XSAVEOPT, XSAVEC, XRSTOR, and XCR0 (SDM volume 1, chapter 13).
//!
//! The state has three components: x87, SSE and AVX. With these three the compacted format of an
//! area differs from the standard one in nothing but the header.
//!
//! A component is in use (XINUSE) exactly if it differs from its initial configuration; what was
//! modified since the last XRSTOR is not followed, so XSAVEOPT writes all that is in use.

use super::x87_control::{
    load_mxcsr, load_x87, load_xmm, store_mxcsr, store_x87, store_xmm, vector_registers,
};
use super::xsave_area::{
    Area, HEADER, HIGH_HALVES, HIGH_HALVES_SIZE, MXCSR, XCOMP_BV, XSTATE_BV, area_size, parts,
};
use crate::cpu::insn::{Insn, Op, Width};
use crate::cpu::model::{Feature, Word};
use crate::cpu::state::{X87, cr4, xcr0};
use crate::cpu::{Cx, Fault};

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
        let size = |components: u64| area_size(components) as u32;
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

fn save(cx: &mut Cx<'_>, insn: &Insn, form: Form) -> Result<(), Fault> {
    let area = Area::of(cx, insn, true)?;
    let asked = cx.cpu.xcr0 & pair(cx);
    let mut used = in_use(cx);
    if form == Form::Compacted && cx.cpu.mxcsr != MXCSR_INITIAL {
        used |= xcr0::SSE;
    }
    let mut saved = match form {
        Form::Standard => asked,
        Form::Optimised | Form::Compacted => asked & used,
    };
    // The standard format keeps MXCSR for SSE and AVX alike, used or not.
    let with_mxcsr = match form {
        Form::Compacted => saved & xcr0::SSE != 0,
        _ => asked & (xcr0::SSE | xcr0::AVX) != 0,
    };
    if with_mxcsr {
        saved |= MXCSR;
    }
    // A fault names the area's last byte first, as on processors.
    area.probe(cx, insn, (area_size(asked) - 1, 1), true)?;
    // The rest as it lies there: it matters where an area wraps around at 4 GiB.
    for part in parts(cx, saved | HEADER) {
        area.probe(cx, insn, part, true)?;
    }
    store_components(cx, insn, area, saved)?;
    if form == Form::Compacted {
        cx.write(area.at(XSTATE_BV), 8, asked & used)?;
        return cx.write(area.at(XCOMP_BV), 8, asked | COMPACTED);
    }
    let old = cx.read(area.at(XSTATE_BV), 8)?;
    cx.write(area.at(XSTATE_BV), 8, old & !asked | asked & used)
}

fn store_components(cx: &mut Cx<'_>, insn: &Insn, area: Area, saved: u64) -> Result<(), Fault> {
    let at = |distance| area.at(distance);
    if saved & xcr0::X87 != 0 {
        store_x87(cx, insn, at)?;
    }
    if saved & MXCSR != 0 {
        store_mxcsr(cx, at)?;
    }
    if saved & xcr0::SSE != 0 {
        store_xmm(cx, at)?;
    }
    if saved & xcr0::AVX != 0 {
        for i in 0..vector_registers(cx) {
            let value = cx.cpu.ymm_high[i];
            cx.write128(at(HIGH_HALVES + 16 * i as u64), value)?;
        }
    }
    Ok(())
}

/// The header of an area: which components it holds, and whether it is compacted. #GP if it
/// cannot have been written here.
fn header(cx: &mut Cx<'_>, area: Area) -> Result<(u64, bool), Fault> {
    let mut words = [0; 8];
    for (i, word) in (0u64..).zip(&mut words) {
        *word = cx.read(area.at(XSTATE_BV + 8 * i), 8)?;
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
    let area = Area::of(cx, insn, false)?;
    let asked = cx.cpu.xcr0 & pair(cx);
    // Processors look at the legacy region first, whatever else the header says.
    area.probe(cx, insn, (XCOMP_BV, 8), false)?;
    let format = match cx.read(area.at(XCOMP_BV), 8)? {
        compaction if compaction & COMPACTED == 0 => u64::MAX,
        compaction if compaction & !COMPACTED & !cx.cpu.xcr0 != 0 => return Err(Fault::GP),
        compaction => compaction,
    };
    // MXCSR belongs to AVX, too, in the standard format.
    let modal = match format {
        u64::MAX => xcr0::SSE | xcr0::AVX,
        _ => xcr0::SSE,
    };
    let legacy = match (asked & format & xcr0::X87, asked & format & modal) {
        (0, 0) => (XSTATE_BV, 8),
        (0, _) => (24, 8),
        _ => (0, 8),
    };
    area.probe(cx, insn, legacy, false)?;
    area.probe(cx, insn, (area_size(asked & format) - 1, 1), false)?;
    let (present, compacted) = header(cx, area)?;
    let loaded = asked & present;
    let with_mxcsr = match compacted {
        true => loaded & xcr0::SSE != 0,
        false => asked & (xcr0::SSE | xcr0::AVX) != 0,
    };
    for part in parts(cx, loaded | if with_mxcsr { MXCSR } else { 0 }) {
        area.probe(cx, insn, part, false)?;
    }
    // A bad MXCSR is found before anything is loaded, or in the compacted format with its SSE.
    if compacted {
        load_high_halves(cx, area, asked & !loaded, 0)?;
        load_legacy(cx, insn, area, asked, loaded)?;
        load_mode(cx, area, with_mxcsr, asked & xcr0::SSE != 0)?;
    } else {
        load_mode(cx, area, with_mxcsr, false)?;
        load_legacy(cx, insn, area, asked, loaded)?;
    }
    load_high_halves(cx, area, asked, loaded)
}

/// MXCSR, if it is there; else it may become what it is at first.
fn load_mode(cx: &mut Cx<'_>, area: Area, present: bool, initial: bool) -> Result<(), Fault> {
    if present {
        cx.cpu.mxcsr = load_mxcsr(cx, |distance| area.at(distance))?;
    } else if initial {
        cx.cpu.mxcsr = MXCSR_INITIAL;
    }
    Ok(())
}

/// x87 and SSE: loaded if they were asked for and are there, initial if they only were asked for.
fn load_legacy(
    cx: &mut Cx<'_>,
    insn: &Insn,
    area: Area,
    asked: u64,
    loaded: u64,
) -> Result<(), Fault> {
    let at = |distance| area.at(distance);
    if asked & xcr0::X87 != 0 {
        cx.cpu.x87 = match loaded & xcr0::X87 {
            0 => X87::default(),
            _ => load_x87(cx, insn, at)?,
        };
    }
    let count = vector_registers(cx);
    match (asked & xcr0::SSE, loaded & xcr0::SSE) {
        (0, _) => Ok(()),
        (_, 0) => {
            cx.cpu.xmm[..count].fill(0);
            Ok(())
        }
        _ => load_xmm(cx, at),
    }
}

/// AVX, likewise.
fn load_high_halves(cx: &mut Cx<'_>, area: Area, asked: u64, loaded: u64) -> Result<(), Fault> {
    if asked & xcr0::AVX == 0 {
        return Ok(());
    }
    for i in 0..vector_registers(cx) {
        cx.cpu.ymm_high[i] = match loaded & xcr0::AVX {
            0 => 0,
            _ => cx.read128(area.at(HIGH_HALVES + 16 * i as u64))?,
        };
    }
    Ok(())
}
