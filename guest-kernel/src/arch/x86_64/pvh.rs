//! The start-info block of the PVH boot protocol.

use core::slice;

use super::layout::direct;

const MAGIC: u32 = 0x336E_C578;
const MEMORY_RAM: u32 = 1;

#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    cmdline: u64,
    rsdp: u64,
    memmap: u64,
    memmap_count: u32,
    reserved: u32,
}

#[repr(C)]
struct Module {
    address: u64,
    size: u64,
    cmdline: u64,
    reserved: u64,
}

#[repr(C)]
struct MemoryRange {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// A range of physical addresses, end excluded.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
}

/// What the loader left for us.
pub struct BootInfo {
    info: &'static StartInfo,
}

impl BootInfo {
    /// Reads the block at a physical address.
    ///
    /// # Safety
    /// The address is the one with which the loader entered the kernel, and
    /// nothing has been written over its tables.
    #[must_use]
    pub unsafe fn at(physical: u64) -> Option<Self> {
        // SAFETY: by the caller.
        let info = unsafe { &*(direct(physical) as *const StartInfo) };
        (info.magic == MAGIC && info.version >= 1).then_some(BootInfo { info })
    }

    /// The RAM ranges, as the loader lists them.
    pub fn memory(&self) -> impl Iterator<Item = Range> + Clone + '_ {
        // SAFETY: the block says that so many entries are there.
        let ranges = unsafe {
            slice::from_raw_parts(
                direct(self.info.memmap) as *const MemoryRange,
                self.info.memmap_count as usize,
            )
        };
        ranges
            .iter()
            .filter(|range| range.kind == MEMORY_RAM)
            .map(|range| Range {
                start: range.address,
                end: range.address + range.size,
            })
    }

    /// Where the initrd lies, if there is one.
    #[must_use]
    pub fn initrd(&self) -> Option<Range> {
        if self.info.module_count == 0 {
            return None;
        }
        // SAFETY: the block says that there is at least one.
        let module = unsafe { &*(direct(self.info.modules) as *const Module) };
        Some(Range {
            start: module.address,
            end: module.address + module.size,
        })
    }

    /// The kernel command line.
    #[must_use]
    pub fn cmdline(&self) -> &'static str {
        if self.info.cmdline == 0 {
            return "";
        }
        let start = direct(self.info.cmdline) as *const u8;
        // SAFETY: the loader ends it with a NUL.
        let bytes = unsafe { core::ffi::CStr::from_ptr(start.cast()) };
        bytes.to_str().unwrap_or("")
    }

    /// Where ACPI's root pointer lies.
    #[must_use]
    pub fn rsdp(&self) -> u64 {
        self.info.rsdp
    }
}
