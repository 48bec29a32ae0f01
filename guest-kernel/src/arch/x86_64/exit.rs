//! The end of a run.

use core::arch::asm;

use super::{irq, port};

/// Writes the debug-exit port and, where nothing listens, halts for ever.
pub fn debug_exit(value: u32) -> ! {
    irq::off();
    // SAFETY: the port ends the machine or does nothing.
    unsafe { port::out32(abi::exit::PORT, value) };
    loop {
        // SAFETY: halting with interrupts off is the end.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}
