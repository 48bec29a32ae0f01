//! Programs for the guest: found by name or path, and checked before anything runs.

use std::path::{Path, PathBuf};

use goblin::container::{Container, Ctx};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader};
use miette::Diagnostic;
use thiserror::Error;

use crate::exit::Code;
use crate::images::Guests;
use crate::names;

/// What is wrong with a program or a file, and what to do about it.
#[derive(Debug, Error, Diagnostic)]
pub enum ProgramError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    #[diagnostic(help(
        "a path is taken relative to the scenario, or on the command line to the current folder"
    ))]
    NotFound {
        /// The path that was looked at.
        path: PathBuf,
    },
    /// A folder without scenarios, or none that the filter lets through.
    #[error("there is no scenario in {}", path.display())]
    #[diagnostic(help("scenarios are files *.toml; --filter takes a part of their path"))]
    NoScenario {
        /// The first path that was looked at.
        path: PathBuf,
    },
    /// There is no such embedded program.
    #[error("there is no embedded program `{name}`")]
    #[diagnostic(help("{hint}"))]
    NotEmbedded {
        /// The name.
        name: String,
        /// What to do.
        hint: String,
    },
    /// The host would not let us read the file.
    #[error("cannot read {}: {source}", path.display())]
    #[diagnostic(help("look at the file's permissions and at the disk"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not an ELF file at all.
    #[error("{name} is {what}, not an ELF program")]
    #[diagnostic(help("give a static Linux x86-64 executable, as `gcc -static` makes it"))]
    NotElf {
        /// The program.
        name: String,
        /// What it looks like.
        what: &'static str,
    },
    /// The file ends before its contents do.
    #[error("{name} is cut off: {part} reaches to byte {end}, the file has {len}")]
    #[diagnostic(help("copy or build the file again"))]
    CutOff {
        /// The program.
        name: String,
        /// The part that is not whole.
        part: &'static str,
        /// Where that part ends.
        end: u64,
        /// The length of the file.
        len: u64,
    },
    /// No disk can be made of it.
    #[error("{name} has {len} bytes; a disk has whole pages of 4096 bytes, at most 1 GiB")]
    #[diagnostic(help("fill it up, as with `truncate --size=%4096 FILE`"))]
    NotADisk {
        /// The file.
        name: String,
        /// Its length.
        len: u64,
    },
    /// For another CPU.
    #[error("{name} is a program for {machine}; this machine is x86-64")]
    #[diagnostic(help(
        "build it for x86-64 Linux (target x86_64-unknown-linux-musl, or gcc -m64)"
    ))]
    OtherMachine {
        /// The program.
        name: String,
        /// The machine that it is for.
        machine: String,
    },
    /// It wants an interpreter, and so shared libraries.
    #[error("{name} is linked dynamically: it asks for {interpreter}")]
    #[diagnostic(help(
        "link it statically: `gcc -static`, `musl-gcc -static`, or cargo with the target x86_64-unknown-linux-musl"
    ))]
    Dynamic {
        /// The program.
        name: String,
        /// The interpreter that it asks for.
        interpreter: String,
    },
    /// An object file, a core dump, a shared library.
    #[error("{name} is {what}, not an executable program")]
    #[diagnostic(help("give the linked, static executable"))]
    NotExecutable {
        /// The program.
        name: String,
        /// What it is.
        what: &'static str,
    },
}

impl ProgramError {
    /// The exit code that it ends `coe` with.
    #[must_use]
    pub fn exit_code(&self) -> Code {
        match self {
            ProgramError::NotFound { .. }
            | ProgramError::NoScenario { .. }
            | ProgramError::NotEmbedded { .. } => Code::NotFound,
            ProgramError::Unreadable { .. } => Code::Own,
            _ => Code::BadInput,
        }
    }
}

/// A program that will run in the guest.
#[derive(Clone, Debug)]
pub struct GuestProgram {
    /// Where the guest finds it.
    pub guest_path: String,
    /// Its bytes if it comes from the host; embedded ones are there already.
    pub bytes: Option<Vec<u8>>,
}

/// Finds and checks the program that `run` names: with a `/` it is a path
/// relative to `base`, without one an embedded program.
///
/// # Errors
/// If there is no such program or it cannot run in the guest.
pub fn find(run: &str, base: &Path, guests: &Guests) -> Result<GuestProgram, ProgramError> {
    if !run.contains('/') {
        return find_named(run, base, guests);
    }
    let path = base.join(run);
    let bytes = read(&path)?;
    check(run, &bytes)?;
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    Ok(GuestProgram {
        guest_path: format!("{}/{name}", abi::boot::BIN_DIR),
        bytes: Some(bytes),
    })
}

