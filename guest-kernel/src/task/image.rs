//! The first stack of a program: arguments, environment, auxiliary vector.

use alloc::vec::Vec;
use core::arch::x86_64::__cpuid;

use linux_raw_sys::auxvec;

use super::credentials::Credentials;
use super::elf::Loaded;
use super::rseq;
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};
use crate::mm::Mm;
use crate::mm::space::STACK_LIMIT;
use crate::mm::vma::{Prot, Vma};
use crate::random;

/// The page at the very end stays free, as on Linux.
const STACK_TOP: u64 = USER_END;
/// Bytes mapped below what is written at once.
const STACK_SLACK: u64 = 128 << 10;
/// Strings may take a quarter of the stack.
const STRINGS_MAX: usize = STACK_LIMIT as usize / 4;
/// Clock ticks in a second, for `times` and its like.
const TICKS: u64 = 100;
const PHENT: u64 = 56;
const PLATFORM: &[u8] = b"x86_64\0";

/// What a program is started with.
pub(super) struct Strings<'a> {
    pub filename: &'a [u8],
    pub args: &'a [Vec<u8>],
    pub env: &'a [Vec<u8>],
}

/// A stack that is filled from its top down, outside user memory first.
struct Stack {
    bytes: Vec<u8>,
}

impl Stack {
    /// The address of what was pushed last.
    fn pointer(&self) -> u64 {
        STACK_TOP - self.bytes.len() as u64
    }

    /// Pushes bytes. (They lie in reverse until the end.)
    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.extend(bytes.iter().rev());
        self.pointer()
    }

    fn push_string(&mut self, string: &[u8]) -> u64 {
        self.push(&[0]);
        self.push(string)
    }

    fn push_strings(&mut self, strings: &[Vec<u8>]) -> Vec<u64> {
        let mut addresses: Vec<u64> = strings
            .iter()
            .rev()
            .map(|string| self.push_string(string))
            .collect();
        addresses.reverse();
        addresses
    }

    fn push_words(&mut self, words: &[u64]) {
        for word in words.iter().rev() {
            self.push(&word.to_le_bytes());
        }
    }

    fn align(&mut self, to: u64) {
        while !self.pointer().is_multiple_of(to) {
            self.push(&[0]);
        }
    }
}

/// Builds the stack; gives the stack pointer with which the program starts.
///
/// # Errors
/// `E2BIG` if the strings are too long, `ENOMEM`.
pub(super) fn build(
    mm: &Mm,
    program: &Loaded,
    strings: &Strings<'_>,
    credentials: &Credentials,
    secure: bool,
) -> Result<u64> {
    let all = strings.args.iter().chain(strings.env);
    if all.map(|string| string.len() + 9).sum::<usize>() > STRINGS_MAX {
        return Err(Errno::E2BIG);
    }
    let mut stack = Stack { bytes: Vec::new() };
    stack.push(&[0; 8]);
    let filename = stack.push_string(strings.filename);
    let env = stack.push_strings(strings.env);
    let args = stack.push_strings(strings.args);
    stack.align(16);
    let platform = stack.push(PLATFORM);
    let mut seed = [0; 16];
    random::fill(&mut seed);
    let seed = stack.push(&seed);
    stack.align(16);
    let auxv = auxiliary(program, credentials, secure, [filename, platform, seed]);
    let words = args.len() + env.len() + 3 + auxv.len();
    if !words.is_multiple_of(2) {
        stack.push(&[0; 8]);
    }
    stack.push_words(&auxv);
    stack.push_words(&[0]);
    stack.push_words(&env);
    stack.push_words(&[0]);
    stack.push_words(&args);
    stack.push_words(&[args.len() as u64]);
    let pointer = stack.pointer();
    stack.bytes.reverse();
    let start = (pointer & !(PAGE_SIZE - 1)) - STACK_SLACK;
    let area = Vma {
        grows_down: true,
        ..Vma::anonymous(start..STACK_TOP, Prot::READ | Prot::WRITE)
    };
    mm.map(area)?;
    mm.write_bytes(pointer, &stack.bytes)?;
    let between = |from: &[u64], end: u64| from.first().copied().unwrap_or(end)..end;
    mm.with_image(|image| {
        image.stack = pointer;
        image.env = between(&env, filename);
        image.args = between(&args, image.env.start);
        image.auxv = auxv.into();
    });
    Ok(pointer)
}

fn auxiliary(
    program: &Loaded,
    credentials: &Credentials,
    secure: bool,
    [filename, platform, seed]: [u64; 3],
) -> Vec<u64> {
    let user = &credentials.user;
    let entries = [
        (auxvec::AT_HWCAP, u64::from(__cpuid(1).edx)),
        (auxvec::AT_PAGESZ, PAGE_SIZE),
        (auxvec::AT_CLKTCK, TICKS),
        (auxvec::AT_PHDR, program.headers),
        (auxvec::AT_PHENT, PHENT),
        (auxvec::AT_PHNUM, program.header_count),
        (auxvec::AT_BASE, 0),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, program.entry),
        (
            auxvec::AT_UID,
            u64::from(user.uid_or_nobody(credentials.uid)),
        ),
        (
            auxvec::AT_EUID,
            u64::from(user.uid_or_nobody(credentials.euid)),
        ),
        (
            auxvec::AT_GID,
            u64::from(user.gid_or_nobody(credentials.gid)),
        ),
        (
            auxvec::AT_EGID,
            u64::from(user.gid_or_nobody(credentials.egid)),
        ),
        (auxvec::AT_SECURE, u64::from(secure)),
        (auxvec::AT_RANDOM, seed),
        (auxvec::AT_RSEQ_FEATURE_SIZE, rseq::FEATURE_SIZE),
        (auxvec::AT_RSEQ_ALIGN, rseq::ALIGN),
        (auxvec::AT_EXECFN, filename),
        (auxvec::AT_PLATFORM, platform),
        (auxvec::AT_NULL, 0),
    ];
    entries
        .iter()
        .flat_map(|&(key, value)| [u64::from(key), value])
        .collect()
}
