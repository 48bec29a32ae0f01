//! Interrupts: which vector means what.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use abi::event::IrqHandlerEntry;

use crate::arch::apic::{self, PMI_VECTOR, TIMER_VECTOR};
use crate::arch::ioapic::COM1_VECTOR;
use crate::arch::serial;
use crate::fs::tty;
use crate::probe;
use crate::sched::softirq::{self, Softirq};
use crate::sched::{slice, timer};

/// Bytes between the interrupt and ksoftirqd.
const RING: usize = 256;

/// What the console has received: written by the interrupt, read by ksoftirqd.
struct Ring {
    bytes: [AtomicU8; RING],
    written: AtomicU32,
    read: AtomicU32,
}

static INPUT: Ring = Ring {
    bytes: [const { AtomicU8::new(0) }; RING],
    written: AtomicU32::new(0),
    read: AtomicU32::new(0),
};

impl Ring {
    /// Adds a byte; what does not fit is lost, as on a real line.
    fn put(&self, byte: u8) {
        let at = self.written.load(Ordering::Relaxed);
        if at.wrapping_sub(self.read.load(Ordering::Acquire)) < RING as u32 {
            self.bytes[at as usize % RING].store(byte, Ordering::Relaxed);
            self.written.store(at.wrapping_add(1), Ordering::Release);
        }
    }

    fn take(&self) -> Option<u8> {
        let at = self.read.load(Ordering::Relaxed);
        if at == self.written.load(Ordering::Acquire) {
            return None;
        }
        let byte = self.bytes[at as usize % RING].load(Ordering::Relaxed);
        self.read.store(at.wrapping_add(1), Ordering::Release);
        Some(byte)
    }
}

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
        COM1_VECTOR => {
            while let Some(byte) = serial::get() {
                INPUT.put(byte);
            }
            softirq::raise(Softirq::Console);
        }
        _ => {}
    }
}

/// ksoftirqd's part of console input.
pub fn console_work() {
    while let Some(byte) = INPUT.take() {
        tty::console().receive(byte);
    }
}
