//! The top of /proc: a directory for each thread group, which are listed; one
//! for every other task, which are not; links to the reader's own; and files
//! about the whole machine.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::task_directory::At;
use super::text::{Text, TextFile};
use super::{DIRECTORY, FILE, LINK, Proc, name_of, number, sysctl, system};
use crate::errno::{Errno, Result};
use crate::fs::Inode;
use crate::fs::special::{Jump, MagicLink, VirtualDirectory};
use crate::mm::frame;
use crate::task::tree::TREE;
use crate::task::{Task, current};

/// The number of the directory itself; its entries follow.
pub(super) const NUMBER: u64 = 1;

type Show = fn(&Proc, &mut Text) -> Result<()>;

/// The files about the whole machine.
const FILES: &[(&str, Show)] = &[
    ("cpuinfo", system::cpuinfo),
    ("filesystems", system::filesystems),
    ("meminfo", system::meminfo),
    ("uptime", system::uptime),
    ("version", system::version),
];

/// The links, each to what it says.
const LINKS: &[(&str, Leads)] = &[
    ("mounts", |_| Ok(b"self/mounts".to_vec())),
    ("self", |proc| own(proc, false)),
    ("thread-self", |proc| own(proc, true)),
];

type Leads = fn(&Proc) -> Result<Vec<u8>>;

/// The directory.
pub(super) struct Root(pub Arc<Proc>);

/// A link whose text depends on who reads it.
struct OwnLink {
    proc: Arc<Proc>,
    leads: Leads,
}

impl MagicLink for OwnLink {
    fn text(&self) -> Result<Vec<u8>> {
        (self.leads)(&self.proc)
    }

    fn follow(&self) -> Result<Jump> {
        self.text().map(Jump::Text)
    }
}

/// The way to the reader's own directory, as a group's or as a task's.
fn own(proc: &Proc, task: bool) -> Result<Vec<u8>> {
    let me = current();
    if crate::mutant!("proc-self-is-init") {
        return Ok(b"1".to_vec());
    }
    let (pid, group) = (me.pid(), me.group().pid());
    let (pid, group) = (
        pid.number_in(&proc.namespace),
        group.number_in(&proc.namespace),
    );
    if pid == 0 || group == 0 {
        return Err(Errno::ENOENT);
    }
    let mut path = name_of(group);
    if task {
        path.extend_from_slice(b"/task/");
        path.extend_from_slice(&name_of(pid));
    }
    Ok(path)
}

impl Root {
    fn file(&self, name: &[u8]) -> Option<Arc<Inode>> {
        let at = FILES
            .iter()
            .position(|(known, _)| known.as_bytes() == name)?;
        let (proc, show) = (self.0.clone(), FILES[at].1);
        let file = TextFile::new(move |text| show(&proc, text));
        Some(self.0.file(NUMBER + 1 + at as u64, file, 0o444, (0, 0)))
    }

    fn link(&self, name: &[u8]) -> Option<Arc<Inode>> {
        let at = LINKS
            .iter()
            .position(|(known, _)| known.as_bytes() == name)?;
        let link = OwnLink {
            proc: self.0.clone(),
            leads: LINKS[at].1,
        };
        Some(self.0.link(link_number(at), link, 0o777, (0, 0)))
    }

    /// The task with this number, listed or not.
    fn task(&self, name: &[u8]) -> Option<Arc<Inode>> {
        let wanted = number(name).filter(|&number| number != 0)?;
        let global = self.0.namespace.find(wanted)?;
        let task = TREE.lock().task(global)?;
        if crate::mutant!("proc-hides-tasks") && !task.is_leader() {
            return None;
        }
        At::of(&self.0, &task, wanted).inode().ok()
    }
}

fn link_number(at: usize) -> u64 {
    NUMBER + 1 + (FILES.len() + at) as u64
}

/// The groups that a /proc shows: the leader of each and its number, in the
/// order of the numbers.
fn groups(proc: &Proc) -> Vec<(u32, Arc<Task>)> {
    let tree = TREE.lock();
    let leaders = tree.groups().filter_map(|node| {
        let pid = node.group.pid();
        let shown = pid.number_in(&proc.namespace);
        let leader = tree.task(pid.id().0)?;
        (shown != 0).then_some((shown, leader))
    });
    let mut leaders: Vec<_> = leaders.collect();
    leaders.sort_by_key(|(number, _)| *number);
    leaders
}

impl VirtualDirectory for Root {
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        frame::room()?;
        if name == b"sys" {
            return Ok(Some(sysctl::top(&self.0)));
        }
        let found = self.file(name).or_else(|| self.link(name));
        Ok(found.or_else(|| self.task(name)))
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>> {
        frame::room()?;
        let names = FILES.iter().map(|(name, _)| name).enumerate();
        let mut entries: Vec<(Vec<u8>, u64, u8)> = names
            .map(|(at, name)| (name.as_bytes().to_vec(), NUMBER + 1 + at as u64, FILE))
            .collect();
        entries.push((b"sys".to_vec(), sysctl::NUMBER, DIRECTORY));
        for (at, (name, _)) in LINKS.iter().enumerate() {
            entries.push((name.as_bytes().to_vec(), link_number(at), LINK));
        }
        for (number, leader) in groups(&self.0) {
            let at = At::of(&self.0, &leader, number);
            entries.push((name_of(number), at.number(0), DIRECTORY));
            let Some(members) =
                crate::mutant!("proc-lists-threads").then(|| TREE.lock().members(leader.tgid().0))
            else {
                continue;
            };
            for task in members.iter().filter(|task| !task.is_leader()) {
                entries.push((name_of(task.id().0), 0, DIRECTORY));
            }
        }
        Ok(entries)
    }

    fn parent(&self) -> Option<Arc<Inode>> {
        None
    }

    fn name(&self) -> Vec<u8> {
        Vec::new()
    }
}
