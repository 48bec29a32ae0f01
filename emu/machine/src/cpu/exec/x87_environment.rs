//! The x87's environment in memory, in the four forms of the manual (volume 1, 8.1.10): 14 or 28
//! bytes, of real mode or of any other.

use super::x87_control::set_control;
use crate::addr::VirtAddr;
use crate::cpu::fp::Kind;
use crate::cpu::insn::Insn;
use crate::cpu::state::X87;
use crate::cpu::{Cx, Fault};

/// The tag word with the sort of each number: 0 valid, 1 zero, 2 special, 3 empty.
fn full_tags(x87: &X87) -> u16 {
    (0..8).fold(0, |tags, i| {
        let empty = x87.tag >> (2 * i) & 3 == 3;
        let number = x87.registers[i].unpack();
        let tag = match number.kind {
            _ if empty => 3,
            Kind::Zero => 1,
            Kind::Finite if !number.denormal => 0,
            _ => 2,
        };
        tags | tag << (2 * i)
    })
}

/// A tag word as it is kept: a register is empty or not.
fn kept_tags(tags: u16) -> u16 {
    (0..8).fold(0, |kept, i| {
        kept | if tags >> (2 * i) & 3 == 3 {
            3 << (2 * i)
        } else {
            0
        }
    })
}

/// The environment's words in the order in which they are stored, each with the bits of its long
/// form that are unused and read as ones. The selectors of code and data read as zero, as on
/// CPUs that announce so.
fn environment(x87: &X87, real_mode: bool) -> [(u32, u32); 7] {
    const UPPER: u32 = 0xFFFF_0000;
    let (code, data) = (x87.instruction as u32, x87.data as u32);
    let opcode = u32::from(x87.opcode & 0x7FF);
    let [control, status, tags] =
        [x87.control, x87.status, full_tags(x87)].map(|word| (word.into(), UPPER));
    match real_mode {
        false => [
            control,
            status,
            tags,
            (code, 0),
            (opcode << 16, 0),
            (data, 0),
            (0, UPPER),
        ],
        // The upper halves of the addresses begin at bit 12.
        true => [
            control,
            status,
            tags,
            (code & 0xFFFF, UPPER),
            (code >> 16 << 12 | opcode, 0),
            (data & 0xFFFF, UPPER),
            (data >> 16 << 12, 0),
        ],
    }
}

pub(super) fn at(va: VirtAddr, offset: u64) -> VirtAddr {
    VirtAddr(va.0.wrapping_add(offset))
}

/// Whether a state is stored in the 14-byte form of 16-bit operands.
fn is_short(insn: &Insn) -> bool {
    matches!(insn.mem.bytes, 14 | 94)
}

/// Translates the whole operand, beginning with its first word, so that no part of it can fault
/// later.
pub(super) fn prepare(cx: &mut Cx<'_>, insn: &Insn, write: bool) -> Result<VirtAddr, Fault> {
    let va = cx.address(insn, write)?;
    let unit = if is_short(insn) { 2 } else { 4 };
    cx.span(va, unit, cx.rights(write))?;
    cx.probe_state(va, insn.mem.bytes.into(), write)?;
    Ok(va)
}

/// Stores the environment and returns where it ends.
pub(super) fn store_environment(
    cx: &mut Cx<'_>,
    insn: &Insn,
    va: VirtAddr,
) -> Result<VirtAddr, Fault> {
    let words = environment(&cx.cpu.x87, cx.cpu.real_mode());
    if is_short(insn) {
        for (i, (word, _)) in (0u64..).zip(words) {
            cx.write_part(at(va, 2 * i), 2, (word & 0xFFFF).into())?;
        }
        return Ok(at(va, 14));
    }
    for (i, (word, unused)) in (0u64..).zip(words) {
        cx.write_part(at(va, 4 * i), 4, (word | unused).into())?;
    }
    Ok(at(va, 28))
}

/// Reads an environment; where it ends, and the x87 with it.
pub(super) fn load_environment(
    cx: &mut Cx<'_>,
    insn: &Insn,
    va: VirtAddr,
) -> Result<(VirtAddr, X87), Fault> {
    let step = if is_short(insn) { 2 } else { 4 };
    let mut words = [0u64; 7];
    for (i, word) in (0u64..).zip(&mut words) {
        *word = cx.read_part(at(va, step * i), step as u8)?;
    }
    let mut x87 = cx.cpu.x87.clone();
    x87.status = words[1] as u16;
    x87.tag = kept_tags(words[2] as u16);
    let joined = |low: u64, high: u64| low & 0xFFFF | (high >> 12 & 0xFFFF) << 16;
    (x87.instruction, x87.data, x87.opcode) = match (cx.cpu.real_mode(), is_short(insn)) {
        (true, _) => (
            joined(words[3], words[4]),
            joined(words[5], words[6]),
            words[4] as u16 & 0x7FF,
        ),
        (false, true) => (words[3], words[5], 0),
        (false, false) => (words[3], words[5], (words[4] >> 16) as u16 & 0x7FF),
    };
    set_control(&mut x87, words[0] as u16);
    Ok((at(va, 7 * step), x87))
}
