//! Vector instructions that are compiled.

use machine::cpu::insn::Insn;

use super::Emit;

/// Whether it is compiled.
pub(super) fn is_native(_insn: &Insn) -> bool {
    false
}

impl Emit<'_, '_> {
    pub(super) fn vector(&mut self, _insn: &Insn) {}
}
