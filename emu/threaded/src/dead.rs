//! Flags that nobody asks for.

use machine::cpu::insn::{Insn, Op as Name, Operand, Width};

use crate::cache::LONGEST;
use crate::select::register;

/// Before which instructions the flags are dead: those that follow set all of them before anybody
/// can look.
pub(crate) struct Dead(u128);

impl Dead {
    pub(crate) fn of(insns: &[Insn]) -> Dead {
        let (mut all, mut dead) = (0, false);
        for (i, insn) in insns.iter().enumerate().rev() {
            dead = match effect(insn) {
                Effect::Sets => true,
                Effect::None => dead,
                Effect::Other => false,
            };
            all |= u128::from(dead) << i;
        }
        Dead(all)
    }

    /// Whether nobody asks for the flags that this instruction finds.
    pub(crate) fn before(&self, i: usize) -> bool {
        self.0 >> i & 1 != 0
    }
}

const _: () = assert!(LONGEST < 128);

/// What an instruction has to do with the flags.
enum Effect {
    /// It sets all of them and does not look at them.
    Sets,
    /// Nothing, and it cannot fault.
    None,
    /// Anything else.
    Other,
}

fn effect(insn: &Insn) -> Effect {
    let does = match insn.op {
        Name::Add | Name::Or | Name::And | Name::Sub | Name::Xor | Name::Cmp | Name::Test => {
            Effect::Sets
        }
        Name::Neg => Effect::Sets,
        Name::Mov | Name::Movzx | Name::Movsx | Name::Movsxd | Name::Lea => Effect::None,
        _ => return Effect::Other,
    };
    let address = insn.op == Name::Lea && insn.mem.address == Width::Qword;
    let plain = insn.operands.iter().all(|&operand| match operand {
        Operand::Gpr(_) => register(operand).is_some(),
        Operand::Mem => address,
        operand => matches!(operand, Operand::Imm(_) | Operand::None),
    });
    match plain {
        true => does,
        false => Effect::Other,
    }
}
