//! Turning interrupts off and on again, nested in any order.

use core::arch::asm;

use super::percpu;

const RFLAGS_IF: u64 = 1 << 9;

/// True if interrupts are on.
#[must_use]
pub fn enabled() -> bool {
    let flags: u64;
    // SAFETY: reads the flags through the stack.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags & RFLAGS_IF != 0
}

/// Interrupts off, plainly.
pub fn off() {
    // SAFETY: keeps more of the kernel atomic than before.
    unsafe { asm!("cli", options(nostack)) };
}

/// Interrupts on, plainly.
pub fn on() {
    // SAFETY: callers hold no lock (see `disable`, which they would go through).
    unsafe { asm!("sti", options(nostack)) };
}

/// Interrupts off until as many calls of [`restore`].
pub fn disable() {
    let were_on = enabled();
    off();
    percpu::with(|cpu| {
        if cpu.irq_depth == 0 {
            cpu.irq_saved = were_on;
        }
        cpu.irq_depth += 1;
    });
}

/// Undoes one [`disable`].
pub fn restore() {
    let on_again = percpu::with(|cpu| {
        debug_assert!(cpu.irq_depth > 0);
        cpu.irq_depth -= 1;
        cpu.irq_depth == 0 && cpu.irq_saved
    });
    if on_again {
        on();
    }
}

/// True if the caller may sleep: no lock is held and interrupts are on.
#[must_use]
pub fn may_sleep() -> bool {
    enabled()
}

/// Waits for an interrupt. Called with interrupts off; they are on from the
/// instruction after `sti`, which is the halt itself, so none is missed.
pub fn wait() {
    // SAFETY: turns interrupts on, which the idle task wants.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}
