//! Interrupts: which vector means what.

use abi::choice::RESCHEDULE_VECTOR;
use abi::event::IrqHandlerEntry;

use crate::arch::apic::{self, PMI_VECTOR, TIMER_VECTOR};
use crate::arch::ioapic::COM1_VECTOR;
use crate::block;
use crate::fs::tty;
use crate::probe;
use crate::sched::{self, slice, timer};

/// Deals with an interrupt. Interrupts are off. One that nobody asked for is
/// ended and forgotten.
pub fn handle(vector: u8) {
    probe::emit(&IrqHandlerEntry {
        vector: vector.into(),
    });
    apic::end_of_interrupt(vector);
    match vector {
        TIMER_VECTOR => timer::interrupt(),
        PMI_VECTOR => slice::counter_interrupt(),
        COM1_VECTOR => tty::interrupt(),
        RESCHEDULE_VECTOR => sched::request_resched(),
        _ => {
            block::interrupt(vector);
        }
    }
}
