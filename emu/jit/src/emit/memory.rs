//! Memory operands: the fast path in line, and the way to what fills it.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, SigRef, Signature, Value, types};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use machine::Cpu;
use machine::cpu::insn::{Insn, Mem, NO_REGISTER, RIP, Seg, Width};
use machine::cpu::state::Segment;

use super::{Emit, trusted, typed};
use crate::memory;
use crate::state::{State, WRITE};

/// Guest memory: anywhere, but sure to be there.
pub(super) fn guest() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// (state, address, size and kind): leaves the host's address, or zero, in the
/// state.
pub(super) fn fill_signature(b: &mut FunctionBuilder<'_>) -> SigRef {
    let mut signature = Signature::new(CallConv::PreserveAll);
    signature.params = vec![AbiParam::new(types::I64); 3];
    b.import_signature(signature)
}

impl Emit<'_, '_> {
    /// The offset that a memory operand names.
    pub(super) fn offset(&mut self, insn: &Insn) -> Value {
        let mem = insn.mem;
        let mut sum = match mem.base {
            RIP => {
                let next = self.at.wrapping_add(u64::from(insn.len));
                return self.fixed(next.wrapping_add(mem.disp), mem);
            }
            NO_REGISTER if mem.index == NO_REGISTER => return self.fixed(mem.disp, mem),
            NO_REGISTER => None,
            index => Some(self.b.use_var(self.gpr[usize::from(index & 15)])),
        };
        if mem.index != NO_REGISTER {
            let index = self.b.use_var(self.gpr[usize::from(mem.index & 15)]);
            let by = i64::from(mem.scale.trailing_zeros());
            let scaled = match by {
                0 => index,
                _ => self.b.ins().ishl_imm_u(index, by),
            };
            sum = Some(match sum {
                Some(base) => self.b.ins().iadd(base, scaled),
                None => scaled,
            });
        }
        let Some(sum) = sum else {
            return self.fixed(mem.disp, mem);
        };
        let sum = match mem.disp {
            0 => sum,
            disp => self.b.ins().iadd_imm_s(sum, disp as i64),
        };
        match mem.address {
            Width::Qword => sum,
            width => self.b.ins().band_imm_u(sum, width.mask() as i64),
        }
    }

    fn fixed(&mut self, offset: u64, mem: Mem) -> Value {
        self.constant(offset & mem.address.mask())
    }

    /// The linear address of the memory operand.
    pub(super) fn address(&mut self, insn: &Insn) -> Value {
        let offset = self.offset(insn);
        match insn.mem.seg {
            seg @ (Seg::Fs | Seg::Gs) => {
                let place = offset_of!(Cpu, seg)
                    + seg as usize * size_of::<Segment>()
                    + offset_of!(Segment, base);
                let base = self
                    .b
                    .ins()
                    .load(types::I64, trusted(), self.cpu, place as i32);
                self.b.ins().iadd(base, offset)
            }
            _ => offset,
        }
    }

    /// The host's address of `bytes` of guest memory at `va`. If they are not
    /// all in one page that the fast path has, or can be given, the region is
    /// left before the instruction.
    pub(super) fn host(&mut self, va: Value, bytes: u8, write: bool) -> Value {
        let last = match bytes {
            1 => va,
            _ => self.b.ins().iadd_imm_s(va, i64::from(bytes) - 1),
        };
        let page = self.b.ins().band_imm_s(last, !0xFFF);
        let near = self
            .b
            .ins()
            .ushr_imm_u(va, 12 - i64::from(memory::SLOT_BITS));
        let near = self.b.ins().band_imm_u(near, memory::MASK);
        let slot = self.b.ins().iadd(self.bank, near);
        let tag = if write { memory::WRITE } else { memory::READ };
        let tag = self.b.ins().load(types::I64, trusted(), slot, tag);
        let miss = self.b.ins().icmp(IntCC::NotEqual, tag, page);
        let addend = self
            .b
            .ins()
            .load(types::I64, trusted(), slot, memory::ADDEND);
        let host = self.b.ins().iadd(addend, va);
        if self.hasty.is_some() {
            self.begin_anew_if(miss);
            return host;
        }
        let (slow, found) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(found, types::I64);
        self.b.set_cold_block(slow);
        self.b.ins().brif(miss, slow, &[], found, &[host.into()]);
        self.b.switch_to_block(slow);
        let host = self.filled(va, bytes, write);
        let (out, arguments) = self.way_aside();
        self.b
            .ins()
            .brif(host, found, &[host.into()], out, &arguments);
        self.b.switch_to_block(found);
        self.b.block_params(found)[0]
    }

    /// Asks for the page; zero if it is not to be had.
    fn filled(&mut self, va: Value, bytes: u8, write: bool) -> Value {
        let offset = offset_of!(State, fill) as i32;
        let fill = self.b.ins().load(types::I64, trusted(), self.state, offset);
        let kind = u64::from(bytes) | if write { WRITE } else { 0 };
        let kind = self.constant(kind);
        let arguments = [self.state, va, kind];
        self.b.ins().call_indirect(self.fill, fill, &arguments);
        let offset = offset_of!(State<'_, '_>, host) as i32;
        self.b.ins().load(types::I64, trusted(), self.state, offset)
    }

    /// Reads the memory operand.
    pub(super) fn load(&mut self, insn: &Insn, width: Width) -> Value {
        let va = self.address(insn);
        let host = self.host(va, width.bytes(), false);
        self.b.ins().load(typed(width), guest(), host, 0)
    }

    /// Writes the memory operand.
    pub(super) fn store(&mut self, insn: &Insn, value: Value, width: Width) {
        let va = self.address(insn);
        let host = self.host(va, width.bytes(), true);
        self.b.ins().store(guest(), value, host, 0);
    }
}
