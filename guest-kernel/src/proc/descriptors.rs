//! `fd` and `fdinfo`: a task's descriptors, as links to what they stand for
//! and as texts about it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::O_CLOEXEC;

use super::task_directory::{At, Target};
use super::text::{Text, TextFile, put};
use super::{FILE, LINK, name_of, number};
use crate::errno::{Errno, Result};
use crate::fs::inode::Kind;
use crate::fs::special::{Jump, MagicLink, VirtualDirectory};
use crate::fs::{File, Inode};
use crate::mm::frame;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `fd`
    Links,
    /// `fdinfo`
    Infos,
}

/// Numbers of inodes: those of `fd` and `fdinfo` within a task's.
const LINKS: u64 = 0x1_0000;
const INFOS: u64 = 0x2_0000;
/// Descriptors beyond share their inodes' numbers.
const MOST: u64 = 0xFFFF;

/// The directory.
pub(super) struct Descriptors {
    at: At,
    what: What,
}

impl Descriptors {
    pub(super) fn inode(at: &At, what: What, number: u64) -> Result<Arc<Inode>> {
        let task = at.task()?;
        let credentials = task.credentials();
        let secret = task.mm().is_some_and(|mm| mm.dumpable() != 1);
        let owner = if secret {
            (0, 0)
        } else {
            (credentials.euid, credentials.egid)
        };
        let directory = Descriptors {
            at: at.clone(),
            what,
        };
        let mode = match what {
            What::Links => 0o500,
            What::Infos => 0o555,
        };
        Ok(at.proc.directory(number, directory, mode, owner))
    }

    fn of(&self, fd: u64) -> u64 {
        let base = match self.what {
            What::Links => LINKS,
            What::Infos => INFOS,
        };
        self.at.number(base + fd.min(MOST))
    }
}

/// One descriptor of a task.
struct Descriptor {
    at: At,
    fd: i32,
}

impl Descriptor {
    /// What it stands for, and whether exec closes it.
    fn file(&self) -> Result<(Arc<File>, bool)> {
        let files = self.at.task()?.open_files().ok_or(Errno::ENOENT)?;
        let files = files.lock();
        let fd = if crate::mutant!("proc-fd-is-zero") {
            0
        } else {
            self.fd
        };
        let file = files.get(fd).map_err(|_| Errno::ENOENT)?;
        Ok((file, files.close_on_exec(self.fd)?))
    }

    fn target(&self) -> Result<Target> {
        self.at.check_look()?;
        Ok(Target::File(self.file()?.0))
    }

    fn info(&self, text: &mut Text) -> Result<()> {
        let (file, close_on_exec) = self.file()?;
        let mut flags = file.flags();
        if close_on_exec {
            flags |= O_CLOEXEC;
        }
        put!(text, "pos:\t{}\nflags:\t0{flags:o}\n", file.position());
        put!(text, "mnt_id:\t{}\n", file.place().mount().id());
        put!(text, "ino:\t{}\n", file.inode().number());
        match file.inode().kind() {
            Kind::Special(special) => text.push(special.fdinfo().as_bytes()),
            _ => Ok(()),
        }
    }
}

impl MagicLink for Descriptor {
    fn text(&self) -> Result<Vec<u8>> {
        frame::room()?;
        Ok(self.target()?.text())
    }

    fn follow(&self) -> Result<Jump> {
        Ok(self.target()?.jump())
    }
}

impl VirtualDirectory for Descriptors {
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        frame::room()?;
        let Some(fd) = number(name).and_then(|fd| i32::try_from(fd).ok()) else {
            return Ok(None);
        };
        let at = self.at.clone();
        let descriptor = Descriptor { at, fd };
        let Ok((file, _)) = descriptor.file() else {
            return Ok(None);
        };
        let credentials = self.at.task()?.credentials();
        let owner = (credentials.euid, credentials.egid);
        let number = self.of(fd as u64);
        let proc = &self.at.proc;
        Ok(Some(match self.what {
            What::Links => {
                let read = if file.is_readable() { 0o500 } else { 0o100 };
                let write = if file.is_writable() { 0o300 } else { 0o100 };
                proc.link(number, descriptor, read | write, owner)
            }
            What::Infos => {
                let guard = self.at.clone();
                let text = TextFile::new(move |text| descriptor.info(text));
                let text = text.guarded_by(move || guard.check_look());
                proc.file(number, text, 0o444, owner)
            }
        }))
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>> {
        frame::room()?;
        let Some(files) = self.at.task()?.open_files() else {
            return Ok(Vec::new());
        };
        let all = files.lock().all();
        let kind = match self.what {
            What::Links => LINK,
            What::Infos => FILE,
        };
        let entry = |(fd, ..): &(i32, _, _)| (name_of(*fd as u32), self.of(*fd as u64), kind);
        Ok(all.iter().map(entry).collect())
    }

    fn parent(&self) -> Option<Arc<Inode>> {
        self.at.inode().ok()
    }

    fn name(&self) -> Vec<u8> {
        match self.what {
            What::Links => b"fd".to_vec(),
            What::Infos => b"fdinfo".to_vec(),
        }
    }
}
