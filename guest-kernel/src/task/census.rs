//! The census: what there is of each kind of thing when init's first child is
//! about to begin, and again when init ends. Nothing may be left over.
//!
//! What is counted belongs to user tasks. Not counted, since it may rightly
//! differ between the two moments, is what these hold:
//!
//! - init itself: its memory, its descriptors, and what they stand for;
//! - the kernel's own tasks, which begin whenever kthreadd comes to it;
//! - segments of shared memory that a program leaves in init's IPC namespace
//!   without removing them: they have a name as well;
//! - names: a file that a program leaves in a file system is no leak, and
//!   neither are its pages. An inode that no name leads to is one;
//! - page tables of the kernel map, which grow with the most stacks that there
//!   ever were at one time, and stay.
//!
//! So at the end only init may be left, with nothing beside it. (The `init` of
//! this project ends whatever its main program left running.)

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use abi::event::{Census as CensusEvent, FrameKind, Leak};

use super::Task;
use super::clone::STACK_PAGES;
use super::tree::TREE;
use crate::block::{self, BlockDevice};
use crate::count::{self, Type};
use crate::fs::{File, Inode};
use crate::mm::{frame, heap, kernel_map};
use crate::probe;
use crate::sync::Once;

/// Frames that are counted by what they are taken for. Those of the heap are
/// not: its objects are.
const FRAMES: [(FrameKind, &str); 4] = [
    (FrameKind::User, "user frames"),
    (FrameKind::PageTable, "page-table frames"),
    (FrameKind::KernelStack, "kernel-stack frames"),
    (FrameKind::PageCache, "page-cache frames"),
];

const TYPES: usize = Type::ALL.len();

/// What there is, by type and by kind of frame.
#[derive(Clone)]
struct Census {
    objects: [i64; TYPES],
    frames: [i64; FRAMES.len()],
    /// Objects of the heap. Told, not compared: lists keep room for as many
    /// entries as they once had.
    heap: i64,
}

static BEFORE: Once<Census> = Once::new();

/// Init is about to make a task: if it is the first, this is what there is to
/// come back to.
pub(super) fn begin(init: &Task) {
    if BEFORE.get().is_none() {
        BEFORE.set(Census::take(init));
    }
}

/// Init ends: says what there was and what there is, and what was lost.
pub(super) fn end(init: &Task) {
    let Some(before) = BEFORE.get() else {
        return;
    };
    let after = Census::take(init);
    let names = Type::ALL.iter().map(|what| what.name());
    let frames = FRAMES.iter().map(|(_, name)| *name);
    let pairs = before.numbers().zip(after.numbers());
    for (name, (before, after)) in names.chain(frames).zip(pairs) {
        tell(name, before, after);
        if before != after {
            probe::emit(&Leak {
                before: before as u64,
                after: after as u64,
                what: name.into(),
            });
        }
    }
    tell("heap objects", before.heap, after.heap);
}

fn tell(name: &str, before: i64, after: i64) {
    probe::emit(&CensusEvent {
        before: before as u64,
        after: after as u64,
        what: name.into(),
    });
}

impl Census {
    fn take(init: &Task) -> Self {
        let mut census = Census {
            objects: [0; TYPES],
            frames: FRAMES.map(|(kind, _)| frame::taken(kind) as i64),
            heap: heap::objects() as i64,
        };
        for what in Type::ALL {
            census.objects[*what as usize] = count::alive(*what);
        }
        census.leave_out_kernel();
        census.leave_out_init(init);
        census
    }

    fn numbers(&self) -> impl Iterator<Item = i64> {
        self.objects.iter().chain(&self.frames).copied()
    }

    fn less(&mut self, what: Type, count: usize) {
        self.objects[what as usize] -= count as i64;
    }

    fn less_frames(&mut self, kind: FrameKind, count: u64) {
        let at = FRAMES.iter().position(|(known, _)| *known == kind);
        if let Some(at) = at {
            self.frames[at] -= count as i64;
        }
    }

    /// The kernel's own tasks, and the pages of the disk that it keeps. The idle task runs on the stack of boot.
    fn leave_out_kernel(&mut self) {
        let kernel = TREE.lock().count_kernel();
        for what in [Type::Task, Type::Group, Type::Pid] {
            self.less(what, kernel);
        }
        let stacks = kernel.saturating_sub(1) * STACK_PAGES;
        self.less_frames(FrameKind::KernelStack, stacks as u64);
        self.less_frames(FrameKind::PageTable, kernel_map::tables());
        let pages = block::device().map_or(0, BlockDevice::cached_pages);
        self.less_frames(FrameKind::PageCache, pages);
    }

    /// What init holds, and what has a name.
    fn leave_out_init(&mut self, init: &Task) {
        if let Some(mm) = init.mm() {
            let usage = mm.usage();
            self.less_frames(FrameKind::User, usage.user_frames);
            self.less_frames(FrameKind::PageTable, usage.tables);
        }
        let (segments, _, _, pages) = init.namespaces().ipc.segment_totals();
        self.less(Type::SharedPages, segments as usize);
        self.less_frames(FrameKind::User, pages);
        let root = init.fs().lock().root.clone();
        let mut seen = Seen::default();
        let mounts = root.mount().tree();
        self.less(Type::Mount, mounts.len());
        for mount in mounts {
            seen.tree(mount.super_block().root());
        }
        let files = init.files().lock().all();
        let mut known = BTreeSet::new();
        for (_, file, _) in &files {
            if known.insert(Arc::<File>::as_ptr(file) as usize) {
                self.less(Type::File, 1);
                seen.inode(file.inode());
            }
        }
        self.less(Type::Inode, seen.inodes.len());
        self.less_frames(FrameKind::PageCache, seen.frames);
    }
}

/// Inodes that were come across, and the frames that they hold.
#[derive(Default)]
struct Seen {
    inodes: BTreeSet<usize>,
    frames: u64,
}

impl Seen {
    /// Counts an inode. False if it was counted before.
    fn inode(&mut self, inode: &Arc<Inode>) -> bool {
        let new = self.inodes.insert(Arc::as_ptr(inode) as usize);
        if new && let Some(regular) = inode.regular() {
            self.frames += regular.pages();
        }
        new
    }

    /// Counts all that can be reached by name.
    fn tree(&mut self, root: &Arc<Inode>) {
        let mut todo = alloc::vec![root.clone()];
        while let Some(inode) = todo.pop() {
            if !self.inode(&inode) {
                continue;
            }
            let Ok(directory) = inode.directory() else {
                continue;
            };
            todo.extend(directory.inodes());
        }
    }
}
