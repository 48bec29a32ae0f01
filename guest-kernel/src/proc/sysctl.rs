//! `/proc/sys`: what can be asked about the kernel's limits and names.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::text::{Text, TextFile, put};
use super::{DIRECTORY, FILE, Proc};
use crate::errno::{Errno, Result};
use crate::fs::Inode;
use crate::fs::capability::COUNT as CAPABILITIES;
use crate::fs::special::VirtualDirectory;
use crate::mm::frame;
use crate::mm::space::{AREAS_MAX, MMAP_MIN};
use crate::task::credentials::Cap;
use crate::task::uts::{self, Name, UtsNamespace};
use crate::task::{current, pid_namespace, user_namespace};

/// The number of the top; its directories and their files follow.
pub(super) const NUMBER: u64 = 0x1000;

type Show = fn(&mut Text) -> Result<()>;
type Store = fn(&[u8]) -> Result<()>;
type Entry = (&'static str, Show, Option<Store>);

const TABLES: &[(&str, &[Entry])] = &[("kernel", KERNEL), ("vm", VM)];

const KERNEL: &[Entry] = &[
    ("cap_last_cap", |text| line(text, CAPABILITIES - 1), None),
    (
        "domainname",
        |text| name(text, own_uts().domain()),
        Some(set_domain),
    ),
    (
        "hostname",
        |text| name(text, own_uts().host()),
        Some(set_host),
    ),
    ("ngroups_max", |text| line(text, 65536), None),
    ("osrelease", |text| line(text, uts::RELEASE), None),
    ("ostype", |text| line(text, uts::SYSTEM), None),
    (
        "overflowgid",
        |text| line(text, user_namespace::NOBODY),
        None,
    ),
    (
        "overflowuid",
        |text| line(text, user_namespace::NOBODY),
        None,
    ),
    ("pid_max", |text| line(text, pid_namespace::MAX), None),
    ("version", |text| line(text, uts::VERSION), None),
];

const VM: &[Entry] = &[
    ("max_map_count", |text| line(text, AREAS_MAX), None),
    ("mmap_min_addr", |text| line(text, MMAP_MIN), None),
    // Mappings are never refused for what they might need one day.
    ("overcommit_memory", |text| line(text, 1), None),
];

fn line(text: &mut Text, value: impl core::fmt::Display) -> Result<()> {
    put!(text, "{value}\n");
    Ok(())
}

fn name(text: &mut Text, name: Name) -> Result<()> {
    text.push(name.bytes())?;
    text.push(b"\n")
}

fn own_uts() -> Arc<UtsNamespace> {
    current().namespaces().uts.clone()
}

/// The name that was written, if its writer may give it.
fn new_name(bytes: &[u8]) -> Result<Name> {
    let may = current()
        .credentials()
        .capable_in(own_uts().user(), Cap::SysAdmin);
    if !may {
        return Err(Errno::EPERM);
    }
    let end = bytes.iter().position(|byte| matches!(byte, 0 | b'\n'));
    Ok(Name::new(&bytes[..end.unwrap_or(bytes.len())]))
}

fn set_host(bytes: &[u8]) -> Result<()> {
    own_uts().set_host(new_name(bytes)?);
    Ok(())
}

fn set_domain(bytes: &[u8]) -> Result<()> {
    own_uts().set_domain(new_name(bytes)?);
    Ok(())
}

/// The top directory.
pub(super) fn top(proc: &Arc<Proc>) -> Arc<Inode> {
    proc.directory(NUMBER, Top(proc.clone()), 0o555, (0, 0))
}

struct Top(Arc<Proc>);

/// One of the tables.
struct Table {
    proc: Arc<Proc>,
    index: usize,
}

impl Table {
    fn number(index: usize) -> u64 {
        NUMBER + 0x100 * (index as u64 + 1)
    }

    fn entries(&self) -> &'static [Entry] {
        TABLES[self.index].1
    }
}

impl VirtualDirectory for Top {
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        frame::room()?;
        let found = TABLES
            .iter()
            .position(|(known, _)| known.as_bytes() == name);
        Ok(found.map(|index| {
            let proc = self.0.clone();
            let table = Table { proc, index };
            self.0.directory(Table::number(index), table, 0o555, (0, 0))
        }))
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>> {
        frame::room()?;
        let tables = TABLES.iter().enumerate();
        let entry = |(at, (name, _)): (usize, &(&str, _))| {
            (name.as_bytes().to_vec(), Table::number(at), DIRECTORY)
        };
        Ok(tables.map(entry).collect())
    }

    fn parent(&self) -> Option<Arc<Inode>> {
        self.0.root()
    }

    fn name(&self) -> Vec<u8> {
        b"sys".to_vec()
    }
}

impl VirtualDirectory for Table {
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        frame::room()?;
        let mut known = self.entries().iter();
        let Some(at) = known.position(|(known, ..)| known.as_bytes() == name) else {
            return Ok(None);
        };
        let (_, show, store) = self.entries()[at];
        let file = TextFile::new(show);
        let (file, mode) = match store {
            Some(store) => (file.stored_by(move |bytes, _, _| store(bytes)), 0o644),
            None => (file, 0o444),
        };
        let number = Table::number(self.index) + 1 + at as u64;
        Ok(Some(self.proc.file(number, file, mode, (0, 0))))
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>> {
        frame::room()?;
        let first = Table::number(self.index) + 1;
        let known = Table::entries(self).iter().enumerate();
        Ok(known
            .map(|(at, (name, ..))| (name.as_bytes().to_vec(), first + at as u64, FILE))
            .collect())
    }

    fn parent(&self) -> Option<Arc<Inode>> {
        Some(top(&self.proc))
    }

    fn name(&self) -> Vec<u8> {
        TABLES[self.index].0.as_bytes().to_vec()
    }
}
