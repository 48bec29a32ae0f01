//! The interrupt descriptor table, one for all CPUs.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::size_of;

use super::gdt::{IST_DOUBLE_FAULT, IST_NMI, KERNEL_CS};
use super::trap;

const PRESENT_INTERRUPT_GATE: u8 = 0x8E;
const USER_MAY_CALL: u8 = 0x60;

const NMI: usize = 2;
const BREAKPOINT: usize = 3;
const OVERFLOW: usize = 4;
const DOUBLE_FAULT: usize = 8;

#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    ist: u8,
    attributes: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

#[repr(C, align(16))]
struct Table(UnsafeCell<[Gate; 256]>);

// SAFETY: written once at boot, by one CPU, before any entry happens.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([Gate::to(0, 0, 0); 256]));

impl Gate {
    const fn to(address: u64, ist: u8, extra: u8) -> Self {
        Gate {
            offset_low: address as u16,
            selector: KERNEL_CS,
            ist,
            attributes: PRESENT_INTERRUPT_GATE | extra,
            offset_middle: (address >> 16) as u16,
            offset_high: (address >> 32) as u32,
            reserved: 0,
        }
    }
}

/// Fills the table.
///
/// # Safety
/// Once, with interrupts off.
pub unsafe fn init() {
    // SAFETY: by the caller.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, gate) in table.iter_mut().enumerate() {
        let stub = &raw const trap::trap_stubs[vector] as u64;
        *gate = match vector {
            NMI => Gate::to(trap::nmi_entry as *const () as u64, IST_NMI, 0),
            DOUBLE_FAULT => Gate::to(
                trap::double_fault_entry as *const () as u64,
                IST_DOUBLE_FAULT,
                0,
            ),
            BREAKPOINT | OVERFLOW => Gate::to(stub, 0, USER_MAY_CALL),
            _ => Gate::to(stub, 0, 0),
        };
    }
}

/// Loads the table on this CPU.
///
/// # Safety
/// After [`init`].
pub unsafe fn load() {
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let pointer = Pointer {
        limit: size_of::<[Gate; 256]>() as u16 - 1,
        base: TABLE.0.get() as u64,
    };
    // SAFETY: the table is filled and lives for ever.
    unsafe {
        asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags));
    }
}
