//! The kernel's ELF file: its segments and the note that says where to enter.

use alloc::string::ToString;
use alloc::vec::Vec;

use goblin::container::{Container, Ctx};
use goblin::elf::header::{EM_386, EM_X86_64, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};
use goblin::elf::{Elf, ProgramHeader};

use super::LoadError;

/// The note of Xen's that names the 32-bit entry point.
const PHYS32_ENTRY: u32 = 18;

/// A kernel that can be loaded.
pub(super) struct Kernel<'a> {
    pub(super) segments: Vec<Segment<'a>>,
    pub(super) entry: u32,
}

/// A piece of the kernel at its physical address.
pub(super) struct Segment<'a> {
    pub(super) start: u64,
    pub(super) size: u64,
    /// The front of it; the rest is zero.
    pub(super) bytes: &'a [u8],
}

impl<'a> Kernel<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, LoadError> {
        let bad = |why: &str| LoadError::Kernel(why.to_string());
        let header = Elf::parse_header(file).map_err(|_| bad("it is not an ELF file"))?;
        // The entry is 32-bit code whatever the file's class is.
        let container = match (header.container(), header.e_machine) {
            (Ok(class @ Container::Big), EM_X86_64) => class,
            (Ok(class @ Container::Little), EM_386) => class,
            _ => return Err(bad("it is not for x86")),
        };
        if !header.endianness().is_ok_and(|endian| endian.is_little()) {
            return Err(bad("it is not for x86"));
        }
        if !matches!(header.e_type, ET_EXEC | ET_DYN) {
            return Err(bad("it is not a linked program"));
        }
        let context = Ctx::new(container, goblin::container::Endian::Little);
        let (offset, count) = (header.e_phoff as usize, usize::from(header.e_phnum));
        let headers = ProgramHeader::parse(file, offset, count, context)
            .map_err(|_| bad("it is cut off within its program headers"))?;
        let mut segments = Vec::new();
        let mut entry = None;
        for header in &headers {
            match header.p_type {
                PT_LOAD if header.p_memsz > 0 => segments.push(Segment::of(header, file)?),
                PT_NOTE => entry = entry.or(find_entry(contents(header, file)?)),
                _ => {}
            }
        }
        let entry = entry.ok_or(LoadError::NoPvhEntry)?;
        Ok(Kernel { segments, entry })
    }
}

impl<'a> Segment<'a> {
    fn of(header: &ProgramHeader, file: &'a [u8]) -> Result<Self, LoadError> {
        let bytes = contents(header, file)?;
        if header.p_filesz > header.p_memsz {
            return Err(LoadError::Kernel(
                "a segment is larger in the file than in memory".into(),
            ));
        }
        Ok(Segment {
            start: header.p_paddr,
            size: header.p_memsz,
            bytes,
        })
    }
}

/// A segment's bytes in the file.
fn contents<'a>(header: &ProgramHeader, file: &'a [u8]) -> Result<&'a [u8], LoadError> {
    let range = || {
        let start = usize::try_from(header.p_offset).ok()?;
        let end = start.checked_add(usize::try_from(header.p_filesz).ok()?)?;
        file.get(start..end)
    };
    range().ok_or_else(|| LoadError::Kernel("it is cut off within a segment".into()))
}

/// Looks for the PVH entry among notes: name size, contents size, type, name,
/// contents, each padded to four bytes.
fn find_entry(mut notes: &[u8]) -> Option<u32> {
    loop {
        let name_size = number(notes, 0)? as usize;
        let size = number(notes, 4)? as usize;
        let kind = number(notes, 8)?;
        let name_end = name_size.checked_next_multiple_of(4)?.checked_add(12)?;
        let end = size.checked_next_multiple_of(4)?.checked_add(name_end)?;
        let name = notes.get(12..)?.get(..name_size)?;
        if kind == PHYS32_ENTRY && name == b"Xen\0" {
            return number(notes, name_end);
        }
        notes = notes.get(end..)?;
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}
