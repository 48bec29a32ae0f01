//! Which tasks share which parts of their context, as far as events tell.
//!
//! Each part of a context that a task has is an object with a number. Two tasks
//! that have the same number in the same part share that part: what one of them
//! changes there, the other one sees.

use std::collections::BTreeMap;

use super::LaneId;

/// A part of a task's context that clone shares or copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Part {
    /// The address space.
    Memory = 0,
    /// The table of open files.
    Files = 1,
    /// Root, working directory and umask.
    Fs = 2,
    /// The signal handlers.
    Handlers = 3,
    /// The thread group: what is called a process.
    Group = 4,
    /// What System V semaphores undo at the end.
    Undo = 5,
    /// The priority of input and output.
    Io = 6,
    /// The namespace of mounts.
    Mounts = 7,
    /// The namespace of the host's name.
    Uts = 8,
    /// The namespace of System V objects.
    Ipc = 9,
    /// The namespace of task numbers in which it lives.
    Pids = 10,
    /// The namespace of user numbers.
    Users = 11,
    /// The namespace of control groups.
    Cgroups = 12,
}

/// How clone treats a part.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Shared if the flag is set.
    SharedBy(u64),
    /// Shared unless the flag is set.
    NewBy(u64),
}

const VM: u64 = 0x100;
const FS: u64 = 0x200;
const FILES: u64 = 0x400;
const SIGHAND: u64 = 0x800;
const THREAD: u64 = 0x1_0000;
const NEWNS: u64 = 0x2_0000;
const SYSVSEM: u64 = 0x4_0000;
const NEWCGROUP: u64 = 0x200_0000;
const NEWUTS: u64 = 0x400_0000;
const NEWIPC: u64 = 0x800_0000;
const NEWUSER: u64 = 0x1000_0000;
const NEWPID: u64 = 0x2000_0000;
const IO: u64 = 0x8000_0000;

/// The parts in their order, each with what people call it and its rule.
const PARTS: [(Part, &str, Rule); 13] = [
    (Part::Memory, "memory", Rule::SharedBy(VM)),
    (Part::Files, "files", Rule::SharedBy(FILES)),
    (Part::Fs, "fs", Rule::SharedBy(FS)),
    (Part::Handlers, "handlers", Rule::SharedBy(SIGHAND)),
    (Part::Group, "group", Rule::SharedBy(THREAD)),
    (Part::Undo, "undo", Rule::SharedBy(SYSVSEM)),
    (Part::Io, "io", Rule::SharedBy(IO)),
    (Part::Mounts, "mounts", Rule::NewBy(NEWNS)),
    (Part::Uts, "uts", Rule::NewBy(NEWUTS)),
    (Part::Ipc, "ipc", Rule::NewBy(NEWIPC)),
    (Part::Pids, "pids", Rule::NewBy(NEWPID)),
    (Part::Users, "users", Rule::NewBy(NEWUSER)),
    (Part::Cgroups, "cgroups", Rule::NewBy(NEWCGROUP)),
];

impl Part {
    /// Every part, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Part> {
        PARTS.iter().map(|(part, ..)| *part)
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        PARTS[self as usize].1
    }
}

/// The objects that a task's context consists of, by part; 0 is none.
pub type Context = [u32; PARTS.len()];

/// A task has another object for one part from a cycle on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// From this cycle on.
    pub cycle: u64,
    /// The task.
    pub lane: LaneId,
    /// The part.
    pub part: Part,
    /// The object that it has from here on; 0 is none.
    pub object: u32,
}

/// A system call that has begun and will change the caller's context if it succeeds.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Unshare(u64),
    Setns(u64),
    CloseRange,
}

/// Who shared what when.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    now: BTreeMap<LaneId, Context>,
    changes: Vec<Change>,
    objects: u32,
    pending: BTreeMap<LaneId, Pending>,
    /// The namespace that a task's children get, where it is not its own.
    pids_of_children: BTreeMap<LaneId, u32>,
}

const UNSHARE: u64 = 272;
const SETNS: u64 = 308;
const CLOSE_RANGE: u64 = 436;
/// CLOSE_RANGE_UNSHARE
const RANGE_UNSHARE: u64 = 2;

impl Sharing {
    /// All changes in the order of time.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The contexts of all tasks that have one, just after this cycle.
    #[must_use]
    pub fn at(&self, cycle: u64) -> BTreeMap<LaneId, Context> {
        let mut contexts: BTreeMap<LaneId, Context> = BTreeMap::new();
        for change in self.changes.iter().take_while(|c| c.cycle <= cycle) {
            contexts.entry(change.lane).or_default()[change.part as usize] = change.object;
        }
        contexts.retain(|_, context| context.iter().any(|object| *object != 0));
        contexts
    }

    fn fresh(&mut self) -> u32 {
        self.objects += 1;
        self.objects
    }

