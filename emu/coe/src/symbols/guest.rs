//! The names of code addresses in a running guest: the kernel's, and those of
//! whatever program each task runs.

use std::collections::BTreeMap;

use goblin::elf::Elf;
use goblin::elf::header::ET_DYN;
use goblin::elf::program_header::PT_LOAD;

use super::Symbols;
use crate::events::Line;
use crate::images::cpio;

/// Addresses from here on are the kernel's.
const KERNEL: u64 = 1 << 63;

/// Where the kernel puts a program that may lie anywhere.
const PIE_BASE: u64 = 0x5555_5555_4000;

/// The functions of a program, and where it lies.
#[derive(Clone, Debug, Default)]
struct Program {
    symbols: Symbols,
    bias: u64,
}

/// What a guest's addresses are called.
#[derive(Clone, Debug)]
pub struct GuestSymbols<'a> {
    kernel: Symbols,
    /// The files of the initrd by their paths.
    files: BTreeMap<String, &'a [u8]>,
    /// The programs that have been asked about.
    programs: BTreeMap<String, Program>,
    /// The path of what each task runs, by the task's name.
    runs: BTreeMap<String, String>,
}

impl<'a> GuestSymbols<'a> {
    /// The symbols of these images.
    #[must_use]
    pub fn new(kernel: &[u8], initrd: Option<&'a [u8]>) -> Self {
        GuestSymbols {
            kernel: Symbols::from_elf(kernel),
            files: cpio::files(initrd.unwrap_or_default()).collect(),
            programs: BTreeMap::new(),
            runs: BTreeMap::new(),
        }
    }

    /// Takes in what an event says about who runs what.
    pub fn take(&mut self, line: &Line) {
        let field = |name| line.get(name).unwrap_or_default().to_owned();
        match line.name {
            "sched_process_exec" => {
                self.runs.insert(field("task"), field("filename"));
            }
            "sched_process_fork" => {
                if let Some(path) = self.runs.get(&field("parent")).cloned() {
                    self.runs.insert(field("child"), path);
                }
            }
            _ => {}
        }
    }

    /// Puts the names of functions behind an event's code addresses.
    pub fn annotate(&mut self, line: &mut Line) {
        for (_, value) in line.fields.iter_mut().filter(|(name, _)| is_code(name)) {
            if let Some(address) = hexadecimal(value)
                && let Some((name, offset)) = self.lookup(&line.by, address)
            {
                let place = format!("<{name}+{offset:#x}>");
                value.push_str(&place);
            }
        }
    }

    /// What the place of an event's instruction is called: its function's name,
    /// or the address if it has none. Nothing if the event has no such place.
    pub fn place(&mut self, line: &Line) -> Option<String> {
        let ip = line.get("ip")?;
        if ip == "0x0" {
            // A page that the kernel brings in before anybody touches it.
            return Some("no instruction".to_owned());
        }
        let found = hexadecimal(ip).and_then(|address| self.lookup(&line.by, address));
        Some(found.map_or_else(|| ip.to_owned(), |(name, _)| name.to_owned()))
    }

    /// The function that this address lies in when this task runs there, and how
    /// far behind its beginning.
    pub fn lookup(&mut self, task: &str, address: u64) -> Option<(&str, u64)> {
        if address >= KERNEL {
            return self.kernel.lookup(address);
        }
        let path = self.runs.get(task)?;
        let bytes = *self.files.get(path)?;
        let program = self
            .programs
            .entry(path.clone())
            .or_insert_with(|| program(bytes));
        program.symbols.lookup(address.checked_sub(program.bias)?)
    }
}

/// Fields that hold the address of an instruction.
fn is_code(field: &str) -> bool {
    matches!(field, "ip" | "handler")
}

fn hexadecimal(value: &str) -> Option<u64> {
    u64::from_str_radix(value.strip_prefix("0x")?, 16).ok()
}

fn program(bytes: &[u8]) -> Program {
    Program {
        symbols: Symbols::from_elf(bytes),
        bias: bias(bytes).unwrap_or(0),
    }
}

/// How far from its own addresses the kernel puts a program.
fn bias(bytes: &[u8]) -> Option<u64> {
    let elf = Elf::parse(bytes).ok()?;
    if elf.header.e_type != ET_DYN {
        return None;
    }
    let loaded = elf.program_headers.iter();
    let loaded = loaded.filter(|header| header.p_type == PT_LOAD);
    PIE_BASE.checked_sub(loaded.map(|header| header.p_vaddr).min()?)
}

#[cfg(test)]
mod tests {
    use machine::Position;

    use super::*;
    use crate::embedded;
    use crate::images::Guests;

    fn line(name: &'static str, fields: &[(&'static str, &str)]) -> Line {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Line {
            at: Position::default(),
            by: "main".to_owned(),
            name,
            fields: fields.collect(),
        }
    }

    #[test]
    fn a_task_has_the_names_of_its_program_and_a_child_its_parents() {
        let archive = Guests::default().archive();
        let mut guest = GuestSymbols::new(embedded::KERNEL, Some(&archive));
        let (_, hello) = embedded::PROGRAMS
            .iter()
            .find(|(name, _)| *name == "hello")
            .unwrap();
        let elf = Elf::parse(hello).unwrap();
        let entry = elf.header.e_entry;
        assert_eq!(guest.lookup("main", entry), None, "it runs nothing yet");
        guest.take(&line(
            "sched_process_exec",
            &[("task", "main"), ("filename", "/bin/hello")],
        ));
        guest.take(&line(
            "sched_process_fork",
            &[("parent", "main"), ("child", "main/1")],
        ));
        assert_eq!(guest.lookup("main", entry), Some(("_start", 0)));
        assert_eq!(guest.lookup("main/1", entry), Some(("_start", 0)));
        guest.take(&line(
            "sched_process_exec",
            &[("task", "main"), ("filename", "/none")],
        ));
        assert_eq!(guest.lookup("main", entry), None);
    }

    #[test]
    fn code_addresses_of_an_event_are_named_and_others_are_not() {
        let mut guest = GuestSymbols::new(embedded::KERNEL, None);
        let elf = Elf::parse(embedded::KERNEL).unwrap();
        let symbol = elf.syms.iter().find(|symbol| symbol.is_function()).unwrap();
        let address = format!("{:#x}", symbol.st_value);
        let mut fault = line("page_fault", &[("address", &address), ("ip", &address)]);
        let place = guest.place(&fault).unwrap();
        guest.annotate(&mut fault);
        assert_eq!(fault.get("address"), Some(address.as_str()));
        assert_eq!(
            fault.get("ip"),
            Some(format!("{address}<{place}+0x0>").as_str())
        );
        let unknown = line("page_fault", &[("ip", "0x10")]);
        assert_eq!(guest.place(&unknown).as_deref(), Some("0x10"));
    }
}
