//! Which function an address lies in, by an ELF's symbol table.

mod guest;

pub use guest::GuestSymbols;

use std::ops::Range;

use goblin::elf::Elf;
use goblin::elf::header::EM_X86_64;
use goblin::elf::section_header::{SHF_EXECINSTR, SHN_UNDEF};
use goblin::elf::sym::{STB_LOCAL, STT_FUNC, STT_NOTYPE, Sym};

/// A function: where it begins, where the next thing begins, what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    start: u64,
    end: u64,
    name: String,
}

/// The functions of one ELF by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    /// By address; no two begin at the same one.
    functions: Vec<Function>,
}

/// A symbol that may name code, before anything else is known about it.
struct Candidate {
    start: u64,
    size: u64,
    /// Where its section ends: no function reaches further.
    limit: u64,
    /// Which of several names of one address is taken: the lowest.
    rank: (bool, bool),
    name: String,
}

impl Symbols {
    /// The functions of this ELF, with their names as they are written in the
    /// source. What is not an ELF for x86-64, or has no symbol table, has none:
    /// its addresses stay numbers.
    #[must_use]
    pub fn from_elf(bytes: &[u8]) -> Symbols {
        let Ok(elf) = Elf::parse(bytes) else {
            return Symbols::default();
        };
        if elf.header.e_machine != EM_X86_64 {
            return Symbols::default();
        }
        let mut candidates: Vec<Candidate> = elf
            .syms
            .iter()
            .filter_map(|symbol| candidate(&elf, &symbol))
            .collect();
        // Of several names for one address the same one is taken always.
        candidates.sort_by(|a, b| (a.start, a.rank, &a.name).cmp(&(b.start, b.rank, &b.name)));
        candidates.dedup_by_key(|candidate| candidate.start);
        Symbols {
            functions: bounded(&candidates),
        }
    }

    /// The function that this address lies in, and how many bytes behind its
    /// beginning.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<(&str, u64)> {
        let function = &self.functions[self.index(address)?];
        Some((&function.name, address - function.start))
    }

    /// Which of [`Symbols::len`] functions this address lies in, counted by
    /// their addresses.
    #[must_use]
    pub fn index(&self, address: u64) -> Option<usize> {
        let after = self
            .functions
            .partition_point(|function| function.start <= address);
        let at = after.checked_sub(1)?;
        (address < self.functions[at].end).then_some(at)
    }

    /// The name of the function with this index.
    ///
    /// # Panics
    /// If there is no such function.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.functions[index].name
    }

    /// The addresses of the function with this index.
    ///
    /// # Panics
    /// If there is no such function.
    #[must_use]
    pub fn range(&self, index: usize) -> Range<u64> {
        let function = &self.functions[index];
        function.start..function.end
    }

    /// The number of functions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// True if nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }
}

fn candidate(elf: &Elf<'_>, symbol: &Sym) -> Option<Candidate> {
    let typed = symbol.st_type() == STT_FUNC;
    if !(typed || symbol.st_type() == STT_NOTYPE) || symbol.st_shndx == SHN_UNDEF as usize {
        return None;
    }
    // Absolute symbols have no section and name no code.
    let section = elf.section_headers.get(symbol.st_shndx)?;
    if section.sh_flags & u64::from(SHF_EXECINSTR) == 0 {
        return None;
    }
    let name = elf.strtab.get_at(symbol.st_name)?;
    // The assembler's own labels begin with .L, as mapping symbols do with $.
    if name.is_empty() || name.starts_with(".L") || name.starts_with('$') {
        return None;
    }
    Some(Candidate {
        start: symbol.st_value,
        size: symbol.st_size,
        limit: section.sh_addr.saturating_add(section.sh_size),
        rank: (!typed, symbol.st_bind() == STB_LOCAL),
        name: format!("{:#}", rustc_demangle::demangle(name)),
    })
}

/// A function that says its size ends there; one of an assembler file that does
/// not goes on to the next symbol, or to the end of its section.
fn bounded(candidates: &[Candidate]) -> Vec<Function> {
    let bounded = candidates.iter().enumerate().map(|(at, candidate)| {
        let next = candidates.get(at + 1).map_or(u64::MAX, |next| next.start);
        let reach = match candidate.size {
            0 => candidate.limit,
            size => candidate.start.saturating_add(size),
        };
        Function {
            start: candidate.start,
            end: reach.min(next),
            name: candidate.name.clone(),
        }
    });
    bounded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded;

    #[test]
    fn the_kernels_functions_have_the_names_of_its_source() {
        let symbols = Symbols::from_elf(embedded::KERNEL);
        assert!(symbols.len() > 500, "{} functions", symbols.len());
        let elf = Elf::parse(embedded::KERNEL).unwrap();
        let raw = |symbol: &Sym| elf.strtab.get_at(symbol.st_name).unwrap_or("").to_owned();
        let sized = elf
            .syms
            .iter()
            .find(|symbol| raw(symbol).contains("switch_away") && symbol.st_size > 8);
        let sized = sized.expect("the kernel has a switch_away");
        let (name, offset) = symbols.lookup(sized.st_value + 5).unwrap();
        assert!(
            name.ends_with("sched::run::switch_away") && offset == 5,
            "{name}+{offset}"
        );
        assert!(!name.contains("17h"), "{name} is mangled");
        // Its last byte is its own, the one behind is not.
        let end = sized.st_value + sized.st_size;
        assert_eq!(symbols.lookup(end - 1).unwrap().0, name);
        assert_ne!(symbols.lookup(end).map(|(name, _)| name), Some(name));
    }

    #[test]
    fn what_no_function_covers_has_no_name() {
        let symbols = Symbols::from_elf(embedded::KERNEL);
        assert_eq!(symbols.lookup(0), None);
        assert_eq!(symbols.lookup(u64::MAX), None);
        assert!(symbols.functions.is_sorted_by(|a, b| a.end <= b.start));
    }

    #[test]
    fn what_is_no_elf_has_no_functions() {
        assert!(Symbols::from_elf(b"").is_empty());
        assert!(Symbols::from_elf(b"#!/bin/sh").is_empty());
        for len in (0..embedded::KERNEL.len()).step_by(9973) {
            let _ = Symbols::from_elf(&embedded::KERNEL[..len]);
        }
    }
}
