//! The devices, and the wires between them. Time comes in as an argument.

pub mod apic;
pub mod disk;
pub mod ioapic;
pub mod pic;
pub mod pit;
pub mod rtc;
pub mod uart;
pub mod virtio_blk;
mod virtqueue;

use serde::{Deserialize, Serialize};

use apic::Apic;
use ioapic::IoApic;
use pic::Pic;
use pit::Pit;
use rtc::Rtc;
use uart::Uart;

pub use virtqueue::Memory;

/// Cycles per second: one cycle is one nanosecond. CPUID leaf 0x15 says so.
pub const CYCLES_PER_SECOND: u64 = 1_000_000_000;

/// Cycles per tick of the 25 MHz crystal that drives the APIC timer.
pub const CYCLES_PER_CRYSTAL_TICK: u64 = 40;

/// The UART's input of the IOAPIC.
const UART_LINE: usize = 4;

/// The disk's input of the IOAPIC.
pub const DISK_LINE: usize = 16;

/// All devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Devices {
    /// The CPU's local APIC.
    pub apic: Apic,
    /// The IOAPIC.
    pub io_apic: IoApic,
    /// The two old interrupt controllers.
    pub pic: Pic,
    /// The old timer.
    pub pit: Pit,
    /// The real-time clock.
    pub rtc: Rtc,
    uart: Uart,
}

impl Devices {
    /// Devices after power-on.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Devices {
            apic: Apic::new(0),
            io_apic: IoApic::new(),
            pic: Pic::default(),
            pit: Pit::new(),
            rtc: Rtc::new(epoch),
            uart: Uart::default(),
        }
    }

    /// The next cycle at which a device does something by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.apic.deadline()
    }

    /// Does what is due at cycle `now`.
    pub fn advance(&mut self, now: u64) {
        self.apic.advance(now);
    }

    /// A byte arrives at the serial port.
    pub(crate) fn receive(&mut self, byte: u8) {
        self.uart.receive(byte);
        self.update_lines();
    }

    pub(crate) fn read_uart(&mut self, register: u16) -> u8 {
        let value = self.uart.read(register);
        self.update_lines();
        value
    }

    /// Writes a register of the UART; returns the byte that it sends.
    pub(crate) fn write_uart(&mut self, register: u16, value: u8) -> Option<u8> {
        let sent = self.uart.write(register, value);
        self.update_lines();
        sent
    }

    pub(crate) fn write_io_apic(&mut self, register: u32, value: u32) {
        self.io_apic.write(register, value);
        self.route();
    }

    pub(crate) fn write_apic(&mut self, register: u32, value: u32, now: u64) {
        if let Some(vector) = self.apic.write(register, value, now) {
            self.io_apic.end_of_interrupt(vector);
            self.route();
        }
    }

    /// The disk drives its line.
    pub(crate) fn set_disk_line(&mut self, high: bool) {
        self.io_apic.set_line(DISK_LINE, high);
        self.route();
    }

    fn update_lines(&mut self) {
        self.io_apic
            .set_line(UART_LINE, self.uart.wants_interrupt());
        self.route();
    }

    /// Sends what the IOAPIC has to send to the local APIC.
    fn route(&mut self) {
        let apic = &mut self.apic;
        self.io_apic.send(|message| apic.accept(message));
    }
}