fn find_named(name: &str, base: &Path, guests: &Guests) -> Result<GuestProgram, ProgramError> {
    if guests.has(name) {
        return Ok(GuestProgram {
            guest_path: guest_path(name),
            bytes: None,
        });
    }
    let names: Vec<_> = guests.names().collect();
    let hint = if base.join(name).exists() {
        format!("for the file of that name write ./{name}")
    } else if let Some(near) = names::nearest(name, names.iter().copied()) {
        format!("did you mean `{near}`? A path on the host needs a `/` in it")
    } else {
        format!(
            "embedded are: {}. A path on the host needs a `/` in it",
            names.join(", ")
        )
    };
    Err(ProgramError::NotEmbedded {
        name: name.to_owned(),
        hint,
    })
}

/// Where the guest finds an embedded program: `/init`, all others in `/bin`.
#[must_use]
pub fn guest_path(name: &str) -> String {
    if name == "init" {
        "/init".to_owned()
    } else {
        format!("{}/{name}", abi::boot::BIN_DIR)
    }
}

/// Reads a file of the host.
///
/// # Errors
/// If it is not there or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, ProgramError> {
    std::fs::read(path).map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::NotFound => ProgramError::NotFound { path },
            _ => ProgramError::Unreadable { path, source },
        }
    })
}

/// Checks that these bytes are a whole, static x86-64 Linux executable.
///
/// # Errors
/// The first thing that is wrong with them.
pub fn check(name: &str, bytes: &[u8]) -> Result<(), ProgramError> {
    let header = check_header(name, bytes)?;
    let segments = segments(name, bytes, &header)?;
    check_whole(name, bytes, &header, &segments)?;
    if let Some(interpreter) = segments.iter().find(|segment| segment.p_type == PT_INTERP) {
        let text = &bytes[interpreter.file_range()];
        let text = text.split(|byte| *byte == 0).next().unwrap_or(text);
        return Err(ProgramError::Dynamic {
            name: name.to_owned(),
            interpreter: String::from_utf8_lossy(text).into_owned(),
        });
    }
    let library = header.e_type == header::ET_DYN && header.e_entry == 0;
    if library || needs_libraries(bytes, &segments) {
        return Err(ProgramError::NotExecutable {
            name: name.to_owned(),
            what: "a shared library",
        });
    }
    Ok(())
}

fn check_header(name: &str, bytes: &[u8]) -> Result<Header, ProgramError> {
    let name = name.to_owned();
    if !bytes.starts_with(header::ELFMAG) {
        let what = match bytes {
            [] => "an empty file",
            [b'#', b'!', ..] => "a script",
            _ => "another kind of file",
        };
        return Err(ProgramError::NotElf { name, what });
    }
    let len = bytes.len() as u64;
    let cut_off = |end| ProgramError::CutOff {
        name: name.clone(),
        part: "the ELF header",
        end,
        len,
    };
    if bytes.len() < 20 {
        return Err(cut_off(64));
    }
    // Class and machine first: a 32-bit header is shorter than a 64-bit one.
    let big_endian = bytes[5] == header::ELFDATA2MSB;
    let raw = [bytes[18], bytes[19]];
    let machine = if big_endian {
        u16::from_be_bytes(raw)
    } else {
        u16::from_le_bytes(raw)
    };
    if machine != header::EM_X86_64 || bytes[4] != header::ELFCLASS64 {
        let machine = match (machine, bytes[4]) {
            (header::EM_X86_64, _) => "x32 (32-bit pointers)".to_owned(),
            (header::EM_386, _) => "32-bit x86".to_owned(),
            (header::EM_AARCH64, _) => "AArch64".to_owned(),
            (header::EM_ARM, _) => "32-bit ARM".to_owned(),
            (header::EM_RISCV, _) => "RISC-V".to_owned(),
            (other, _) => header::machine_to_str(other).to_owned(),
        };
        return Err(ProgramError::OtherMachine { name, machine });
    }
    if bytes.len() < header::header64::SIZEOF_EHDR {
        return Err(cut_off(header::header64::SIZEOF_EHDR as u64));
    }
    let header = goblin::elf::Elf::parse_header(bytes).map_err(|_| cut_off(64))?;
    let what = match header.e_type {
        header::ET_EXEC | header::ET_DYN => return Ok(header),
        header::ET_REL => "an object file that is not linked yet",
        header::ET_CORE => "a core dump",
        _ => "an unknown kind of ELF file",
    };
    Err(ProgramError::NotExecutable { name, what })
}

