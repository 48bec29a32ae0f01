//! The console: a 16550 on COM1.

use super::port::{in8, out8};

const COM1: u16 = 0x3F8;
const INTERRUPT_ENABLE: u16 = COM1 + 1;
const FIFO_CONTROL: u16 = COM1 + 2;
const LINE_CONTROL: u16 = COM1 + 3;
const MODEM_CONTROL: u16 = COM1 + 4;
const LINE_STATUS: u16 = COM1 + 5;

const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// 115200 baud, eight bits, no parity, FIFOs on, no interrupts yet.
pub fn init() {
    // SAFETY: the standard initialisation of the device.
    unsafe {
        out8(INTERRUPT_ENABLE, 0);
        out8(LINE_CONTROL, 0x80);
        out8(COM1, 1);
        out8(INTERRUPT_ENABLE, 0);
        out8(LINE_CONTROL, 3);
        out8(FIFO_CONTROL, 0xC7);
        out8(MODEM_CONTROL, 0x0B);
    }
}

/// Lets the device interrupt when bytes have come.
pub fn enable_receive_interrupt() {
    // SAFETY: the handler is installed by then.
    unsafe { out8(INTERRUPT_ENABLE, 1) };
}

/// Sends a byte.
pub fn put(byte: u8) {
    // SAFETY: the device's own registers.
    unsafe {
        while in8(LINE_STATUS) & TRANSMITTER_EMPTY == 0 {
            core::hint::spin_loop();
        }
        out8(COM1, byte);
    }
}

/// A byte that has come, if any.
#[must_use]
pub fn get() -> Option<u8> {
    // SAFETY: the device's own registers.
    unsafe { (in8(LINE_STATUS) & DATA_READY != 0).then(|| in8(COM1)) }
}
