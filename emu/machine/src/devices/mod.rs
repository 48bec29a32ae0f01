//! The devices, and the wires between them. Time comes in as an argument.

pub mod apic;
mod date;
pub mod disk;
pub mod ioapic;
pub mod keyboard;
pub mod pic;
pub mod pit;
pub mod power;
pub mod rtc;
pub mod uart;
pub mod virtio_blk;
mod virtqueue;

use serde::{Deserialize, Serialize};

use apic::Apic;
use ioapic::IoApic;
use keyboard::Keyboard;
use pic::Pic;
use pit::Pit;
use power::Power;
use rtc::Rtc;
use uart::Uart;

pub use virtqueue::Memory;

/// Cycles per second: one cycle is one nanosecond. CPUID leaf 0x15 says so.
pub const CYCLES_PER_SECOND: u64 = 1_000_000_000;

/// Cycles per tick of the 25 MHz crystal that drives the APIC timer.
pub const CYCLES_PER_CRYSTAL_TICK: u64 = 40;

/// Lines of the 8259s. The IOAPIC's inputs of the same numbers are wired to the
/// same devices.
const PIT_LINE: usize = 0;
const UART_LINE: usize = 4;
const RTC_LINE: usize = 8;

/// The IOAPIC's input that the timer drives beside number 0. The ACPI tables
/// name no other than 0; kernels that read none expect this one.
const PIT_INPUT: usize = 2;

/// The disk's input of the IOAPIC.
pub const DISK_LINE: usize = 16;

/// All devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Devices {
    /// The CPU's local APIC.
    pub apic: Apic,
    /// The IOAPIC.
    pub io_apic: IoApic,
    pic: Pic,
    pit: Pit,
    /// The real-time clock.
    pub rtc: Rtc,
    /// The keyboard controller.
    pub keyboard: Keyboard,
    /// ACPI's registers.
    pub power: Power,
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
            keyboard: Keyboard::default(),
            power: Power::default(),
            uart: Uart::default(),
        }
    }

    /// The next cycle at which a device does something by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let all = [
            self.apic.deadline(),
            self.pit.deadline(),
            self.rtc.deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// True if a device will interrupt the CPU by itself.
    #[must_use]
    pub fn will_interrupt(&self) -> bool {
        self.apic.timer_interrupts()
            || self.pit.deadline().is_some()
                && (self.is_open(PIT_LINE) || self.io_apic.is_open(PIT_INPUT))
            || self.rtc.deadline().is_some() && self.is_open(RTC_LINE)
    }

    /// True if a line gets through to the CPU.
    fn is_open(&self, line: usize) -> bool {
        self.io_apic.is_open(line) || self.pic.is_open(line) && self.apic.takes_ext_int()
    }

    /// Does what is due at cycle `now`.
    pub fn advance(&mut self, now: u64) {
        self.apic.advance(now);
        if self.pit.deadline().is_some_and(|at| at <= now) {
            self.pit.advance(now);
            self.update_pit();
        }
        if self.rtc.deadline().is_some_and(|at| at <= now) {
            self.rtc.advance(now);
            self.update_lines();
        }
    }

    /// The CPU takes the interrupt that waits: its vector. The local APIC's own
    /// come before those of the 8259s.
    pub(crate) fn acknowledge(&mut self) -> Option<u8> {
        if let Some(vector) = self.apic.acknowledge() {
            return Some(vector);
        }
        let vector = self.apic.interrupts().then(|| self.pic.acknowledge());
        self.route();
        vector
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

    pub(crate) fn read_pic(&mut self, chip: usize, port: u16) -> u8 {
        let value = self.pic.read(chip, port);
        self.route();
        value
    }

    pub(crate) fn write_pic(&mut self, chip: usize, port: u16, value: u8) {
        self.pic.write(chip, port, value);
        self.route();
    }

    pub(crate) fn read_elcr(&self, chip: usize) -> u8 {
        self.pic.read_elcr(chip)
    }

    pub(crate) fn write_elcr(&mut self, chip: usize, value: u8) {
        self.pic.write_elcr(chip, value);
        self.route();
    }

    pub(crate) fn read_pit(&mut self, port: u16, now: u64) -> u8 {
        self.pit.read(port, now)
    }

    pub(crate) fn write_pit(&mut self, port: u16, value: u8, now: u64) {
        self.pit.write(port, value, now);
        self.update_pit();
    }

    pub(crate) fn read_system_control(&self, now: u64) -> u8 {
        self.pit.read_control(now)
    }

    pub(crate) fn write_system_control(&mut self, value: u8, now: u64) {
        self.pit.write_control(value, now);
    }

    pub(crate) fn read_rtc(&mut self, now: u64) -> u8 {
        let value = self.rtc.read(now);
        self.update_lines();
        value
    }

    pub(crate) fn write_rtc(&mut self, value: u8, now: u64) {
        self.rtc.write(value, now);
        self.update_lines();
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
        self.set_line(UART_LINE, self.uart.wants_interrupt());
        self.set_line(RTC_LINE, self.rtc.wants_interrupt());
        self.route();
    }

    /// Each rise of the timer's output is an edge; when it falls is left out.
    fn update_pit(&mut self) {
        if self.pit.take_rise() {
            for high in [false, true] {
                self.set_line(PIT_LINE, high);
                self.io_apic.set_line(PIT_INPUT, high);
            }
            self.route();
        }
    }

    fn set_line(&mut self, line: usize, high: bool) {
        self.io_apic.set_line(line, high);
        self.pic.set_line(line, high);
    }

    /// Sends what the IOAPIC and the 8259s have to send to the local APIC.
    fn route(&mut self) {
        let apic = &mut self.apic;
        self.io_apic.send(|message| apic.accept(message));
        apic.drive_lint0(self.pic.output());
    }
}
