//! What instructions do, one file for each family.
//!
//! Every function here reads its operands, prepares its destinations (which may fault), and only
//! then changes anything.

use super::insn::{Family, Insn, Op};
use super::{Cx, Fault};

/// Carries out one instruction.
pub(super) fn execute(_cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.family {
        Family::Nop => Ok(()),
        Family::Special if insn.op == Op::Undefined => Err(Fault::UD),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}
