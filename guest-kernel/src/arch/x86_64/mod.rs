//! x86-64: boot, descriptor tables, entries, interrupt controllers, clocks.

pub mod acpi;
pub mod apic;
pub mod boot;
pub mod clock;
pub mod context;
pub mod exit;
pub mod fpu;
pub mod gdt;
pub mod idt;
pub mod ioapic;
pub mod irq;
pub mod layout;
pub mod msr;
pub mod paging;
pub mod percpu;
pub mod pic;
pub mod pmu;
pub mod port;
pub mod pvh;
pub mod serial;
pub mod syscall;
pub mod trap;

pub use exit::debug_exit;
