//! Classes, priorities, nice values and CPUs of tasks.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::Call;
use super::pid::named;
use super::time::Timespec;
use crate::arch::percpu::MAX_CPUS;
use crate::errno::{Errno, Result};
use crate::mm::user::{self, Plain};
use crate::sched::class::{NICE_MAX, NICE_MIN, PRIORITY_MAX};
use crate::sched::{self, Attributes, Class, slice};
use crate::task::clone::ALL_CPUS;
use crate::task::group::{LIMIT_NICE, LIMIT_RTPRIO};
use crate::task::tree::TREE;
use crate::task::{self, Task};

const RESET_ON_FORK: u32 = linux::SCHED_RESET_ON_FORK;

fn number_of(class: Class) -> u32 {
    match class {
        Class::Other => linux::SCHED_NORMAL,
        Class::Batch => linux::SCHED_BATCH,
        Class::Idle => linux::SCHED_IDLE,
        Class::Fifo(_) => linux::SCHED_FIFO,
        Class::RoundRobin(_) => linux::SCHED_RR,
    }
}

/// The class with this number, and this priority, which only real-time classes
/// have.
fn class(number: u32, priority: u32) -> Result<Class> {
    let priority = u8::try_from(priority).ok();
    let priority = priority.filter(|&priority| priority <= PRIORITY_MAX);
    let priority = priority.ok_or(Errno::EINVAL)?;
    let class = match (number, priority) {
        (linux::SCHED_NORMAL, 0) => Class::Other,
        (linux::SCHED_NORMAL, _) if crate::mutant!("class-is-not-checked") => Class::Other,
        (linux::SCHED_BATCH, 0) => Class::Batch,
        (linux::SCHED_IDLE, 0) => Class::Idle,
        (linux::SCHED_FIFO, 1..) => Class::Fifo(priority),
        (linux::SCHED_RR, 1..) => Class::RoundRobin(priority),
        _ => return Err(Errno::EINVAL),
    };
    Ok(class)
}

/// True if the caller's effective user owns the task.
fn owns(task: &Task) -> bool {
    let (own, other) = (task::current().credentials(), task.credentials());
    own.euid == other.euid || own.euid == other.uid
}

/// True if the task's limit lets it have this nice value.
fn nice_allowed(task: &Task, nice: i8) -> bool {
    let (limit, _) = task.group().limit(LIMIT_NICE);
    i64::from(20 - i32::from(nice)) as u64 <= limit
}

/// Whether the caller may change what a task asks for, without privileges.
fn may_change(task: &Task, before: Attributes, new: Attributes) -> bool {
    let real_time = new.priority();
    let same_kind = number_of(before.class) == number_of(new.class);
    let (limit, _) = task.group().limit(LIMIT_RTPRIO);
    let too_urgent = real_time > 0
        && (!same_kind && limit == 0
            || real_time > before.priority() && u64::from(real_time) > limit);
    let too_nice = real_time == 0 && new.nice < before.nice && !nice_allowed(task, new.nice);
    let leaves_idle =
        before.class == Class::Idle && new.class != Class::Idle && !nice_allowed(task, before.nice);
    let gives_up_reset = before.reset_on_fork && !new.reset_on_fork;
    owns(task) && !(too_urgent || too_nice || leaves_idle || gives_up_reset)
}

fn change(task: &Task, new: Attributes) -> Result<()> {
    let before = task.attributes();
    if !task::current().may_schedule() && !may_change(task, before, new) {
        return Err(Errno::EPERM);
    }
    sched::set_attributes(task.id(), task.account(), new);
    Ok(())
}

