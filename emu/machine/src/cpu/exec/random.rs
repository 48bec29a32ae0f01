//! RDRAND and RDSEED.

use super::flags;
use crate::cpu::insn::Insn;
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

/// Both draw from the machine's seed and always have a number: CF is set, the other flags are
/// cleared.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let number = cx.cpu.random.draw() & insn.size.mask();
    cx.set(insn, 0, number)?;
    flags::set(cx.cpu, flag::CF);
    Ok(())
}
