//! Program files: static and static-PIE ELF64 for x86-64.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use goblin::elf64::header::{EI_CLASS, ELFCLASS64, ELFMAG, EM_X86_64, ET_DYN, ET_EXEC, Header};
use goblin::elf64::header::{EI_DATA, ELFDATA2LSB, SIZEOF_EHDR};
use goblin::elf64::program_header::{
    PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD, PT_PHDR, ProgramHeader, SIZEOF_PHDR,
};

use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::mm::backing::{self, Backing};
use crate::mm::vma::{Prot, Source, Vma};
use crate::mm::{Mm, frame};

/// Where a program goes that may go anywhere.
const PIE_BASE: u64 = 0x5555_5555_4000;
/// More program headers than this are not believed.
const MAX_HEADERS: u16 = 128;

/// A loaded program.
pub(super) struct Loaded {
    /// Where it starts.
    pub entry: u64,
    /// Where its program headers are, in memory.
    pub headers: u64,
    /// How many.
    pub header_count: u64,
}

#[repr(C, align(8))]
struct Aligned([u8; SIZEOF_EHDR]);

/// What was read of a program file.
struct Program {
    header: Header,
    segments: Vec<ProgramHeader>,
}

fn read_exactly(file: &dyn Backing, offset: u64, buffer: &mut [u8]) -> Result<()> {
    match backing::read(file, offset, buffer)? {
        count if count == buffer.len() => Ok(()),
        _ => Err(Errno::ENOEXEC),
    }
}

impl Program {
    fn read(file: &dyn Backing) -> Result<Self> {
        let mut bytes = Aligned([0; SIZEOF_EHDR]);
        read_exactly(file, 0, &mut bytes.0)?;
        let header = *Header::from_bytes(&bytes.0);
        let ident = &header.e_ident;
        let fits = ident.starts_with(ELFMAG)
            && ident[EI_CLASS] == ELFCLASS64
            && ident[EI_DATA] == ELFDATA2LSB
            && header.e_machine == EM_X86_64
            && matches!(header.e_type, ET_EXEC | ET_DYN)
            && usize::from(header.e_phentsize) == SIZEOF_PHDR
            && (1..=MAX_HEADERS).contains(&header.e_phnum);
        if !fits {
            return Err(Errno::ENOEXEC);
        }
        let count = usize::from(header.e_phnum);
        let mut table = vec![0; count * SIZEOF_PHDR];
        read_exactly(file, header.e_phoff, &mut table)?;
        let segments = ProgramHeader::from_bytes(&table, count);
        // A dynamic loader that is not there, as Linux says it.
        if segments.iter().any(|segment| segment.p_type == PT_INTERP) {
            return Err(Errno::ENOENT);
        }
        Ok(Program { header, segments })
    }

    fn loadable(&self) -> impl Iterator<Item = &ProgramHeader> {
        let loadable = |segment: &&ProgramHeader| segment.p_type == PT_LOAD && segment.p_memsz > 0;
        self.segments.iter().filter(loadable)
    }

    /// Checks that every segment can be mapped, and gives the distance between
    /// the addresses in the file and those in memory, and the program's end.
    fn place(&self) -> Result<(u64, u64)> {
        let mut end = 0;
        let mut start = u64::MAX;
        for segment in self.loadable() {
            let segment_end = segment.p_vaddr.checked_add(segment.p_memsz);
            let file_end = segment.p_offset.checked_add(segment.p_filesz);
            let sound = segment_end.is_some_and(|end| end < USER_END)
                && file_end.is_some()
                && segment.p_filesz <= segment.p_memsz
                && segment.p_vaddr % PAGE_SIZE == segment.p_offset % PAGE_SIZE;
            if !sound {
                return Err(Errno::ENOEXEC);
            }
            start = start.min(segment.p_vaddr & !(PAGE_SIZE - 1));
            end = end.max(segment.p_vaddr + segment.p_memsz);
        }
        if end == 0 {
            return Err(Errno::ENOEXEC);
        }
        let bias = if self.header.e_type == ET_DYN {
            PIE_BASE.checked_sub(start).ok_or(Errno::ENOEXEC)?
        } else {
            0
        };
        let end = end.checked_add(bias).filter(|&end| end < USER_END);
        Ok((bias, end.ok_or(Errno::ENOEXEC)?))
    }

