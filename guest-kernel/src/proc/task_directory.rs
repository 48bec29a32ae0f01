//! `/proc/PID` and `/proc/PID/task/TID`: a task's directory and the table of
//! its entries. Under a group's number the texts are about the whole group.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::descriptors::{Descriptors, What as Which};
use super::namespaces::Namespaces;
use super::text::{Text, TextFile};
use super::{DIRECTORY, FILE, LINK, Proc, limits, memory, mounts, name_of, number, status, users};
use crate::errno::{Errno, Result};
use crate::fs::special::{Jump, MagicLink, VirtualDirectory};
use crate::fs::{File, Inode, Place};
use crate::mm::frame;
use crate::task::credentials::{Cap, Credentials};
use crate::task::pid::Pid;
use crate::task::tree::TREE;
use crate::task::{Task, current};

/// Numbers of inodes: so many for each task.
const NUMBERS: u32 = 20;
/// Those of a task's directory among its group's.
const IN_GROUP: u64 = 1 << (NUMBERS - 1);

/// A task's place in /proc.
#[derive(Clone)]
pub(super) struct At {
    pub proc: Arc<Proc>,
    pid: Weak<Pid>,
    global: u32,
    /// Its name here.
    shown: u32,
    /// The group in whose `task` it lies.
    group: Option<Arc<At>>,
}

impl At {
    /// The place at the top of a task that is shown by this number.
    pub(super) fn of(proc: &Arc<Proc>, task: &Task, shown: u32) -> Self {
        let pid = task.pid();
        At {
            proc: proc.clone(),
            global: pid.id().0,
            pid: Arc::downgrade(&pid),
            shown,
            group: None,
        }
    }

    /// The task.
    ///
    /// # Errors
    /// `ESRCH`: it is gone.
    pub(super) fn task(&self) -> Result<Arc<Task>> {
        let task = self.find();
        if task.is_none() && crate::mutant!("proc-gone-is-reader") {
            return Ok(current());
        }
        task.ok_or(Errno::ESRCH)
    }

    fn find(&self) -> Option<Arc<Task>> {
        let pid = self.pid.upgrade()?;
        let task = TREE.lock().task(pid.id().0)?;
        Arc::ptr_eq(&task.pid(), &pid).then_some(task)
    }

    /// True if it stands for the whole group.
    pub(super) fn is_group(&self) -> bool {
        self.group.is_none()
    }

    /// The number of an inode about the task; 0 is its directory.
    pub(super) fn number(&self, what: u64) -> u64 {
        let own = if self.is_group() { 0 } else { IN_GROUP };
        u64::from(self.global + 1) << NUMBERS | own | what
    }

    /// Whose the files about it are: its own user's, unless it keeps secrets.
    fn owner(&self, open: bool) -> Result<(u32, u32)> {
        let task = self.task()?;
        let secret = task.mm().is_some_and(|mm| mm.dumpable() != 1);
        if secret && !open {
            return Ok((0, 0));
        }
        let credentials = task.credentials();
        Ok((credentials.euid, credentials.egid))
    }

    /// Its directory.
    pub(super) fn inode(&self) -> Result<Arc<Inode>> {
        let owner = self.owner(true)?;
        let directory = TaskDirectory(self.clone());
        Ok(self.proc.directory(self.number(0), directory, 0o555, owner))
    }

    /// Refuses who may not look into the task.
    pub(super) fn check_look(&self) -> Result<()> {
        if may_look(&current(), &*self.task()?) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }
}

/// Whether a task may see what another one keeps to itself.
fn may_look(me: &Task, other: &Task) -> bool {
    let (mine, its) = (me.credentials(), other.credentials());
    let same = [its.uid, its.euid, its.suid]
        .iter()
        .all(|&uid| uid == mine.fsuid)
        && [its.gid, its.egid, its.sgid]
            .iter()
            .all(|&gid| gid == mine.fsgid);
    let open = other.mm().is_none_or(|mm| mm.dumpable() == 1);
    me.tgid() == other.tgid()
        || same && open && its.permitted.is_within(mine.permitted)
        || mine.capable_in(&its.user, Cap::SysPtrace)
        || crate::mutant!("proc-shows-all")
}

/// Where a link leads.
pub(super) enum Target {
    Place(Place),
    File(Arc<File>),
}