    fn set(&mut self, cycle: u64, lane: LaneId, part: Part, object: u32) {
        let context = self.now.entry(lane).or_default();
        if context[part as usize] != object {
            context[part as usize] = object;
            self.changes.push(Change {
                cycle,
                lane,
                part,
                object,
            });
        }
    }

    fn renew(&mut self, cycle: u64, lane: LaneId, part: Part) {
        let object = self.fresh();
        self.set(cycle, lane, part, object);
    }

    /// A context that nobody has seen being made consists of objects of its own.
    fn known(&mut self, cycle: u64, lane: LaneId) -> Context {
        if !self.now.contains_key(&lane) {
            for part in Part::all() {
                // Kernel threads borrow whatever address space there is.
                let none = part == Part::Memory && lane == super::IDLE;
                let object = if none { 0 } else { self.fresh() };
                self.set(cycle, lane, part, object);
            }
        }
        self.now.get(&lane).copied().unwrap_or_default()
    }

    pub(super) fn fork(&mut self, cycle: u64, parent: LaneId, child: LaneId, flags: u64) {
        let since = if parent == super::IDLE { 0 } else { cycle };
        let theirs = self.known(since, parent);
        for (part, _, rule) in PARTS {
            let shared = match rule {
                Rule::SharedBy(flag) => flags & flag != 0,
                Rule::NewBy(flag) => flags & flag == 0,
            };
            let object = match (shared, part) {
                (true, Part::Pids) => *self
                    .pids_of_children
                    .get(&parent)
                    .unwrap_or(&theirs[part as usize]),
                (true, _) => theirs[part as usize],
                (false, _) => self.fresh(),
            };
            self.set(cycle, child, part, object);
        }
    }

    /// A new program has a new address space, and handlers and files that
    /// nobody shares; the other threads are gone.
    pub(super) fn exec(&mut self, cycle: u64, lane: LaneId) {
        let own = self.known(cycle, lane);
        self.renew(cycle, lane, Part::Memory);
        for part in [Part::Files, Part::Handlers] {
            if self.is_shared(part, own[part as usize], lane) {
                self.renew(cycle, lane, part);
            }
        }
    }

    fn is_shared(&self, part: Part, object: u32, lane: LaneId) -> bool {
        self.now
            .iter()
            .any(|(other, context)| *other != lane && context[part as usize] == object)
    }

    pub(super) fn exit(&mut self, cycle: u64, lane: LaneId) {
        for part in Part::all() {
            self.set(cycle, lane, part, 0);
        }
        self.now.remove(&lane);
        self.pids_of_children.remove(&lane);
    }

    /// A system call begins.
    pub(super) fn enter(&mut self, lane: LaneId, args: &[u64; 5]) {
        let pending = match args[0] {
            UNSHARE => Pending::Unshare(implied(args[1])),
            SETNS => Pending::Setns(args[2]),
            CLOSE_RANGE if args[3] & RANGE_UNSHARE != 0 => Pending::CloseRange,
            _ => return,
        };
        self.pending.insert(lane, pending);
    }

    /// A system call ends: its number and its result.
    pub(super) fn leave(&mut self, cycle: u64, lane: LaneId, args: &[u64; 5]) {
        if !matches!(args[0], UNSHARE | SETNS | CLOSE_RANGE) {
            return;
        }
        let Some(pending) = self.pending.remove(&lane).filter(|_| args[1] == 0) else {
            return;
        };
        let own = self.known(cycle, lane);
        match pending {
            Pending::Unshare(flags) => self.unshare(cycle, lane, flags, &own),
            // Which namespace it is that the descriptor stands for, no event
            // tells: it counts as one that nobody else is known to have.
            Pending::Setns(kind) => self.unshare(cycle, lane, kind, &own),
            Pending::CloseRange => self.part_from(cycle, lane, Part::Files, &own),
        }
    }

    fn unshare(&mut self, cycle: u64, lane: LaneId, flags: u64, own: &Context) {
        for (part, _, rule) in PARTS {
            match rule {
                Rule::SharedBy(flag) if flags & flag != 0 => {
                    self.part_from(cycle, lane, part, own);
                }
                Rule::NewBy(NEWPID) if flags & NEWPID != 0 => {
                    let object = self.fresh();
                    self.pids_of_children.insert(lane, object);
                }
                Rule::NewBy(flag) if flags & flag != 0 => self.renew(cycle, lane, part),
                _ => {}
            }
        }
    }

    /// An own copy of a part, if somebody else has the same.
    fn part_from(&mut self, cycle: u64, lane: LaneId, part: Part, own: &Context) {
        if self.is_shared(part, own[part as usize], lane) {
            self.renew(cycle, lane, part);
        }
    }
}

/// What unshare's flags ask for without saying so.
fn implied(flags: u64) -> u64 {
    let mut all = flags;
    if flags & (NEWNS | NEWUSER) != 0 {
        all |= FS;
    }
    if flags & NEWIPC != 0 {
        all |= SYSVSEM;
    }
    all
}
