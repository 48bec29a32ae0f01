//! Which instructions are compiled, and how the others of a block are carried
//! out one by one.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, InstBuilder, SigRef, Signature, types};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use machine::cpu::insn::{Family, Insn, NO_REGISTER, Op, Operand, RIP, Width};
use machine::engine::block::is_straight;

use super::cost::{accesses, packed};
use super::flags::Flags;
use super::{Emit, shift, trusted, vector};
use crate::state::{Reason, State};

const RAX: u32 = 1;
const RDX: u32 = 1 << 2;
const RSP: u32 = 1 << 4;
const RBP: u32 = 1 << 5;

/// (state, instruction, budget, what the rest needs) to the new budget.
pub(super) fn step_signature(b: &mut FunctionBuilder<'_>, convention: CallConv) -> SigRef {
    let mut signature = Signature::new(convention);
    signature.params = vec![AbiParam::new(types::I64); 4];
    signature.returns = vec![AbiParam::new(types::I64)];
    b.import_signature(signature)
}

/// Whether a region may hold it.
pub(crate) fn is_possible(insn: &Insn) -> bool {
    is_native(insn) || is_straight(insn) && insn.op != Op::Ldmxcsr
}

/// Whether it is compiled itself.
pub(crate) fn is_native(insn: &Insn) -> bool {
    let known = |operand: &Operand| {
        matches!(
            operand,
            Operand::None | Operand::Gpr(_) | Operand::Mem | Operand::Imm(_)
        )
    };
    if insn.family.is_vector() {
        return vector::is_native(insn);
    }
    if !insn.operands.iter().all(known) {
        return false;
    }
    let whole = matches!(insn.size, Width::Dword | Width::Qword);
    let register = matches!(insn.operands[0], Operand::Gpr(_));
    match insn.family {
        Family::Alu => !matches!(insn.op, Op::Adcx | Op::Adox),
        Family::MulDiv => whole,
        Family::Shift => shift::is_native(insn),
        Family::Bit => match insn.op {
            Op::Bt => whole && register,
            Op::Bswap | Op::Popcnt | Op::Bsf | Op::Bsr => whole,
            _ => false,
        },
        Family::Mov => !matches!(insn.op, Op::Movbe | Op::Xlatb | Op::Cbw | Op::Cwd),
        Family::Stack => match insn.op {
            Op::Push | Op::Leave => insn.size == Width::Qword,
            Op::Pop => insn.size == Width::Qword && register,
            _ => false,
        },
        Family::Control => {
            matches!(insn.op, Op::Jmp | Op::Jcc | Op::Call | Op::Ret) && insn.size == Width::Qword
        }
        Family::Nop => insn.op != Op::Clflush,
        _ => false,
    }
}

/// Whether nothing can make the region be left for it: it is compiled, touches no memory, and
/// cannot fault.
pub(super) fn stays(insn: &Insn) -> bool {
    let families = [
        Family::Alu,
        Family::Shift,
        Family::Bit,
        Family::Mov,
        Family::Nop,
    ];
    is_native(insn) && accesses(insn) == (0, 0) && families.contains(&insn.family)
}

fn implied(insn: &Insn) -> u32 {
    match insn.op {
        Op::Push | Op::Pop | Op::Call | Op::Ret => RSP,
        Op::Leave => RSP | RBP,
        Op::Mul | Op::Div | Op::Idiv | Op::Cdq | Op::Cqo => RAX | RDX,
        Op::Imul if insn.operands[1] == Operand::None => RAX | RDX,
        Op::Cwde | Op::Cdqe => RAX,
        _ => 0,
    }
}

fn number(operand: Operand) -> u32 {
    match operand {
        Operand::Gpr(reg) => 1 << (reg.index & 15),
        Operand::Xmm(index) => 1 << (16 + u32::from(index & 15)),
        _ => 0,
    }
}

/// The registers that a compiled instruction writes.
pub(super) fn written(insn: &Insn) -> u32 {
    if !is_native(insn) {
        return 0;
    }
    let own = match insn.op {
        Op::Cmp | Op::Test | Op::Bt | Op::Push | Op::Jmp | Op::Call => 0,
        Op::Mul | Op::Div | Op::Idiv => 0,
        _ => number(insn.operands[0]),
    };
    own | implied(insn)
}

/// The registers that are stored before it, if these are stored early.
pub(super) fn stored(insn: &Insn, early: u32) -> u32 {
    let memory = insn.operands.contains(&Operand::Mem) && insn.op != Op::Lea;
    let stack = matches!(insn.op, Op::Push | Op::Pop | Op::Leave | Op::Call | Op::Ret);
    match is_native(insn) {
        true if memory || stack => early,
        true => 0,
        false => !0,
    }
}

/// The registers that it reads or writes.
pub(super) fn touched(insn: &Insn) -> u32 {
    if !is_native(insn) {
        return 0;
    }
    let operands = insn.operands.iter().fold(0, |all, o| all | number(*o));
    let memory = [insn.mem.base, insn.mem.index]
        .into_iter()
        .filter(|register| !matches!(*register, NO_REGISTER | RIP))
        .fold(0, |all, register| all | 1 << (register & 15));
    operands | memory | implied(insn)
}

impl Emit<'_, '_> {
    /// One instruction that is no branch.
    pub(super) fn instruction(&mut self, insn: &Insn) {
        if !is_native(insn) {
            return self.aside();
        }
        match insn.family {
            Family::Alu => self.arithmetic_operation(insn),
            Family::MulDiv if matches!(insn.op, Op::Div | Op::Idiv) => self.divide(insn),
            Family::MulDiv => self.multiply(insn),
            Family::Shift => self.shift(insn),
            Family::Bit => self.bits(insn),
            Family::Mov => self.move_operation(insn),
            Family::Stack => self.stack(insn),
            Family::Nop => {}
            _ => self.vector(insn),
        }
    }

    /// Has the reference interpreter carry out an instruction, and goes on if
    /// nothing speaks against it.
    fn aside(&mut self) {
        self.store_state();
        let further = self.plan.further(&self.plan.blocks[self.block].next());
        let budget = self.b.use_var(self.budget);
        let budget = self.b.ins().iadd_imm_s(budget, self.rest);
        let need = self.constant((self.rest + packed(further, 0)) as u64);
        let at = self.constant(self.at);
        let offset = offset_of!(State, step) as i32;
        let step = self.b.ins().load(types::I64, trusted(), self.state, offset);
        let arguments = [self.state, at, budget, need];
        let call = self.b.ins().call_indirect(self.step, step, &arguments);
        let left = self.b.inst_results(call)[0];
        let stopped = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        let (out, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(out);
        self.b.ins().brif(stopped, out, &[], on, &[]);
        self.b.switch_to_block(out);
        let reason = self.constant(Reason::Settled as u64);
        self.b.ins().return_(&[reason]);
        self.b.switch_to_block(on);
        self.load_registers();
        self.dirty = 0;
        let status = self.load_status();
        self.flags = Flags::Bits(status);
        let left = self.b.ins().iadd_imm_s(left, -self.rest);
        self.b.def_var(self.budget, left);
    }
}
