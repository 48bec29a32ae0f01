//! The ports: which number belongs to which device.

use super::{Bus, Signal};
use crate::devices::power::{self, Power};

const PIC_MASTER: u16 = 0x20;
const PIC_SLAVE: u16 = 0xA0;
const PIT: u16 = 0x40;
const KEYBOARD_DATA: u16 = 0x60;
const SYSTEM_CONTROL: u16 = 0x61;
const KEYBOARD_COMMAND: u16 = 0x64;
const CMOS: u16 = 0x70;
const CMOS_DATA: u16 = 0x71;
const SYSTEM_CONTROL_A: u16 = 0x92;
const COM1: u16 = 0x3F8;
const ELCR: u16 = 0x4D0;

/// System control port A: resets the machine; address line 20 is always on.
const A_RESET: u8 = 1;
const A_A20: u8 = 2;
/// Reset control: a write with this bit resets the machine.
const RESET_NOW: u8 = 4;

impl Bus {
    /// IN: reads 1, 2 or 4 bytes from a port at cycle `now`. `eax` is what the
    /// register holds before: the probe's question is there.
    pub fn port_in(&mut self, port: u16, len: usize, eax: u32, now: u64) -> u32 {
        match (port, len) {
            (abi::probe::PORT, 4) => {
                self.signal(Signal::Choice(eax));
                0
            }
            (power::TIMER, 4) => Power::timer(now),
            (power::EVENTS..=power::CONTROL, 2) => {
                u32::from(self.devices.power.read(port - power::EVENTS))
            }
            (_, 2 | 4) => u32::MAX >> (32 - 8 * len as u32),
            _ => u32::from(self.byte_in(port, now)),
        }
    }

    fn byte_in(&mut self, port: u16, now: u64) -> u8 {
        self.attention |= keeps_time(port);
        let devices = &mut self.devices;
        match port {
            0x3F8..=0x3FF => devices.read_uart(port - COM1),
            0x20 | 0x21 => devices.read_pic(0, port - PIC_MASTER),
            0xA0 | 0xA1 => devices.read_pic(1, port - PIC_SLAVE),
            0x4D0 | 0x4D1 => devices.read_elcr(usize::from(port - ELCR)),
            0x40..=0x42 => devices.read_pit(port - PIT, now),
            SYSTEM_CONTROL => devices.read_system_control(now),
            KEYBOARD_DATA => devices.keyboard.read_data(),
            KEYBOARD_COMMAND => devices.keyboard.status(),
            CMOS_DATA => devices.read_rtc(now),
            SYSTEM_CONTROL_A => A_A20,
            _ => 0xFF,
        }
    }

    /// OUT: writes 1, 2 or 4 bytes to a port at cycle `now`.
    pub fn port_out(&mut self, port: u16, len: usize, value: u32, now: u64) {
        match (port, len) {
            (abi::probe::PORT, 4) => self.signal(Signal::Trace(value)),
            (abi::exit::PORT, _) => self.signal(Signal::Exit(value)),
            (power::EVENTS..=power::CONTROL, 2) => {
                if self.devices.power.write(port - power::EVENTS, value as u16) {
                    self.signal(Signal::PowerOff);
                }
            }
            (_, 2 | 4) => {}
            _ => self.byte_out(port, value as u8, now),
        }
    }

    fn byte_out(&mut self, port: u16, byte: u8, now: u64) {
        let devices = &mut self.devices;
        let reset = match port {
            KEYBOARD_DATA => devices.keyboard.write_data(byte),
            KEYBOARD_COMMAND => devices.keyboard.command(byte),
            SYSTEM_CONTROL_A => byte & A_RESET != 0,
            power::RESET => byte & RESET_NOW != 0,
            _ => false,
        };
        if reset {
            self.signal(Signal::Reset);
        }
        self.attention |= keeps_time(port);
        let devices = &mut self.devices;
        match port {
            0x3F8..=0x3FF => {
                if let Some(sent) = devices.write_uart(port - COM1, byte) {
                    self.signal(Signal::Console(sent));
                }
            }
            0x20 | 0x21 => devices.write_pic(0, port - PIC_MASTER, byte),
            0xA0 | 0xA1 => devices.write_pic(1, port - PIC_SLAVE, byte),
            0x4D0 | 0x4D1 => devices.write_elcr(usize::from(port - ELCR), byte),
            0x40..=0x43 => devices.write_pit(port - PIT, byte, now),
            SYSTEM_CONTROL => devices.write_system_control(byte, now),
            CMOS => devices.rtc.select(byte),
            CMOS_DATA => devices.write_rtc(byte, now),
            _ => {}
        }
    }
}

/// Whether an access may change when a device does something by itself.
fn keeps_time(port: u16) -> bool {
    matches!(port, PIT..=0x43 | SYSTEM_CONTROL | CMOS..=CMOS_DATA)
}
