//! The end of a task.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::event::{SchedProcessExit, TaskState};
use abi::exit::Exit;
use linux_raw_sys::general::SIGCHLD;

use super::jobs::LastWill;
use super::tree::{INIT, TREE, Tree};
use super::{Task, census, current, orphans, pid_namespace, ptrace, robust, signal, stop, timers};
use crate::arch;
use crate::futex::{self, Futex};
use crate::mm::Mm;
use crate::probe;
use crate::sched;
use crate::signal::{Fields, SigInfo, Signal, code};

/// The wait status of a task that exited with a code.
#[must_use]
pub fn exited(code: i32) -> i32 {
    (code & 0xFF) << 8
}

/// Ends the running task with a wait status. No reference to anything may be
/// held by the caller: it does not come back.
pub fn exit(status: i32) -> ! {
    {
        let task = current();
        ptrace::before_exit(status);
        ptrace::leave_tracees(&task);
        probe::emit(&SchedProcessExit {
            task: task.id().into(),
            status: status as u64,
        });
        if task.id().0 == INIT {
            census::end(&task);
        }
        leave_memory(&task, None);
        super::ipc::undo::leave(&task);
        let (files, fs) = {
            let mut context = task.context.lock();
            (context.files.take(), context.fs.take())
        };
        if crate::mutant!("exit-closes-shared-files") {
            (3..64).for_each(|fd| drop(files.as_ref().map(|files| files.lock().remove(fd))));
        }
        if crate::mutant!("exit-keeps-descriptors") {
            core::mem::forget(files.clone());
        }
        drop(files);
        drop(fs);
        if is_last(&task) && task.group().is_init() {
            pid_namespace::end(&task);
        }
    }
    sched::exit_current(|| bury(status))
}

/// The task is on its way out. True if no other of its group stays.
fn is_last(task: &Task) -> bool {
    let mut tree = TREE.lock();
    tree.node_mut(task.tgid().0).is_some_and(|node| {
        node.leaving += 1;
        node.leaving == node.members.len()
    })
}

/// Ends the running task's whole group with a wait status.
pub fn exit_group(status: i32) -> ! {
    if crate::mutant!("exit-group-ends-one") {
        exit(status);
    }
    let status = {
        let task = current();
        let status = end_group(&task, status);
        // A thread of a group that has already ended otherwise.
        task.group().ending().unwrap_or(status)
    };
    exit(status)
}

/// Tells every task of a group to end with a wait status, unless the group
/// ends already. Gives the status with which it ends.
pub(super) fn end_group(task: &Task, status: i32) -> i32 {
    let status = *task.group().ending.lock().status.get_or_insert(status);
    let members = TREE.lock().members(task.tgid().0);
    for member in &members {
        signal::recalculate(member);
    }
    status
}

/// Leaves the task's memory, for another one or for good: whoever shares it
/// sees what was promised to them.
pub(super) fn leave_memory(task: &Arc<Task>, next: Option<Arc<Mm>>) {
    if let Some(mm) = task.mm() {
        robust::release(task, &mm);
        futex::leave_locks(task.id());
        clear_tid(task, &mm);
    }
    let root = next.as_ref().map_or(0, |mm| mm.root());
    let before = core::mem::replace(&mut task.context.lock().mm, next);
    sched::set_root(root);
    if crate::mutant!("leak-mm") {
        core::mem::forget(before.clone());
    }
    drop(before);
    if crate::mutant!("vfork-waits-for-the-end") && root != 0 {
        return;
    }
    let vfork = task.vfork.lock().take();
    if let Some(vfork) = vfork {
        vfork.complete();
    }
}

fn clear_tid(task: &Task, mm: &Arc<Mm>) {
    let address = task.clear_tid.swap(0, Ordering::Relaxed);
    // One reference is the task's own, one its caller's: nobody else would see it.
    if address == 0 || Arc::strong_count(mm) <= 2 {
        return;
    }
    if mm.write_value(address, 0_u32).is_ok()
        && let Ok(futex) = Futex::at(mm, address, false)
        && !crate::mutant!("cleartid-without-wake")
    {
        // Somebody who waits for a lock there waits for nothing else.
        let _ = futex::wake(&futex, 1, u32::MAX);
    }
}

/// The last steps, which nothing interrupts: the task leaves the tree, or
/// becomes a zombie in it, and whoever waits for it hears so.
fn bury(status: i32) -> TaskState {
    let task = current();
    let (pid, tgid) = (task.id().0, task.tgid().0);
    let mut tree = TREE.lock();
    let kept = pid != tgid && ptrace::keep_for_tracer(&task, status);
    let forgotten = if pid == tgid || kept {
        None
    } else {
        tree.forget_task(pid)
    };
    let Some(node) = tree.node_mut(tgid) else {
        return TaskState::Dead;
    };
    node.members.retain(|&member| member != pid);
    node.leaving -= 1;
    if pid == tgid {
        node.leader_status = status;
    }
    let last = node.members.is_empty();
    let state = if last {
        end_of_group(tree, &task)
    } else {
        let will = LastWill::of_task(&tree, &task);
        orphans::hand_on(&mut tree, &task);
        let members = tree.members(tgid);
        drop(tree);
        will.execute();
        stop::leave_group(&task, &members);
        if pid == tgid {
            TaskState::Zombie
        } else {
            TaskState::Dead
        }
    };
    orphans::gone(forgotten);
    task.group().shrunk.wake_all();
    if let Some(tracer) = task.trace().tracer().filter(|_| kept) {
        tell(&tracer, &task, task.number_for(&tracer), SIGCHLD, status);
    }
    state
}

