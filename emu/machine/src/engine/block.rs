//! Instructions that follow each other in one frame: what faster engines
//! translate at a time.

use alloc::vec::Vec;

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::cpu::Cx;
use crate::cpu::decode::{MAX_LENGTH, decode};
use crate::cpu::insn::{Family, Insn, Op, Operand, Rep};

/// Decoded instructions that are carried out one after the other, unless one of
/// them faults. All but the last are [`is_straight`].
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The instructions; none if the first one does not lie in this frame
    /// alone, or is not in RAM.
    pub insns: Vec<Insn>,
    /// How many bytes they have.
    pub len: u16,
    /// What [`Ram::generation`](crate::bus::ram::Ram::generation) said of their
    /// frame when they were decoded.
    pub generation: u32,
}

impl Block {
    /// Decodes the 64-bit code at `pa`, up to an instruction that is not
    /// straight, the frame's end, or `most` instructions. The frame is noted to
    /// hold code, as by the reference interpreter's own cache.
    #[must_use]
    pub fn decode(cx: &mut Cx<'_>, pa: PhysAddr, most: usize) -> Block {
        let mut block = Block::default();
        if !cx.bus.ram.contains(pa) {
            return block;
        }
        block.generation = cx.bus.ram.keep_code(pa);
        let mut at = pa.offset() as usize;
        while block.insns.len() < most {
            let Some(page) = cx.bus.ram.page(pa) else {
                break;
            };
            let bytes = &page[at..(at + MAX_LENGTH).min(PAGE_SIZE as usize)];
            // What does not decode here is met, and told, by who executes it.
            let Ok(Some(insn)) = decode(bytes, 64, cx.cpu.model) else {
                break;
            };
            at += usize::from(insn.len);
            block.len += u16::from(insn.len);
            block.insns.push(insn);
            if !is_straight(&insn) || at >= PAGE_SIZE as usize {
                break;
            }
        }
        block
    }

    /// Decodes the one 64-bit instruction that begins in the frame of `pa` and ends in the frame
    /// that begins at `second`. Both are noted to hold code; [`Block::generation`] is the first
    /// one's.
    #[must_use]
    pub fn decode_across(cx: &mut Cx<'_>, pa: PhysAddr, second: PhysAddr) -> Block {
        let mut bytes = [0; MAX_LENGTH];
        let room = (PAGE_SIZE - pa.offset()) as usize;
        let (Some(here), Some(there)) = (cx.bus.ram.page(pa), cx.bus.ram.page(second)) else {
            return Block::default();
        };
        let Some((low, high)) = bytes.split_at_mut_checked(room) else {
            return Block::default();
        };
        low.copy_from_slice(&here[pa.offset() as usize..]);
        high.copy_from_slice(&there[..high.len()]);
        match decode(&bytes, 64, cx.cpu.model) {
            Ok(Some(insn)) if usize::from(insn.len) > room => {
                cx.bus.ram.keep_code(second);
                Block {
                    insns: Vec::from([insn]),
                    len: u16::from(insn.len),
                    generation: cx.bus.ram.keep_code(pa),
                }
            }
            _ => Block::default(),
        }
    }
}

/// Whether the instruction, if it does not fault, leads to the following one and
/// changes nothing that says how that one executes: no mode, no rights, no
/// interrupt flag, no page tables, no debug registers; and reads no clock.
#[must_use]
pub fn is_straight(insn: &Insn) -> bool {
    match insn.family {
        Family::Control | Family::System | Family::Io | Family::Special | Family::Legacy => false,
        Family::SegmentBase | Family::Random => false,
        Family::Xsave | Family::X87Control => false,
        Family::String => insn.rep == Rep::None,
        Family::Stack => insn.op != Op::Popf && !matches!(insn.operands[0], Operand::Seg(_)),
        Family::Mov => !insn
            .operands
            .iter()
            .any(|operand| matches!(operand, Operand::Seg(_) | Operand::Cr(_) | Operand::Dr(_))),
        Family::Flag => matches!(
            insn.op,
            Op::Clc | Op::Stc | Op::Cmc | Op::Cld | Op::Std | Op::Lahf | Op::Sahf
        ),
        Family::Nop => insn.op != Op::Clflush,
        _ => true,
    }
}
