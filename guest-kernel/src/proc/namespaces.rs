//! `/proc/PID/ns`: links to a task's namespaces, which setns takes when they
//! are open.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::LINK;
use super::task_directory::At;
use crate::errno::{Errno, Result};
use crate::fs::inode::Kind;
use crate::fs::special::{Jump, MagicLink, VirtualDirectory};
use crate::fs::{Inode, Place};
use crate::mm::frame;
use crate::task::current;
use crate::task::namespace_file::{Namespace, NamespaceFile};

/// The device of the files that stand for namespaces.
const DEVICE: u64 = 4;
/// Numbers of the links' inodes within a task's.
const LINKS: u64 = 0x3_0000;

/// The directory.
pub(super) struct Namespaces(At);

impl Namespaces {
    pub(super) fn inode(at: &At, number: u64, owner: (u32, u32)) -> Arc<Inode> {
        let directory = Namespaces(at.clone());
        at.proc.directory(number, directory, 0o511, owner)
    }
}

/// One of a task's namespaces.
struct NamespaceLink {
    at: At,
    name: &'static str,
}

impl NamespaceLink {
    fn namespace(&self) -> Result<Namespace> {
        self.at.check_look()?;
        let task = if crate::mutant!("proc-ns-is-readers") {
            current()
        } else {
            self.at.task()?
        };
        Namespace::named(&task, self.name.as_bytes()).ok_or(Errno::ENOENT)
    }
}

impl MagicLink for NamespaceLink {
    fn text(&self) -> Result<Vec<u8>> {
        frame::room()?;
        Ok(self.namespace()?.text().into_bytes())
    }

    fn follow(&self) -> Result<Jump> {
        frame::room()?;
        let namespace = self.namespace()?;
        let number = namespace.number();
        let kind = Kind::Special(Box::new(NamespaceFile(namespace)));
        let inode = Inode::made_up(DEVICE, number, kind, 0o444, (0, 0));
        Ok(Jump::Place(Place::anonymous(inode)))
    }
}

impl VirtualDirectory for Namespaces {
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        frame::room()?;
        let mut known = Namespace::NAMES.iter().enumerate();
        let Some((index, name)) = known.find(|(_, known)| known.as_bytes() == name) else {
            return Ok(None);
        };
        let at = self.0.clone();
        let credentials = at.task()?.credentials();
        let owner = (credentials.euid, credentials.egid);
        let number = at.number(LINKS + index as u64);
        let proc = at.proc.clone();
        Ok(Some(proc.link(
            number,
            NamespaceLink { at, name },
            0o777,
            owner,
        )))
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>> {
        frame::room()?;
        let names = Namespace::NAMES.iter().enumerate();
        let number = |index: usize| self.0.number(LINKS + index as u64);
        Ok(names
            .map(|(index, name)| (name.as_bytes().to_vec(), number(index), LINK))
            .collect())
    }

    fn parent(&self) -> Option<Arc<Inode>> {
        self.0.inode().ok()
    }

    fn name(&self) -> Vec<u8> {
        b"ns".to_vec()
    }
}
