//! Puts a kernel into a new machine, the way the PVH boot protocol wants it.
//!
//! ```text
//! 0x000E_0000  start info, module list, memory map
//! 0x000E_1000  ACPI tables
//! 0x000F_0000  kernel command line, ended by NUL
//! 0x0010_0000  RAM again; the kernel's segments lie where they say
//! end of low RAM, downwards: the initrd, at a page boundary
//! ```
//! What lies between 0xA0000 and 0x100000 is marked as reserved in the map.

mod acpi;
mod elf;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::bus::ram::{HIGH_START, Ram};

const START_INFO: u64 = 0xE_0000;
const MODULE_LIST: u64 = 0xE_0100;
const MEMORY_MAP: u64 = 0xE_0200;
const ACPI_TABLES: u64 = 0xE_1000;
const COMMAND_LINE: u64 = 0xF_0000;

const RESERVED_START: u64 = 0xA_0000;
const RESERVED_END: u64 = 0x10_0000;

const START_MAGIC: u32 = 0x336E_C578;
const START_VERSION: u32 = 1;

const MAP_RAM: u32 = 1;
const MAP_RESERVED: u32 = 2;

/// The least and the most memory, in bytes.
pub(crate) const MEMORY: core::ops::RangeInclusive<u64> = 16 << 20..=16 << 30;
/// Memory comes in multiples of this.
pub(crate) const MEMORY_UNIT: u64 = 1 << 20;

/// What a machine boots.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// A 64-bit or 32-bit ELF kernel with a PVH note.
    pub kernel: &'a [u8],
    /// The first module.
    pub initrd: Option<&'a [u8]>,
    /// The kernel's command line.
    pub cmdline: &'a str,
    /// What is on the disk, if there is one: whole pages of 4096 bytes. The
    /// command line has to announce it.
    pub disk: Option<&'a [u8]>,
}

/// Why a machine cannot be made of a configuration and images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// So many bytes of memory are not possible.
    Memory(u64),
    /// So many CPUs are not possible.
    Cpus(u8),
    /// The kernel is not an ELF file that can be loaded; why.
    Kernel(String),
    /// The kernel has no PVH note, so there is no known way in.
    NoPvhEntry,
    /// A segment of the kernel lies where there is no memory for it.
    KernelPlace {
        /// Its first byte.
        start: u64,
        /// Its size in memory.
        size: u64,
    },
    /// The initrd does not fit into the memory that the kernel leaves.
    InitrdTooLarge {
        /// The initrd's size.
        size: u64,
        /// What is left.
        room: u64,
    },
    /// The command line is too long.
    CommandLineTooLong {
        /// Its length in bytes.
        len: u64,
        /// The longest possible.
        most: u64,
    },
    /// A disk cannot have so many bytes.
    Disk(u64),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Memory(size) => write!(
                f,
                "{size} bytes of memory are not possible: give a whole number of MiB, \
                 from 16 MiB to 16 GiB"
            ),
            LoadError::Cpus(cpus) => {
                write!(f, "{cpus} CPUs are not possible: this machine has 1")
            }
            LoadError::Kernel(why) => write!(f, "the kernel cannot be loaded: {why}"),
            LoadError::NoPvhEntry => {
                write!(
                    f,
                    "the kernel has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)"
                )
            }
            LoadError::KernelPlace { start, size } => write!(
                f,
                "there is no memory at {start:#x} for the {size} bytes of a kernel segment: \
                 give the machine more"
            ),
            LoadError::InitrdTooLarge { size, room } => write!(
                f,
                "the initrd has {size} bytes, but the kernel leaves {room}: give the machine \
                 more memory"
            ),
            LoadError::Disk(size) => write!(
                f,
                "a disk of {size} bytes is not possible: it has whole pages of 4096 bytes, at \
                 least one, and at most 1 GiB"
            ),
            LoadError::CommandLineTooLong { len, most } => {
                write!(
                    f,
                    "the kernel command line has {len} bytes; at most {most} are possible"
                )
            }
        }
    }
}

impl core::error::Error for LoadError {}

/// Where a loaded kernel is entered.
pub(crate) struct Entry {
    /// The first instruction, for `eip`.
    pub(crate) entry: u32,
    /// The start info, for `ebx`.
    pub(crate) start_info: u32,
}

