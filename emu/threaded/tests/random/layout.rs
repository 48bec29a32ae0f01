//! Where everything lies in the small guest around random code.

/// The first byte of the kernel's file in memory.
pub(super) const BASE: u64 = 0x10_0000;
/// Bytes of it.
pub(super) const SIZE: usize = 0x6_0000;

/// 64-bit code that ends the way into long mode.
pub(super) const LONG: u64 = BASE + 0x800;
/// Page tables: the first level; RAM and devices; the window.
pub(super) const PML4: u64 = BASE + 0x1000;
pub(super) const PDPT: u64 = BASE + 0x2000;
pub(super) const PD_RAM: u64 = BASE + 0x3000;
pub(super) const PD_WINDOW: u64 = BASE + 0x4000;
pub(super) const PT_WINDOW: u64 = BASE + 0x5000;
pub(super) const GDT: u64 = BASE + 0x8000;
pub(super) const IDT: u64 = BASE + 0x9000;
pub(super) const TSS: u64 = BASE + 0xA000;
/// What FXRSTOR loads at first.
pub(super) const FX: u64 = BASE + 0xA800;
/// Where code goes on after an exception: 64 addresses.
pub(super) const LANDINGS: u64 = BASE + 0xB000;
/// Bytes of code that change: 16 physical addresses.
pub(super) const PATCHES: u64 = BASE + 0xB200;
/// How many exceptions and interrupts have come.
pub(super) const COUNT: u64 = BASE + 0xB300;
pub(super) const SAVED_RSP: u64 = BASE + 0xB308;
/// One entry of 16 bytes for each vector.
pub(super) const STUBS: u64 = BASE + 0xC000;
pub(super) const HANDLER: u64 = BASE + 0xD000;
/// The stack of every exception and interrupt.
pub(super) const STACK: u64 = BASE + 0x1_8000;
/// The frames of random code, and those of its data.
pub(super) const CODE_FRAMES: u64 = BASE + 0x2_0000;
pub(super) const DATA_FRAMES: u64 = BASE + 0x4_0000;

/// Where random code sees its pages.
pub(super) const WINDOW: u64 = 0x4000_0000;
/// Pages of code: 8, then the same ones again, to be written to.
pub(super) const CODE: u64 = WINDOW;
pub(super) const CODE_PAGES: u64 = 8;
pub(super) const CODE_ALIAS: u64 = WINDOW + 8 * 4096;
/// 16 pages of data, four of them again without the right to write, four again
/// with it; behind them nothing is mapped at first.
pub(super) const DATA: u64 = WINDOW + 16 * 4096;
pub(super) const DATA_READ_ONLY: u64 = WINDOW + 32 * 4096;
pub(super) const DATA_ALIAS: u64 = WINDOW + 36 * 4096;
pub(super) const HOLE: u64 = WINDOW + 40 * 4096;
/// The top of random code's stack, among the data.
pub(super) const TOP: u64 = DATA + 15 * 4096 - 256;

pub(super) const KERNEL_CODE: u16 = 0x08;
pub(super) const KERNEL_DATA: u16 = 0x10;
pub(super) const USER_BASE: u16 = 0x1B;
pub(super) const USER_DATA: u16 = 0x23;
pub(super) const USER_CODE: u16 = 0x2B;
pub(super) const TASK: u16 = 0x30;
