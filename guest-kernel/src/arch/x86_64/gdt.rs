//! Segments and the task-state segment, one set for each CPU.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::size_of;

use super::percpu::{self, MAX_CPUS};

/// Kernel code.
pub const KERNEL_CS: u16 = 0x10;
/// Kernel data.
pub const KERNEL_SS: u16 = 0x18;
/// What STAR holds for SYSRET: user data lies 8 above, user code 16 above.
pub const USER_BASE: u16 = 0x23;
/// User data, as Linux numbers it.
pub const USER_SS: u16 = 0x2B;
/// User code, as Linux numbers it.
pub const USER_CS: u16 = 0x33;
const TSS_SELECTOR: u16 = 0x40;

/// Interrupt stack (1-based) of double faults.
pub const IST_DOUBLE_FAULT: u8 = 1;
/// Interrupt stack of non-maskable interrupts and machine checks.
pub const IST_NMI: u8 = 2;

const IST_STACK: usize = 8192;

#[repr(C, packed(4))]
struct Tss {
    reserved0: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

#[repr(C, align(16))]
struct Tables {
    gdt: [u64; 10],
    tss: Tss,
    stacks: [[u8; IST_STACK]; 2],
}

struct Slots([UnsafeCell<Tables>; MAX_CPUS]);

// SAFETY: each CPU touches its own slot only.
unsafe impl Sync for Slots {}

static SLOTS: Slots = Slots(
    [const {
        UnsafeCell::new(Tables {
            gdt: [
                0,
                0,
                0x00AF_9B00_0000_FFFF,
                0x00CF_9300_0000_FFFF,
                0x00CF_FB00_0000_FFFF,
                0x00CF_F300_0000_FFFF,
                0x00AF_FB00_0000_FFFF,
                0,
                0,
                0,
            ],
            tss: Tss {
                reserved0: 0,
                rsp: [0; 3],
                reserved1: 0,
                ist: [0; 7],
                reserved2: 0,
                reserved3: 0,
                io_map: size_of::<Tss>() as u16,
            },
            stacks: [[0; IST_STACK]; 2],
        })
    }; MAX_CPUS],
);

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// Loads this CPU's tables.
///
/// # Safety
/// Once for each CPU, with interrupts off, after its per-CPU data.
pub unsafe fn init(cpu: u32) {
    let tables = SLOTS.0[cpu as usize].get();
    // SAFETY: the slot is this CPU's, and the descriptors are flat 64-bit ones.
    unsafe {
        for index in 0..2 {
            let top = (&raw const (*tables).stacks[index]) as u64 + IST_STACK as u64;
            (&raw mut (*tables).tss.ist[index]).write_unaligned(top & !15);
        }
        let base = &raw const (*tables).tss as u64;
        let limit = size_of::<Tss>() as u64 - 1;
        (*tables).gdt[8] =
            limit | (base & 0xFF_FFFF) << 16 | 0x89 << 40 | (base >> 24 & 0xFF) << 56;
        (*tables).gdt[9] = base >> 32;
        let pointer = TablePointer {
            limit: size_of::<[u64; 10]>() as u16 - 1,
            base: &raw const (*tables).gdt as u64,
        };
        asm!("lgdt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags));
        asm!("push {cs}", "lea {tmp}, [rip + 2f]", "push {tmp}", "retfq", "2:",
             cs = const KERNEL_CS as u64, tmp = out(reg) _, options(preserves_flags));
        asm!("mov ss, {:x}", in(reg) KERNEL_SS, options(nostack, preserves_flags));
        asm!("ltr {:x}", in(reg) TSS_SELECTOR, options(nostack, preserves_flags));
    }
}

/// Sets the stack on which entries from user mode start.
pub fn set_kernel_stack(top: u64) {
    percpu::with(|cpu| {
        cpu.set_kernel_rsp(top);
        let tables = SLOTS.0[cpu.id as usize].get();
        // SAFETY: this CPU's own slot, with interrupts off.
        unsafe { (&raw mut (*tables).tss.rsp[0]).write_unaligned(top) };
    });
}