fn segments(name: &str, bytes: &[u8], header: &Header) -> Result<Vec<ProgramHeader>, ProgramError> {
    let ctx = Ctx::new(Container::Big, goblin::container::Endian::Little);
    let count = usize::from(header.e_phnum);
    let end = header
        .e_phoff
        .saturating_add(count as u64 * ProgramHeader::size(ctx) as u64);
    let len = bytes.len() as u64;
    let cut_off = || ProgramError::CutOff {
        name: name.to_owned(),
        part: "the program header table",
        end,
        len,
    };
    if end > len {
        return Err(cut_off());
    }
    let offset = usize::try_from(header.e_phoff).map_err(|_| cut_off())?;
    ProgramHeader::parse(bytes, offset, count, ctx).map_err(|_| cut_off())
}

fn check_whole(
    name: &str,
    bytes: &[u8],
    header: &Header,
    segments: &[ProgramHeader],
) -> Result<(), ProgramError> {
    let len = bytes.len() as u64;
    let sections = (header.e_shoff != 0).then(|| {
        let size = u64::from(header.e_shnum) * u64::from(header.e_shentsize);
        (
            "the section header table",
            header.e_shoff.saturating_add(size),
        )
    });
    let segments = segments
        .iter()
        .filter(|segment| matches!(segment.p_type, PT_LOAD | PT_INTERP | PT_DYNAMIC))
        .map(|segment| {
            (
                "a segment",
                segment.p_offset.saturating_add(segment.p_filesz),
            )
        });
    for (part, end) in segments.chain(sections) {
        if end > len {
            return Err(ProgramError::CutOff {
                name: name.to_owned(),
                part,
                end,
                len,
            });
        }
    }
    Ok(())
}

/// True if the dynamic section asks for libraries (DT_NEEDED).
fn needs_libraries(bytes: &[u8], segments: &[ProgramHeader]) -> bool {
    const DT_NULL: u64 = 0;
    const DT_NEEDED: u64 = 1;
    let Some(dynamic) = segments.iter().find(|segment| segment.p_type == PT_DYNAMIC) else {
        return false;
    };
    bytes[dynamic.file_range()]
        .chunks_exact(16)
        .filter_map(|entry| entry.first_chunk().map(|tag| u64::from_le_bytes(*tag)))
        .take_while(|tag| *tag != DT_NULL)
        .any(|tag| tag == DT_NEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A static executable of one segment, as small as it can be.
    fn tiny() -> Vec<u8> {
        let mut elf = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        elf.extend(0x40_0078u64.to_le_bytes()); // e_entry
        elf.extend(64u64.to_le_bytes()); // e_phoff
        elf.extend(0u64.to_le_bytes()); // e_shoff
        elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
        elf.extend(1u32.to_le_bytes()); // PT_LOAD
        elf.extend(5u32.to_le_bytes());
        for word in [0u64, 0x40_0000, 0x40_0000, 0x80, 0x80, 0x1000] {
            elf.extend(word.to_le_bytes());
        }
        elf.extend([0x0F, 0x05, 0xEB, 0xFE, 0, 0, 0, 0]);
        elf
    }

    fn complaint(bytes: &[u8]) -> String {
        check("prog", bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_static_executable_passes() {
        check("prog", &tiny()).unwrap();
    }

    #[test]
    fn every_cut_is_noticed() {
        let elf = tiny();
        for len in 4..elf.len() {
            assert!(complaint(&elf[..len]).contains("cut off"), "{len}");
        }
    }

    #[test]
    fn other_files_are_named() {
        assert!(complaint(b"").contains("an empty file"));
        assert!(complaint(b"#!/bin/sh\n").contains("a script"));
        assert!(complaint(b"MZ....").contains("another kind of file"));
    }

    #[test]
    fn another_machine_is_named() {
        let mut elf = tiny();
        elf[18] = 183;
        assert!(complaint(&elf).contains("AArch64"));
        elf[18] = 3;
        elf[4] = 1;
        assert!(complaint(&elf).contains("32-bit x86"));
    }

    #[test]
    fn an_interpreter_means_dynamic() {
        let mut elf = tiny();
        elf[64] = 3;
        assert!(complaint(&elf).contains("linked dynamically"));
    }

    #[test]
    fn an_object_file_is_not_a_program() {
        let mut elf = tiny();
        elf[16] = 1;
        assert!(complaint(&elf).contains("object file"));
    }
}
