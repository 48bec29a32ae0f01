//! The stack, and near branches.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use machine::cpu::insn::{Insn, Op, Operand, Width};

use super::alu::whole;
use super::leave::Rip;
use super::{Emit, memory};
use crate::plan::{End, Target};
use crate::state::Reason;

const RSP: u8 = 4;
const RBP: u8 = 5;

impl Emit<'_, '_> {
    fn stack_pointer(&mut self) -> Value {
        self.register(whole(RSP, Width::Qword))
    }

    fn set_stack_pointer(&mut self, value: Value) {
        self.set_register(whole(RSP, Width::Qword), value);
    }

    /// Stores below the stack's end; RSP moves only then.
    fn push_value(&mut self, value: Value) {
        let sp = self.stack_pointer();
        let sp = self.b.ins().iadd_imm_s(sp, -8);
        let host = self.host(sp, 8, true);
        self.b.ins().store(memory::guest(), value, host, 0);
        self.set_stack_pointer(sp);
    }

    fn stack_word(&mut self, at: Value) -> Value {
        let host = self.host(at, 8, false);
        self.b.ins().load(types::I64, memory::guest(), host, 0)
    }

    /// PUSH, POP and LEAVE of 64 bits.
    pub(super) fn stack(&mut self, insn: &Insn) {
        match insn.op {
            Op::Push => {
                let value = self.read(insn, 0, Width::Qword);
                self.push_value(value);
            }
            Op::Pop => {
                let sp = self.stack_pointer();
                let value = self.stack_word(sp);
                let above = self.b.ins().iadd_imm_s(sp, 8);
                self.set_stack_pointer(above);
                self.set(insn, value);
            }
            _ => {
                let frame = self.register(whole(RBP, Width::Qword));
                let value = self.stack_word(frame);
                let above = self.b.ins().iadd_imm_s(frame, 8);
                self.set_stack_pointer(above);
                self.set_register(whole(RBP, Width::Qword), value);
            }
        }
    }

    /// The last instruction of a block, if it is a branch; true if the block is
    /// complete with it.
    pub(super) fn branch(&mut self, insn: &Insn) -> bool {
        let plan = self.plan;
        let end = &plan.blocks[self.block].end;
        match (insn.op, end) {
            (Op::Jmp, End::Goto(target)) => self.goto(*target),
            (Op::Call, End::Goto(target)) => {
                let back = self.constant(self.at.wrapping_add(u64::from(insn.len)));
                self.push_value(back);
                self.dirty |= 1 << RSP;
                self.goto(*target);
            }
            (Op::Jcc, End::Branch { taken, other }) => self.fork(insn, *taken, *other),
            (Op::Ret, End::Return(sites)) => self.give_back(insn, sites),
            (Op::Jmp | Op::Call, End::Indirect(sites)) => self.indirect(insn, sites),
            _ => return false,
        }
        true
    }

    fn fork(&mut self, insn: &Insn, taken: Target, other: Target) {
        // An odd condition is the opposite of the even one before it.
        let holds = self.condition(insn.condition & !1);
        let (taken, other) = match insn.condition & 1 {
            0 => (taken, other),
            _ => (other, taken),
        };
        let ways = [taken, other].map(|target| match target {
            // Nothing has to be done on the way there.
            Target::Inside(index) if self.has_one_way(index) => {
                self.numbers_known[index] = Some(self.numbers);
                self.hand_over(index);
                (self.blocks[index], None)
            }
            _ => (self.b.create_block(), Some(target)),
        });
        let [(yes, _), (no, _)] = ways;
        self.b.ins().brif(holds, yes, &[], no, &[]);
        for (block, target) in ways {
            let Some(target) = target else {
                continue;
            };
            self.b.switch_to_block(block);
            if matches!(target, Target::Outside(_)) {
                self.b.set_cold_block(block);
            }
            self.goto(target);
        }
    }

    /// RET: to one of the region's own calls, or to wherever.
    fn give_back(&mut self, insn: &Insn, sites: &[(u64, usize)]) {
        let sp = self.stack_pointer();
        let target = self.stack_word(sp);
        self.leave_if_bad(target);
        let released = match insn.operands[0] {
            Operand::Imm(bytes) => 8 + (bytes & 0xFFFF) as i64,
            _ => 8,
        };
        let above = self.b.ins().iadd_imm_s(sp, released);
        self.set_stack_pointer(above);
        self.dirty |= 1 << RSP;
        self.dispatch(target, sites);
    }

    /// A jump or call through a register or memory.
    fn indirect(&mut self, insn: &Insn, sites: &[(u64, usize)]) {
        let target = self.read(insn, 0, Width::Qword);
        self.leave_if_bad(target);
        if insn.op == Op::Call {
            let back = self.constant(self.at.wrapping_add(u64::from(insn.len)));
            self.push_value(back);
            self.dirty |= 1 << RSP;
        }
        self.dispatch(target, sites);
    }

    /// Goes on there: at one of these blocks, or out of the region.
    fn dispatch(&mut self, target: Value, sites: &[(u64, usize)]) {
        for (va, index) in sites {
            let va = self.constant(*va);
            let this = self.b.ins().icmp(IntCC::Equal, target, va);
            let (yes, no) = (self.b.create_block(), self.b.create_block());
            self.b.ins().brif(this, yes, &[], no, &[]);
            self.b.switch_to_block(yes);
            self.goto(Target::Inside(*index));
            self.b.switch_to_block(no);
        }
        let budget = self.b.use_var(self.budget);
        self.leave(Reason::Next, Rip::Computed(target), budget);
    }

    /// Leaves before a branch to an address that is not canonical.
    fn leave_if_bad(&mut self, target: Value) {
        let cut = self.b.ins().ishl_imm_u(target, 16);
        let again = self.b.ins().sshr_imm_u(cut, 16);
        let bad = self.b.ins().icmp(IntCC::NotEqual, again, target);
        self.leave_if(bad);
    }
}
