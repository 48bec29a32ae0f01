//! The registers of a virtio device behind memory (virtio-mmio, version 2).

use crate::arch::layout::direct;

const MAGIC: u64 = 0x00;
const VERSION: u64 = 0x04;
const DEVICE: u64 = 0x08;
const FEATURES: u64 = 0x10;
const FEATURES_SELECT: u64 = 0x14;
const DRIVER_FEATURES: u64 = 0x20;
const DRIVER_FEATURES_SELECT: u64 = 0x24;
const QUEUE_SELECT: u64 = 0x30;
const QUEUE_SIZE_MAX: u64 = 0x34;
const QUEUE_SIZE: u64 = 0x38;
const QUEUE_READY: u64 = 0x44;
const QUEUE_NOTIFY: u64 = 0x50;
const INTERRUPT_STATUS: u64 = 0x60;
const INTERRUPT_ACKNOWLEDGE: u64 = 0x64;
const STATUS: u64 = 0x70;
const QUEUE_DESCRIPTORS: u64 = 0x80;
const QUEUE_AVAILABLE: u64 = 0x90;
const QUEUE_USED: u64 = 0xA0;
const CONFIGURATION: u64 = 0x100;

const STATUS_ACKNOWLEDGE: u32 = 1;
const STATUS_DRIVER: u32 = 2;
const STATUS_DRIVER_OK: u32 = 4;
const STATUS_FEATURES_OK: u32 = 8;
const STATUS_FAILED: u32 = 128;

/// The device speaks virtio 1.
const FEATURE_VERSION_1: u64 = 1 << 32;

/// Why a device cannot be used.
pub type Refusal = &'static str;

/// A device's registers.
pub struct Registers {
    base: u64,
}

impl Registers {
    /// The registers at a physical address, of a device of this kind.
    pub fn find(address: u64, kind: u32) -> Result<Self, Refusal> {
        let registers = Registers {
            base: direct(address),
        };
        if registers.read(MAGIC) != u32::from_le_bytes(*b"virt") {
            return Err("nothing there speaks virtio");
        }
        if registers.read(VERSION) != 2 {
            return Err("it speaks an old version of virtio-mmio");
        }
        match registers.read(DEVICE) {
            found if found == kind => Ok(registers),
            0 => Err("there is a place for a device, and no device"),
            _ => Err("the device is of another kind"),
        }
    }

    fn read(&self, register: u64) -> u32 {
        // SAFETY: the direct map has the device's registers, and reading one
        // changes no memory.
        unsafe { ((self.base + register) as *const u32).read_volatile() }
    }

    fn write(&self, register: u64, value: u32) {
        // SAFETY: as in `read`; memory that the device may write has been
        // given to it by its owner.
        unsafe { ((self.base + register) as *mut u32).write_volatile(value) };
    }

    fn write_address(&self, register: u64, address: u64) {
        self.write(register, address as u32);
        self.write(register + 4, (address >> 32) as u32);
    }

    /// Agrees with the device on virtio 1 and on those of the `wanted`
    /// features that it has; gives these.
    pub fn agree(&self, wanted: u64) -> Result<u64, Refusal> {
        self.write(STATUS, 0);
        self.write(STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
        let word = |select: u32| {
            self.write(FEATURES_SELECT, select);
            u64::from(self.read(FEATURES)) << (32 * select)
        };
        let offered = word(0) | word(1);
        if offered & FEATURE_VERSION_1 == 0 {
            return self.fail("it does not speak virtio 1");
        }
        let agreed = offered & (wanted | FEATURE_VERSION_1);
        for select in [0, 1] {
            self.write(DRIVER_FEATURES_SELECT, select);
            self.write(DRIVER_FEATURES, (agreed >> (32 * select)) as u32);
        }
        let status = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
        self.write(STATUS, status);
        if self.read(STATUS) & STATUS_FEATURES_OK == 0 {
            return self.fail("it does not agree on the features");
        }
        Ok(agreed)
    }

    /// Gives the device its only queue, and lets it go.
    pub fn start(&self, size: u32, parts: [u64; 3]) -> Result<(), Refusal> {
        self.write(QUEUE_SELECT, 0);
        if self.read(QUEUE_READY) != 0 || self.read(QUEUE_SIZE_MAX) < size {
            return self.fail("its queue is too short");
        }
        self.write(QUEUE_SIZE, size);
        let [descriptors, available, used] = parts;
        self.write_address(QUEUE_DESCRIPTORS, descriptors);
        self.write_address(QUEUE_AVAILABLE, available);
        self.write_address(QUEUE_USED, used);
        self.write(QUEUE_READY, 1);
        let status = self.read(STATUS);
        self.write(STATUS, status | STATUS_DRIVER_OK);
        Ok(())
    }

    fn fail<T>(&self, why: Refusal) -> Result<T, Refusal> {
        self.write(STATUS, STATUS_FAILED);
        Err(why)
    }

    /// Something was put into the queue.
    pub fn notify(&self) {
        self.write(QUEUE_NOTIFY, 0);
    }

    /// Why the device interrupts; tells it that this is known.
    pub fn take_interrupt(&self) -> u32 {
        let why = self.read(INTERRUPT_STATUS);
        self.write(INTERRUPT_ACKNOWLEDGE, why);
        why
    }

    /// 64 bits of what the device says about itself.
    pub fn configuration(&self, offset: u64) -> u64 {
        let at = CONFIGURATION + offset;
        u64::from(self.read(at)) | u64::from(self.read(at + 4)) << 32
    }
}