    /// Where the segments with this flag lie.
    fn extent(&self, bias: u64, flag: u32) -> Range<u64> {
        let with = || {
            self.loadable()
                .filter(|segment| segment.p_flags & flag != 0)
        };
        let start = with().map(|segment| bias + segment.p_vaddr).min();
        let end = with().map(|segment| bias + segment.p_vaddr + segment.p_filesz);
        start.unwrap_or(0)..end.max().unwrap_or(0)
    }

    /// Where the program headers are in memory: where their own header says, or
    /// in the segment that holds their part of the file.
    fn headers_at(&self, bias: u64) -> u64 {
        let own = self.segments.iter().find(|s| s.p_type == PT_PHDR);
        let table = self.header.e_phoff;
        let holder = self
            .loadable()
            .find(|s| s.p_offset <= table && table < s.p_offset + s.p_filesz);
        match (own, holder) {
            // Nobody has checked it; a wrong one is the program's own loss.
            (Some(own), _) => bias.wrapping_add(own.p_vaddr),
            (None, Some(holder)) => bias + holder.p_vaddr + (table - holder.p_offset),
            (None, None) => 0,
        }
    }
}

fn prot(segment: &ProgramHeader) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, segment.p_flags & PF_R != 0);
    prot.set(Prot::WRITE, segment.p_flags & PF_W != 0);
    prot.set(Prot::EXEC, segment.p_flags & PF_X != 0);
    prot
}

/// Maps one segment: the file's part of it, and zeros behind.
fn map_segment(mm: &Mm, file: &Arc<File>, segment: &ProgramHeader, bias: u64) -> Result<()> {
    let start = bias + segment.p_vaddr;
    let file_end = start + segment.p_filesz;
    let end = start + segment.p_memsz;
    let first_page = start & !(PAGE_SIZE - 1);
    let zeros = if segment.p_filesz > 0 {
        let area = Vma {
            source: Some(Source {
                backing: file.inode().clone(),
                first: segment.p_offset / PAGE_SIZE,
                anonymous: false,
                file: Some(file.clone()),
            }),
            ..Vma::anonymous(
                first_page..file_end.next_multiple_of(PAGE_SIZE),
                prot(segment),
            )
        };
        mm.map(area)?;
        file_end.next_multiple_of(PAGE_SIZE)
    } else {
        first_page
    };
    // What the file has behind the segment's part of its last page is not the
    // program's; where the page is not writable nobody can tell on Linux either.
    if segment.p_filesz > 0 && end > file_end && prot(segment).contains(Prot::WRITE) {
        let rest = zeros.min(end) - file_end;
        mm.clear_bytes(file_end, rest as usize)?;
    }
    let end = end.next_multiple_of(PAGE_SIZE);
    if end > zeros {
        mm.map(Vma::anonymous(zeros..end, prot(segment)))?;
    }
    Ok(())
}

/// Maps a program into an empty address space.
///
/// # Errors
/// `ENOEXEC` if it is none for this machine, `ENOENT` if it wants a dynamic
/// loader, `ENOMEM`.
pub(super) fn load(mm: &Mm, file: &Arc<File>) -> Result<Loaded> {
    frame::room()?;
    let program = Program::read(&**file.inode())?;
    let (bias, end) = program.place()?;
    for segment in program.loadable() {
        map_segment(mm, file, segment, bias)?;
    }
    mm.set_brk_start(end.next_multiple_of(PAGE_SIZE));
    mm.with_image(|image| {
        image.file = Some(file.clone());
        image.code = program.extent(bias, PF_X);
        image.data = program.extent(bias, PF_W);
    });
    let entry = bias.wrapping_add(program.header.e_entry);
    if entry >= USER_END {
        return Err(Errno::ENOEXEC);
    }
    Ok(Loaded {
        entry,
        headers: program.headers_at(bias),
        header_count: u64::from(program.header.e_phnum),
    })
}
