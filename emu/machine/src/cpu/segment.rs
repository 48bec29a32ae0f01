//! What a segment lets through, outside 64-bit code (Intel's manual, volume 3, 3.4 and 5.3), and
//! how wide its stack is.

use super::insn::{Seg, Width};
use super::state::{Segment, access};
use super::{Cx, Fault};
use crate::cost::Class;

const RSP: u8 = 4;

impl Segment {
    const fn has(&self, bit: u16) -> bool {
        self.access & bit != 0
    }

    /// Whether its type allows data to be written, or read.
    pub(super) const fn permits(&self, write: bool) -> bool {
        let (code, rw) = (self.has(access::CODE), self.has(access::WRITABLE));
        self.usable() && if write { !code && rw } else { !code || rw }
    }

    /// Whether `len` bytes at `offset` lie within it: below its limit, or, in a data segment that
    /// expands down, above.
    pub(super) const fn holds(&self, offset: u64, len: u64) -> bool {
        let end = offset + len - 1;
        let expands_down = !self.has(access::CODE) && self.has(access::EXPAND_DOWN);
        if expands_down {
            let top = if self.has(access::BIG) {
                0xFFFF_FFFF
            } else {
                0xFFFF
            };
            offset > self.limit as u64 && end <= top
        } else {
            end <= self.limit as u64
        }
    }

    /// The width of the stack pointer when this is the stack, outside 64-bit code.
    pub(super) const fn stack_width(&self) -> Width {
        if self.has(access::BIG) {
            Width::Dword
        } else {
            Width::Word
        }
    }
}

impl Cx<'_> {
    /// The width of the stack pointer.
    pub(super) fn stack_width(&self) -> Width {
        match self.code64 {
            true => Width::Qword,
            false => self.cpu.seg[Seg::Ss as usize].stack_width(),
        }
    }

    /// The word on the stack that is `depth` bytes below its top.
    #[inline]
    pub(super) fn stack_word(&mut self, depth: u64, size: Width) -> Result<u64, Fault> {
        if self.code64 && size == Width::Qword {
            let va = self.cpu.gpr[usize::from(RSP)].wrapping_add(depth);
            if let Some(value) = self.fast_read::<8>(va) {
                self.charge(Class::Load);
                return Ok(value);
            }
        }
        self.stack_word_slowly(depth, size)
    }

    fn stack_word_slowly(&mut self, depth: u64, size: Width) -> Result<u64, Fault> {
        let width = self.stack_width();
        let sp = self.reg(RSP, width).wrapping_add(depth) & width.mask();
        let va = self.linear(Seg::Ss, sp, u64::from(size.bytes()), false)?;
        self.read(va, size.bytes())
    }

    /// Gives back `bytes` of the stack.
    pub(super) fn release_stack(&mut self, bytes: u64) {
        let width = self.stack_width();
        let sp = self.reg(RSP, width).wrapping_add(bytes);
        self.set_reg(RSP, width, sp);
    }
}
