//! The I/O APIC: which device's line becomes which vector.

use super::acpi::Madt;
use super::layout::direct;
use crate::sync::Once;

/// The first vector of device lines.
pub const DEVICE_VECTORS: u8 = 0x30;
/// COM1's line on the ISA bus.
pub const COM1_LINE: u8 = 4;
/// COM1's vector.
pub const COM1_VECTOR: u8 = DEVICE_VECTORS + COM1_LINE;

const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;

struct IoApic {
    base: u64,
    /// The local APIC that interrupts go to.
    apic_id: u8,
}

static IO_APIC: Once<IoApic> = Once::new();

impl IoApic {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: the controller's two registers, mapped uncached.
        unsafe {
            (self.base as *mut u32).write_volatile(register);
            ((self.base + 0x10) as *const u32).read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as in `read`.
        unsafe {
            (self.base as *mut u32).write_volatile(register);
            ((self.base + 0x10) as *mut u32).write_volatile(value);
        }
    }

    fn route(&self, input: u32, vector: u8, mode: u32) {
        let target = u32::from(self.apic_id) << 24;
        self.write(REDIRECTION + 2 * input + 1, target);
        self.write(REDIRECTION + 2 * input, u32::from(vector) | mode);
    }
}

/// Masks every input and then routes COM1's to the CPU with `apic_id`.
pub fn init(madt: &Madt, apic_id: u8) {
    let Some(physical) = madt.io_apic else {
        return;
    };
    let io_apic = IoApic {
        base: direct(physical),
        apic_id,
    };
    let inputs = (io_apic.read(VERSION) >> 16 & 0xFF) + 1;
    for input in 0..inputs {
        io_apic.write(REDIRECTION + 2 * input, MASKED);
    }
    let (input, flags) = madt
        .overrides
        .iter()
        .find(|(line, ..)| *line == COM1_LINE)
        .map_or((u32::from(COM1_LINE), 0), |&(_, input, flags)| {
            (input, flags)
        });
    let active_low = u32::from(flags & 3 == 3) << 13;
    let level = u32::from(flags >> 2 & 3 == 3) << 15;
    io_apic.route(input, COM1_VECTOR, active_low | level);
    IO_APIC.set(io_apic);
}

/// The vector of a device line.
#[must_use]
pub fn vector_of(line: u8) -> u8 {
    DEVICE_VECTORS + line
}

/// Routes a line that rises when its device has something to say.
pub fn route(line: u8) {
    if let Some(io_apic) = IO_APIC.get() {
        io_apic.route(line.into(), vector_of(line), 0);
    }
}