type Locked = crate::sync::SpinGuard<'static, Tree>;

/// The last task of a group is gone.
fn end_of_group(mut tree: Locked, task: &Arc<Task>) -> TaskState {
    let tgid = task.tgid().0;
    let ending = task.group().ending();
    let Some(node) = tree.node_mut(tgid) else {
        return TaskState::Dead;
    };
    let status = ending.unwrap_or(node.leader_status);
    node.zombie = Some(status);
    if tgid == INIT {
        arch::debug_exit(machine_exit(status).to_raw());
    }
    let children = tree.node(tgid).map(|node| node.children.clone());
    let (reaper, zombies) = orphans::hand_over(&mut tree, task);
    let will = LastWill::of_group(&tree, task, &children.unwrap_or_default());
    let tracer = ptrace::other_tracer(&tree, tgid);
    let (parent, exit_signal) = match &tracer {
        Some(tracer) => (Some(tracer.clone()), SIGCHLD),
        None => whom_to_tell(&tree, tgid),
    };
    let ignored = exit_signal == SIGCHLD && parent.as_deref().is_some_and(reaps);
    let nobody = parent.as_ref().is_none_or(|parent| parent.is_kernel());
    let mut forgotten = Vec::new();
    let vanishes = crate::mutant!("zombie-vanishes")
        && parent
            .as_ref()
            .is_some_and(|parent| parent.tgid().0 != INIT);
    if ignored || nobody || vanishes {
        forgotten.extend(tree.forget_group(tgid));
    }
    let gone = !forgotten.is_empty();
    let reaper = tree.members(reaper).first().cloned();
    if reaper.as_deref().is_some_and(reaps) {
        forgotten.extend(orphans::let_go(&mut tree, &zombies));
    }
    drop(tree);
    timers::end_of_group(task.group());
    will.execute();
    if let Some(parent) = parent {
        let number = task.group_number_for(&parent);
        tell(&parent, task, number, exit_signal, status);
    }
    if let Some(reaper) = reaper.filter(|_| !zombies.is_empty()) {
        signal::send(&reaper, true, SigInfo::kernel(Signal::SIGCHLD));
        reaper.group().children.wake_all();
    }
    task.pid().notify();
    orphans::gone(forgotten);
    if gone {
        TaskState::Dead
    } else {
        TaskState::Zombie
    }
}

/// The task that hears of a group's end, and the signal for it: SIGCHLD if it
/// has become another program since, which did not ask for any other.
fn whom_to_tell(tree: &Tree, tgid: u32) -> (Option<Arc<Task>>, u32) {
    let Some(node) = tree.node(tgid) else {
        return (None, 0);
    };
    let members = tree.members(node.parent);
    let maker = members.iter().find(|member| member.id().0 == node.maker);
    let parent = maker.or(members.first()).cloned();
    let same = parent.as_ref().is_none_or(|parent| {
        parent.group().execs() == node.parent_execs || crate::mutant!("exit-signal-after-exec")
    });
    let exit_signal = if same { node.exit_signal } else { SIGCHLD };
    (parent, exit_signal)
}

fn reaps(parent: &Task) -> bool {
    parent.sighand().0.lock().reaps_children()
}

/// Sends the exit signal and wakes whoever waits.
fn tell(parent: &Arc<Task>, child: &Task, number: u32, exit_signal: u32, status: i32) {
    if let Some(signal) = Signal::new(u64::from(exit_signal)) {
        let (code, value) = match status & 0x7F {
            0 => (code::CLD_EXITED, status >> 8 & 0xFF),
            killer => (code::CLD_KILLED, killer),
        };
        let info = SigInfo {
            signal,
            code,
            fields: Fields::Child {
                pid: number as i32,
                uid: child.credentials().uid,
                status: value,
            },
        };
        super::signal::send(parent, true, info);
    }
    parent.group().children.wake_all();
}

/// A group that has ended belongs to its parent again once its tracer has
/// heard of that, or has let it go.
pub(super) fn after_tracer(leader: &Arc<Task>) {
    let tgid = leader.tgid().0;
    let mut tree = TREE.lock();
    let zombie = tree.node(tgid).and_then(|node| node.zombie);
    let Some(status) = zombie.filter(|_| leader.is_leader()) else {
        return;
    };
    let (parent, exit_signal) = whom_to_tell(&tree, tgid);
    let ignored = exit_signal == SIGCHLD && parent.as_deref().is_some_and(reaps);
    let forgotten = if ignored || parent.is_none() {
        tree.forget_group(tgid)
    } else {
        None
    };
    drop(tree);
    if let Some(parent) = parent {
        let number = leader.group_number_for(&parent);
        tell(&parent, leader, number, exit_signal, status);
    }
    orphans::gone(forgotten);
}

/// What the machine says when init ends.
fn machine_exit(status: i32) -> Exit {
    match status & 0x7F {
        0 => Exit::Status((status >> 8) as u8),
        killer => Exit::Signal(killer as u8),
    }
}