/// The task of a PID that must not be negative.
fn target(pid: u64) -> Result<Arc<Task>> {
    if (pid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    named(pid)
}

pub(super) fn sched_setscheduler(call: &mut Call<'_>) -> Result<u64> {
    let [pid, policy, param, ..] = call.args;
    if (policy as i32) < 0 || param == 0 || (pid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let priority: u32 = user::read_value(param)?;
    let task = target(pid)?;
    let policy = policy as u32;
    let new = Attributes {
        class: class(policy & !RESET_ON_FORK, priority)?,
        nice: task.attributes().nice,
        reset_on_fork: policy & RESET_ON_FORK != 0,
    };
    change(&task, new)?;
    Ok(0)
}

pub(super) fn sched_setparam(call: &mut Call<'_>) -> Result<u64> {
    let [pid, param, ..] = call.args;
    if param == 0 || (pid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let priority: u32 = user::read_value(param)?;
    let task = target(pid)?;
    let before = task.attributes();
    let class = class(number_of(before.class), priority)?;
    change(&task, Attributes { class, ..before })?;
    Ok(0)
}

pub(super) fn sched_getscheduler(call: &mut Call<'_>) -> Result<u64> {
    let attributes = target(call.args[0])?.attributes();
    let reset = if attributes.reset_on_fork {
        RESET_ON_FORK
    } else {
        0
    };
    Ok(u64::from(number_of(attributes.class) | reset))
}

pub(super) fn sched_getparam(call: &mut Call<'_>) -> Result<u64> {
    let [pid, param, ..] = call.args;
    if param == 0 {
        return Err(Errno::EINVAL);
    }
    let priority = target(pid)?.attributes().priority();
    user::write_value(param, u32::from(priority))?;
    Ok(0)
}

/// `struct sched_attr` up to the last field that this kernel heeds.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    deadline: [u64; 3],
    clamp: [u32; 2],
}

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for SchedAttr {}

const ATTR_SIZE: u32 = size_of::<SchedAttr>() as u32;
/// Bytes of its first version.
const ATTR_SIZE_0: u32 = 48;

const FLAG_RESET_ON_FORK: u64 = linux::SCHED_FLAG_RESET_ON_FORK as u64;
const FLAG_KEEP_POLICY: u64 = linux::SCHED_FLAG_KEEP_POLICY as u64;
const FLAG_KEEP_PARAMS: u64 = linux::SCHED_FLAG_KEEP_PARAMS as u64;
/// Flags that mean something for deadlines only.
const FLAGS_DEADLINE: u64 = (linux::SCHED_FLAG_RECLAIM | linux::SCHED_FLAG_DL_OVERRUN) as u64;
/// Flags of a Linux that clamps frequencies, which this one does not.
const FLAGS_CLAMP: u64 =
    (linux::SCHED_FLAG_UTIL_CLAMP_MIN | linux::SCHED_FLAG_UTIL_CLAMP_MAX) as u64;

/// Reads a `sched_attr` of whatever version.
fn read_attr(address: u64) -> Result<SchedAttr> {
    let size = match user::read_value::<u32>(address)? {
        0 => ATTR_SIZE_0,
        size => size,
    };
    let too_big = || {
        // The caller is told what this kernel knows.
        user::write_value(address, ATTR_SIZE)?;
        Err(Errno::E2BIG)
    };
    if !(ATTR_SIZE_0..=4096).contains(&size) {
        return too_big();
    }
    let mut words = [0_u32; ATTR_SIZE as usize / 4];
    let known = size.min(ATTR_SIZE) / 4;
    for (at, word) in (0..).step_by(4).zip(words.iter_mut().take(known as usize)) {
        *word = user::read_value(address + at)?;
    }
    for at in u64::from(ATTR_SIZE)..u64::from(size) {
        if user::read_value::<u8>(address + at)? != 0 {
            return too_big();
        }
    }
    let long = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
    Ok(SchedAttr {
        size,
        policy: words[1],
        flags: long(2),
        nice: words[4] as i32,
        priority: words[5],
        ..SchedAttr::default()
    })
}

pub(super) fn sched_setattr(call: &mut Call<'_>) -> Result<u64> {
    let [pid, address, flags, ..] = call.args;
    if address == 0 || (pid as i32) < 0 || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let attr = read_attr(address)?;
    let known = FLAG_RESET_ON_FORK | FLAG_KEEP_POLICY | FLAG_KEEP_PARAMS | FLAGS_DEADLINE;
    if (attr.policy as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let task = target(pid)?;
    if attr.flags & !(known | FLAGS_CLAMP) != 0 {
        return Err(Errno::EINVAL);
    }
    if attr.flags & FLAGS_CLAMP != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let before = task.attributes();
    let keeps = |flag| attr.flags & flag != 0;
    let policy = if keeps(FLAG_KEEP_POLICY) {
        number_of(before.class)
    } else {
        attr.policy
    };
    let keeps_params = keeps(FLAG_KEEP_PARAMS);
    let nice = attr.nice.clamp(NICE_MIN.into(), NICE_MAX.into()) as i8;
    let (priority, nice) = if keeps_params {
        (u32::from(before.priority()), before.nice)
    } else {
        (attr.priority, nice)
    };
    let class = class(policy, priority)?;
    let real_time = matches!(class, Class::Fifo(_) | Class::RoundRobin(_));
    let new = Attributes {
        class,
        nice: if real_time { before.nice } else { nice },
        reset_on_fork: keeps(FLAG_RESET_ON_FORK),
    };
    change(&task, new)?;
    Ok(0)
}

pub(super) fn sched_getattr(call: &mut Call<'_>) -> Result<u64> {
    let [pid, address, size, flags, ..] = call.args;
    let size = size as u32;
    if address == 0 || !(ATTR_SIZE_0..=4096).contains(&size) || flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let attributes = target(pid)?.attributes();
    let priority = attributes.priority();
    let size = size.min(ATTR_SIZE);
    let attr = SchedAttr {
        size,
        policy: number_of(attributes.class),
        flags: u64::from(attributes.reset_on_fork),
        nice: if priority == 0 {
            attributes.nice.into()
        } else {
            0
        },
        priority: priority.into(),
        ..SchedAttr::default()
    };
    user::write_bytes(address, &user::bytes_of(&attr)[..size as usize])?;
    Ok(0)
}

fn priorities(policy: u64) -> Result<(u64, u64)> {
    match policy as u32 {
        linux::SCHED_FIFO | linux::SCHED_RR => Ok((1, PRIORITY_MAX.into())),
        linux::SCHED_NORMAL | linux::SCHED_BATCH | linux::SCHED_IDLE | linux::SCHED_DEADLINE => {
            Ok((0, 0))
        }
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn priority_max(call: &mut Call<'_>) -> Result<u64> {
    priorities(call.args[0]).map(|(_, max)| max)
}

pub(super) fn priority_min(call: &mut Call<'_>) -> Result<u64> {
    priorities(call.args[0]).map(|(min, _)| min)
}

pub(super) fn rr_get_interval(call: &mut Call<'_>) -> Result<u64> {
    let interval = match target(call.args[0])?.attributes().class {
        Class::Fifo(_) => 0,
        _ => slice::nanoseconds(),
    };
    user::write_value(call.args[1], Timespec::from_nanoseconds(interval))?;
    Ok(0)
}

/// The tasks that `getpriority` and `setpriority` mean.
fn meant(which: u64, who: u64) -> Result<Vec<Arc<Task>>> {
    let (who, me) = (who as u32, task::current());
    let every = |meant: &dyn Fn(&Task) -> bool| {
        let tree = TREE.lock();
        let groups = tree
            .groups()
            .flat_map(|node| tree.members(node.group.id().0));
        groups
            .filter(|task| !task.is_kernel() && meant(task))
            .collect::<Vec<_>>()
    };
    let tasks = match which as u32 {
        linux::PRIO_PROCESS => alloc::vec![named(who.into())?],
        linux::PRIO_PGRP => {
            let group = if who == 0 {
                me.process_group()
            } else {
                who as i32
            };
            every(&|task| task.process_group() == group)
        }
        linux::PRIO_USER => {
            let uid = if who == 0 { me.credentials().uid } else { who };
            every(&|task| task.credentials().uid == uid)
        }
        _ => return Err(Errno::EINVAL),
    };
    if tasks.is_empty() {
        return Err(Errno::ESRCH);
    }
    Ok(tasks)
}

/// The result is 20 less the nice value, so that no result is negative.
pub(super) fn getpriority(call: &mut Call<'_>) -> Result<u64> {
    let tasks = meant(call.args[0], call.args[1])?;
    let shown = |task: &Arc<Task>| (20 - i32::from(task.attributes().nice)) as u64;
    tasks.iter().map(shown).max().ok_or(Errno::ESRCH)
}

pub(super) fn setpriority(call: &mut Call<'_>) -> Result<u64> {
    let nice = call.int(2).clamp(NICE_MIN.into(), NICE_MAX.into()) as i8;
    let mut outcome = Ok(0);
    for task in meant(call.args[0], call.args[1])? {
        if let Err(error) = set_nice(&task, nice) {
            outcome = Err(error);
        }
    }
    outcome
}

fn set_nice(task: &Task, nice: i8) -> Result<()> {
    let before = task.attributes();
    let privileged = task::current().may_schedule();
    if !privileged && !owns(task) {
        return Err(Errno::EPERM);
    }
    let allowed = nice >= before.nice || nice_allowed(task, nice);
    if !privileged && !allowed && !crate::mutant!("anybody-is-urgent") {
        return Err(Errno::EACCES);
    }
    let new = Attributes { nice, ..before };
    sched::set_attributes(task.id(), task.account(), new);
    Ok(())
}

/// Bytes of the mask that this kernel has: a word.
const CPU_MASK: u64 = 8;

pub(super) fn sched_setaffinity(call: &mut Call<'_>) -> Result<u64> {
    let [pid, len, mask, ..] = call.args;
    let mut bytes = [0; CPU_MASK as usize];
    user::read_bytes(mask, &mut bytes[..len.min(CPU_MASK) as usize])?;
    let task = named(pid)?;
    if !owns(&task) && !task::current().may_schedule() {
        return Err(Errno::EPERM);
    }
    let wanted = u64::from_le_bytes(bytes) & ALL_CPUS;
    if wanted == 0 {
        return Err(Errno::EINVAL);
    }
    task.account().set_affinity(wanted);
    Ok(0)
}

pub(super) fn sched_getaffinity(call: &mut Call<'_>) -> Result<u64> {
    let [pid, len, mask, ..] = call.args;
    if len * 8 < MAX_CPUS as u64 || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    user::write_value(mask, named(pid)?.account().affinity())?;
    Ok(CPU_MASK)
}

pub(super) fn getcpu(call: &mut Call<'_>) -> Result<u64> {
    // The one CPU, in the one node.
    for place in [call.args[0], call.args[1]] {
        if place != 0 {
            user::write_value(place, 0_u32)?;
        }
    }
    Ok(0)
}
