//! The area in which XSAVE keeps the state: the legacy region as FXSAVE has it, a header of 64
//! bytes, and the high halves of the YMM registers.

use super::x87_control::vector_registers;
use crate::addr::VirtAddr;
use crate::cpu::insn::Insn;
use crate::cpu::state::{cr0, xcr0};
use crate::cpu::{Cx, Fault};

pub(super) const XSTATE_BV: u64 = 512;
pub(super) const XCOMP_BV: u64 = 520;
const HEADER_END: u64 = 576;
/// Where the AVX component begins, and its size.
pub(super) const HIGH_HALVES: u64 = 576;
pub(super) const HIGH_HALVES_SIZE: u64 = 256;

/// Bytes of an area for these components.
pub(super) fn area_size(components: u64) -> u64 {
    match components & xcr0::AVX {
        0 => HEADER_END,
        _ => HIGH_HALVES + HIGH_HALVES_SIZE,
    }
}

/// Where an area lies: its parts may wrap around the end of the addresses.
#[derive(Clone, Copy)]
pub(super) struct Area {
    base: u64,
    offset: u64,
    mask: u64,
}

impl Area {
    /// What all of them check; its header is within reach then.
    pub(super) fn of(cx: &mut Cx<'_>, insn: &Insn, write: bool) -> Result<Area, Fault> {
        if cx.cpu.cr0 & cr0::TS != 0 {
            return Err(Fault::NM);
        }
        let (offset, mask) = (cx.offset(&insn.mem), insn.mem.address.mask());
        let va = cx.linear(insn.mem.seg, offset, 1, write)?;
        if va.0 & 63 != 0 {
            // Where alignment is checked, bits 0 and 1 are #AC's on Intel CPUs.
            cx.check_alignment(va, 4, cx.rights(write))?;
            return Err(Fault::GP);
        }
        let base = va.0.wrapping_sub(offset);
        Ok(Area { base, offset, mask })
    }

    pub(super) fn at(self, distance: u64) -> VirtAddr {
        VirtAddr(
            self.base
                .wrapping_add(self.offset.wrapping_add(distance) & self.mask),
        )
    }

    /// Translates a part of it, so that it cannot fault later.
    pub(super) fn probe(
        self,
        cx: &mut Cx<'_>,
        insn: &Insn,
        part: Part,
        write: bool,
    ) -> Result<(), Fault> {
        for start in (part.0..part.0 + part.1).step_by(8) {
            let offset = self.offset.wrapping_add(start) & self.mask;
            let len = (part.0 + part.1 - start).min(8);
            let va = cx.linear(insn.mem.seg, offset, len, write)?;
            cx.probe(va, len, write)?;
        }
        Ok(())
    }
}

/// A part of an area: where it begins and its size.
pub(super) type Part = (u64, u64);

/// MXCSR among the components: it belongs to two of them.
pub(super) const MXCSR: u64 = 1 << 62;

/// The header's words that are written, among the components.
pub(super) const HEADER: u64 = 1 << 61;

/// The parts of the area that these components have, in ascending order.
pub(super) fn parts(cx: &Cx<'_>, components: u64) -> impl Iterator<Item = Part> + use<> {
    let size = 16 * vector_registers(cx) as u64;
    let parts = [
        (xcr0::X87, (0, 24)),
        (MXCSR, (24, 8)),
        (xcr0::X87, (32, 128)),
        (xcr0::SSE, (160, size)),
        (HEADER, (XSTATE_BV, 16)),
        (xcr0::AVX, (HIGH_HALVES, size)),
    ];
    parts
        .into_iter()
        .filter(move |part| part.0 & components != 0)
        .map(|part| part.1)
}
