//! The 16550 serial port. It sends at once; what it receives waits outside
//! until there is room, so that no byte is lost.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

const IER_RECEIVED: u8 = 1;
const IER_SENT: u8 = 2;

const LCR_DIVISOR: u8 = 0x80;
const MCR_LOOPBACK: u8 = 0x10;

const LSR_RECEIVED: u8 = 0x01;
/// Nothing waits to be sent, and nothing is being sent.
const LSR_SENT: u8 = 0x60;

/// Carrier, ready, clear to send: the other side is always there.
const MSR_PRESENT: u8 = 0xB0;

const FIFO_LEN: usize = 16;

/// The serial port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uart {
    ier: u8,
    lcr: u8,
    mcr: u8,
    scratch: u8,
    divisor: u16,
    fifo_enabled: bool,
    /// Received bytes that the guest can read.
    fifo: VecDeque<u8>,
    /// Bytes that wait for room in `fifo`.
    waiting: VecDeque<u8>,
    /// A byte was sent and the guest has not been told.
    sent: bool,
}

impl Default for Uart {
    fn default() -> Self {
        Uart {
            ier: 0,
            lcr: 0,
            mcr: 0,
            scratch: 0,
            divisor: 12,
            fifo_enabled: false,
            fifo: VecDeque::new(),
            waiting: VecDeque::new(),
            sent: false,
        }
    }
}

impl Uart {
    /// A byte arrives from outside.
    pub(super) fn receive(&mut self, byte: u8) {
        self.waiting.push_back(byte);
        self.refill();
    }

    fn refill(&mut self) {
        let room = if self.fifo_enabled { FIFO_LEN } else { 1 };
        while self.fifo.len() < room
            && self.mcr & MCR_LOOPBACK == 0
            && let Some(byte) = self.waiting.pop_front()
        {
            self.fifo.push_back(byte);
        }
    }

    /// Reads a register.
    pub(super) fn read(&mut self, register: u16) -> u8 {
        let divisor = self.lcr & LCR_DIVISOR != 0;
        match (register, divisor) {
            (0, true) => self.divisor as u8,
            (1, true) => (self.divisor >> 8) as u8,
            (0, false) => {
                let byte = self.fifo.pop_front().unwrap_or(0);
                self.refill();
                byte
            }
            (1, false) => self.ier,
            (2, _) => self.identify(),
            (3, _) => self.lcr,
            (4, _) => self.mcr,
            (5, _) => {
                LSR_SENT
                    | if self.fifo.is_empty() {
                        0
                    } else {
                        LSR_RECEIVED
                    }
            }
            (6, _) => self.modem_status(),
            _ => self.scratch,
        }
    }

    /// Writes a register; returns the byte that goes out.
    pub(super) fn write(&mut self, register: u16, value: u8) -> Option<u8> {
        let divisor = self.lcr & LCR_DIVISOR != 0;
        match (register, divisor) {
            (0, true) => self.divisor = self.divisor & 0xFF00 | u16::from(value),
            (1, true) => self.divisor = self.divisor & 0x00FF | u16::from(value) << 8,
            (0, false) => return self.send(value),
            (1, false) => self.enable_interrupts(value),
            (2, _) => self.control_fifo(value),
            (3, _) => self.lcr = value,
            (4, _) => {
                self.mcr = value & 0x1F;
                self.refill();
            }
            (7, _) => self.scratch = value,
            _ => {}
        }
        None
    }

    fn send(&mut self, byte: u8) -> Option<u8> {
        self.sent = true;
        if self.mcr & MCR_LOOPBACK == 0 {
            return Some(byte);
        }
        let room = if self.fifo_enabled { FIFO_LEN } else { 1 };
        if self.fifo.len() < room {
            self.fifo.push_back(byte);
        }
        None
    }