impl Target {
    pub(super) fn text(&self) -> Vec<u8> {
        let root = current().fs().lock().root.clone();
        match self {
            Target::Place(place) => place.path(&root),
            Target::File(file) => file.path(&root),
        }
    }

    pub(super) fn jump(self) -> Jump {
        match self {
            Target::Place(place) => Jump::Place(place),
            Target::File(file) => Jump::File(file),
        }
    }
}

type Show = fn(&At, &Arc<Task>, &mut Text) -> Result<()>;
type Store = fn(&At, &[u8], u64, &Credentials) -> Result<()>;

/// What an entry is.
enum What {
    /// A text that everybody may read.
    Text(Show),
    /// The same, in a task's own directory only.
    Single(Show),
    /// A text for those who may look into the task.
    Guarded(u32, Show),
    /// A text that can be written.
    Stored(Show, Store),
    /// A link, for those who may look into the task.
    Link(fn(&Task) -> Result<Target>),
    /// `task`, in a group's directory only.
    Tasks,
    /// `fd`, `fdinfo`.
    Descriptors(Which),
    /// `ns`.
    Namespaces,
}

const ENTRIES: &[(&str, What)] = &[
    ("task", What::Tasks),
    ("fd", What::Descriptors(Which::Links)),
    ("fdinfo", What::Descriptors(Which::Infos)),
    ("ns", What::Namespaces),
    ("environ", What::Guarded(0o400, memory::environ)),
    ("auxv", What::Guarded(0o400, memory::auxv)),
    ("status", What::Text(status::status)),
    ("limits", What::Text(limits::limits)),
    ("comm", What::Stored(status::comm, status::set_comm)),
    ("cmdline", What::Text(memory::cmdline)),
    ("stat", What::Text(status::stat)),
    ("statm", What::Text(memory::statm)),
    ("maps", What::Guarded(0o444, memory::maps)),
    ("children", What::Single(status::children)),
    ("cwd", What::Link(cwd)),
    ("root", What::Link(root)),
    ("exe", What::Link(exe)),
    ("mounts", What::Text(mounts::mounts)),
    ("mountinfo", What::Text(mounts::mountinfo)),
    ("wchan", What::Text(status::wchan)),
    ("uid_map", What::Stored(users::uid_map, users::set_uid_map)),
    ("gid_map", What::Stored(users::gid_map, users::set_gid_map)),
    (
        "setgroups",
        What::Stored(users::setgroups, users::set_setgroups),
    ),
];

fn cwd(task: &Task) -> Result<Target> {
    let fs = task.folder().ok_or(Errno::ENOENT)?;
    let fs = if crate::mutant!("proc-cwd-is-readers") {
        current().fs()
    } else {
        fs
    };
    let cwd = fs.lock().cwd.clone();
    Ok(Target::Place(cwd))
}

fn root(task: &Task) -> Result<Target> {
    let fs = task.folder().ok_or(Errno::ENOENT)?;
    let root = fs.lock().root.clone();
    Ok(Target::Place(root))
}

fn exe(task: &Task) -> Result<Target> {
    let image = task.mm().ok_or(Errno::ENOENT)?.image();
    let file = image.file.and_then(|file| file.downcast::<File>().ok());
    file.map(Target::File).ok_or(Errno::ENOENT)
}

/// `cwd`, `root` and `exe`.
struct TaskLink {
    at: At,
    leads: fn(&Task) -> Result<Target>,
}

impl TaskLink {
    fn target(&self) -> Result<Target> {
        self.at.check_look()?;
        (self.leads)(&*self.at.task()?)
    }
}

impl MagicLink for TaskLink {
    fn text(&self) -> Result<Vec<u8>> {
        frame::room()?;
        Ok(self.target()?.text())
    }

    fn follow(&self) -> Result<Jump> {
        Ok(self.target()?.jump())
    }
}

struct TaskDirectory(At);

impl TaskDirectory {
    fn text(&self, show: Show) -> TextFile {
        let at = self.0.clone();
        TextFile::new(move |text| show(&at, &at.task()?, text))
    }

    fn has(&self, what: &What) -> bool {
        match what {
            What::Tasks => self.0.is_group(),
            What::Single(_) => !self.0.is_group(),
            _ => true,
        }
    }

