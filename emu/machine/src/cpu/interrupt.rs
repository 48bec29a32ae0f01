//! Interrupts from the local APIC, taken between instructions.

use super::state::{Shadow, flag};
use super::{Cpu, Cx, Fault, vector};
use crate::bus::Bus;
use crate::cost::Class;

/// The local APIC's register that CR8 shows.
const TASK_PRIORITY: u32 = 0x80;

impl Cx<'_> {
    /// Whether an interrupt is to be taken at this boundary.
    #[inline]
    #[must_use]
    pub fn interrupt_due(&self) -> bool {
        self.cpu.flag(flag::IF) && self.cpu.shadow == Shadow::None && self.bus.interrupt()
    }

    /// Acknowledges the interrupt and enters its handler. A REP instruction that it interrupts is
    /// resumed by IRET like any other; its iterations so far are in its registers.
    pub(super) fn take_interrupt(&mut self) -> Result<(), Fault> {
        if self.nmi_pending() {
            return Err(self.take_nmi());
        }
        let Some(vector) = self.bus.acknowledge() else {
            return Ok(());
        };
        self.cpu.halted = false;
        self.charge(Class::Interrupt);
        self.deliver_interrupt(vector)
    }

    /// Whether an NMI waits and no other's handler runs.
    pub(super) fn nmi_pending(&self) -> bool {
        nmi_pending(self.cpu, self.bus)
    }

    /// Accepts the NMI: it goes the way of exceptions, and holds back the next until IRET.
    pub(super) fn take_nmi(&mut self) -> Fault {
        self.bus.devices.apic.acknowledge_nmi();
        self.cpu.halted = false;
        self.cpu.nmi_blocked = true;
        self.attention_changed();
        Fault::plain(vector::NMI)
    }

    /// CR8: the upper half of the local APIC's task priority.
    pub(super) fn task_priority(&self) -> u64 {
        u64::from(self.bus.devices.apic.read(TASK_PRIORITY, self.cpu.cycle) >> 4)
    }

    /// MOV to CR8.
    pub(super) fn write_task_priority(&mut self, value: u64) -> Result<(), Fault> {
        if value > 15 {
            return Err(Fault::GP);
        }
        let now = self.cpu.cycle;
        self.bus
            .devices
            .write_apic(TASK_PRIORITY, (value as u32) << 4, now);
        Ok(())
    }
}

/// Whether an NMI waits for this CPU and no other's handler runs.
pub(crate) fn nmi_pending(cpu: &Cpu, bus: &Bus) -> bool {
    bus.devices.apic.nmi() && !cpu.nmi_blocked
}