    /// Asking to be told that nothing waits to be sent is answered at once.
    fn enable_interrupts(&mut self, value: u8) {
        if value & IER_SENT != 0 && self.ier & IER_SENT == 0 {
            self.sent = true;
        }
        self.ier = value & 0x0F;
    }

    fn control_fifo(&mut self, value: u8) {
        let enable = value & 1 != 0;
        if enable != self.fifo_enabled || value & 2 != 0 {
            self.fifo.clear();
        }
        self.fifo_enabled = enable;
        self.refill();
    }

    /// The interrupt identification register; reading it settles "sent".
    fn identify(&mut self) -> u8 {
        let fifo = if self.fifo_enabled { 0xC0 } else { 0 };
        if self.received_interrupt() {
            return fifo | 4;
        }
        if self.sent_interrupt() {
            self.sent = false;
            return fifo | 2;
        }
        fifo | 1
    }

    fn modem_status(&self) -> u8 {
        if self.mcr & MCR_LOOPBACK == 0 {
            return MSR_PRESENT;
        }
        // RTS, DTR, OUT1, OUT2 come back as CTS, DSR, RI, DCD.
        (self.mcr & 2) << 3 | (self.mcr & 1) << 5 | (self.mcr & 4) << 4 | (self.mcr & 8) << 4
    }

    fn received_interrupt(&self) -> bool {
        self.ier & IER_RECEIVED != 0 && !self.fifo.is_empty()
    }

    fn sent_interrupt(&self) -> bool {
        self.ier & IER_SENT != 0 && self.sent
    }

    /// The level of its interrupt line. Line errors and changes of the modem's
    /// state do not happen, so their enable bits never raise it.
    pub(super) fn wants_interrupt(&self) -> bool {
        self.received_interrupt() || self.sent_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sends_at_once() {
        let mut uart = Uart::default();
        assert_eq!(uart.write(0, b'x'), Some(b'x'));
        assert_eq!(uart.read(5) & 0x60, 0x60);
    }

    #[test]
    fn no_received_byte_is_lost() {
        let mut uart = Uart::default();
        uart.write(2, 1);
        for byte in 0..40 {
            uart.receive(byte);
        }
        assert_eq!(uart.fifo.len(), 16);
        let mut got = Vec::new();
        while uart.read(5) & 1 != 0 {
            got.push(uart.read(0));
        }
        assert_eq!(got, (0..40).collect::<Vec<u8>>());
    }

    #[test]
    fn the_line_follows_data_and_enable() {
        let mut uart = Uart::default();
        uart.receive(b'a');
        assert!(!uart.wants_interrupt());
        uart.write(1, IER_RECEIVED);
        assert!(uart.wants_interrupt());
        assert_eq!(uart.read(2) & 0xF, 4);
        uart.read(0);
        assert!(!uart.wants_interrupt());
        assert_eq!(uart.read(2) & 0xF, 1);
    }

    #[test]
    fn sent_is_told_once() {
        let mut uart = Uart::default();
        uart.write(1, IER_SENT);
        assert!(uart.wants_interrupt());
        assert_eq!(uart.read(2) & 0xF, 2);
        assert!(!uart.wants_interrupt());
        uart.write(0, b'x');
        assert!(uart.wants_interrupt());
    }

    #[test]
    fn loopback_keeps_bytes_inside() {
        let mut uart = Uart::default();
        uart.write(4, MCR_LOOPBACK | 0x0F);
        assert_eq!(uart.write(0, 0xAE), None);
        assert_eq!(uart.read(6), 0xF0);
        assert_eq!(uart.read(0), 0xAE);
    }

    #[test]
    fn the_divisor_hides_behind_its_bit() {
        let mut uart = Uart::default();
        uart.write(3, LCR_DIVISOR);
        uart.write(0, 1);
        uart.write(1, 2);
        assert_eq!(uart.divisor, 0x201);
        uart.write(3, 3);
        assert_eq!(uart.read(1), 0);
    }
}