    fn make(&self, at: usize) -> Result<Arc<Inode>> {
        let place = &self.0;
        let proc = &place.proc;
        let number = place.number(1 + at as u64);
        let owner = place.owner(false)?;
        Ok(match &ENTRIES[at].1 {
            What::Text(show) | What::Single(show) => {
                proc.file(number, self.text(*show), 0o444, owner)
            }
            What::Guarded(mode, show) => {
                let guard = place.clone();
                let file = self.text(*show).guarded_by(move || guard.check_look());
                proc.file(number, file, *mode, owner)
            }
            What::Stored(show, store) => {
                let (writer, store) = (place.clone(), *store);
                let file = self.text(*show);
                let file =
                    file.stored_by(move |bytes, at, opener| store(&writer, bytes, at, opener));
                proc.file(number, file, 0o644, owner)
            }
            What::Link(leads) => {
                let (at, leads) = (place.clone(), *leads);
                proc.link(number, TaskLink { at, leads }, 0o777, owner)
            }
            What::Tasks => tasks_inode(place)?,
            What::Descriptors(which) => Descriptors::inode(place, *which, number)?,
            What::Namespaces => Namespaces::inode(place, number, owner),
        })
    }
}

/// What Linux says where a task was that is gone.
fn gone(_: Errno) -> Errno {
    Errno::ENOENT
}

impl VirtualDirectory for TaskDirectory {
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        frame::room()?;
        let mut known = ENTRIES.iter();
        let found = known.position(|(known, what)| known.as_bytes() == name && self.has(what));
        found.map(|at| self.make(at).map_err(gone)).transpose()
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>> {
        frame::room()?;
        self.0.task().map_err(gone)?;
        let known = ENTRIES.iter().enumerate();
        let known = known.filter(|(_, (_, what))| self.has(what));
        Ok(known
            .map(|(at, (name, what))| {
                let kind = match what {
                    What::Link(_) => LINK,
                    What::Tasks | What::Descriptors(_) | What::Namespaces => DIRECTORY,
                    _ => FILE,
                };
                (name.as_bytes().to_vec(), self.0.number(1 + at as u64), kind)
            })
            .collect())
    }

    fn parent(&self) -> Option<Arc<Inode>> {
        match &self.0.group {
            Some(group) => tasks_inode(group).ok(),
            None => self.0.proc.root(),
        }
    }

    fn name(&self) -> Vec<u8> {
        name_of(self.0.shown)
    }
}

/// The number of `task` among those of a group.
const TASKS: u64 = 1;

fn tasks_inode(at: &At) -> Result<Arc<Inode>> {
    let owner = at.owner(true)?;
    let directory = Tasks(Arc::new(at.clone()));
    Ok(at.proc.directory(at.number(TASKS), directory, 0o555, owner))
}

/// `/proc/PID/task`: the tasks of a group.
struct Tasks(Arc<At>);

impl Tasks {
    /// The group's tasks; the leader also when it has exited before others.
    fn members(&self) -> Result<Vec<Arc<Task>>> {
        let tgid = self.0.task().map_err(gone)?.tgid().0;
        let tree = TREE.lock();
        let mut members = tree.members(tgid);
        if crate::mutant!("proc-task-lists-leader-only") {
            members.clear();
        }
        if let Some(leader) = tree.task(tgid)
            && !members.iter().any(|task| Arc::ptr_eq(task, &leader))
        {
            members.insert(0, leader);
        }
        Ok(members)
    }

    fn at(&self, task: &Task, shown: u32) -> At {
        At {
            group: Some(self.0.clone()),
            ..At::of(&self.0.proc, task, shown)
        }
    }

    fn shown(&self, task: &Task) -> u32 {
        task.pid().number_in(&self.0.proc.namespace)
    }
}

impl VirtualDirectory for Tasks {
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        frame::room()?;
        let Some(wanted) = number(name).filter(|&number| number != 0) else {
            return Ok(None);
        };
        let members = self.members()?;
        let task = members.iter().find(|task| self.shown(task) == wanted);
        task.map(|task| self.at(task, wanted).inode().map_err(gone))
            .transpose()
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>> {
        frame::room()?;
        let members = self.members()?;
        let shown = members.iter().map(|task| (task, self.shown(task)));
        Ok(shown
            .filter(|(_, number)| *number != 0)
            .map(|(task, number)| (name_of(number), self.at(task, number).number(0), DIRECTORY))
            .collect())
    }

    fn parent(&self) -> Option<Arc<Inode>> {
        self.0.inode().ok()
    }

    fn name(&self) -> Vec<u8> {
        b"task".to_vec()
    }
}