/// Puts the images and the tables into memory.
pub(crate) fn load(ram: &mut Ram, images: &Images<'_>, cpus: u8) -> Result<Entry, LoadError> {
    let kernel = elf::Kernel::parse(images.kernel)?;
    let mut end = RESERVED_END;
    for segment in &kernel.segments {
        end = end.max(put_segment(ram, segment)?);
    }
    let module = match images.initrd {
        Some(initrd) => Some(put_initrd(ram, initrd, end)?),
        None => None,
    };
    put_command_line(ram, images.cmdline)?;
    put(ram, ACPI_TABLES, &acpi::tables(ACPI_TABLES, cpus))?;
    put_start_info(ram, module)?;
    Ok(Entry {
        entry: kernel.entry,
        start_info: START_INFO as u32,
    })
}

/// Loads one segment; returns where it ends. Memory is zero already.
fn put_segment(ram: &mut Ram, segment: &elf::Segment<'_>) -> Result<u64, LoadError> {
    let nowhere = LoadError::KernelPlace {
        start: segment.start,
        size: segment.size,
    };
    let end = segment
        .start
        .checked_add(segment.size)
        .ok_or(nowhere.clone())?;
    let reserved = segment.start < RESERVED_END && end > RESERVED_START;
    if reserved || end > ram.low_size() || !ram.load(PhysAddr(segment.start), segment.bytes) {
        return Err(nowhere);
    }
    Ok(end)
}

/// Loads the initrd as high as it goes; returns its place and size.
fn put_initrd(ram: &mut Ram, initrd: &[u8], kernel_end: u64) -> Result<(u64, u64), LoadError> {
    let size = initrd.len() as u64;
    let top = ram.low_size();
    let start = top.saturating_sub(size) & !(PAGE_SIZE - 1);
    if size > top || start < kernel_end {
        return Err(LoadError::InitrdTooLarge {
            size,
            room: top.saturating_sub(kernel_end),
        });
    }
    put(ram, start, initrd)?;
    Ok((start, size))
}

fn put_command_line(ram: &mut Ram, line: &str) -> Result<(), LoadError> {
    let most = RESERVED_END - COMMAND_LINE - 1;
    let len = line.len() as u64;
    if len > most {
        return Err(LoadError::CommandLineTooLong { len, most });
    }
    put(ram, COMMAND_LINE, line.as_bytes())
}

/// The start info and the two lists that it points at.
fn put_start_info(ram: &mut Ram, module: Option<(u64, u64)>) -> Result<(), LoadError> {
    let map = memory_map(ram);
    let mut modules = Bytes::default();
    if let Some((start, size)) = module {
        // Place, size, command line, reserved.
        modules.u64(start).u64(size).u64(0).u64(0);
    }
    let mut info = Bytes::default();
    info.u32(START_MAGIC)
        .u32(START_VERSION)
        .u32(0)
        .u32(u32::from(module.is_some()));
    info.u64(if module.is_some() { MODULE_LIST } else { 0 });
    info.u64(COMMAND_LINE).u64(ACPI_TABLES).u64(MEMORY_MAP);
    info.u32(map.len() as u32).u32(0);
    let mut entries = Bytes::default();
    for (start, size, kind) in map {
        entries.u64(start).u64(size).u32(kind).u32(0);
    }
    put(ram, START_INFO, &info.0)?;
    put(ram, MODULE_LIST, &modules.0)?;
    put(ram, MEMORY_MAP, &entries.0)
}

/// Start, size and kind of each stretch of memory.
fn memory_map(ram: &Ram) -> Vec<(u64, u64, u32)> {
    let mut map = Vec::from([
        (0, RESERVED_START, MAP_RAM),
        (RESERVED_START, RESERVED_END - RESERVED_START, MAP_RESERVED),
        (RESERVED_END, ram.low_size() - RESERVED_END, MAP_RAM),
    ]);
    if ram.high_size() > 0 {
        map.push((HIGH_START, ram.high_size(), MAP_RAM));
    }
    map
}

fn put(ram: &mut Ram, start: u64, bytes: &[u8]) -> Result<(), LoadError> {
    if ram.load(PhysAddr(start), bytes) {
        Ok(())
    } else {
        Err(LoadError::KernelPlace {
            start,
            size: bytes.len() as u64,
        })
    }
}

/// Bytes in the order in which tables want them.
#[derive(Clone, Debug, Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::kernel as test_kernel;
