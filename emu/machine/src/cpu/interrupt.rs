//! Interrupts from the local APIC, taken between instructions.

use super::state::flag;
use super::{Cx, Fault};
use crate::cost::Class;

impl Cx<'_> {
    /// Whether an interrupt is to be taken at this boundary.
    #[inline]
    pub(super) fn interrupt_due(&self) -> bool {
        self.cpu.flag(flag::IF) && !self.cpu.shadow && self.bus.interrupt().is_some()
    }

    /// Acknowledges the interrupt and enters its handler. A REP instruction that it interrupts is
    /// resumed by IRET like any other; its iterations so far are in its registers.
    pub(super) fn take_interrupt(&mut self) -> Result<(), Fault> {
        let Some(vector) = self.bus.acknowledge() else {
            return Ok(());
        };
        self.cpu.halted = false;
        self.charge(Class::Interrupt);
        self.deliver_interrupt(vector)
    }
}
