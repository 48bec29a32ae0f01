//! What a task is and does: `status`, `stat`, `comm`, `children`, `wchan`.

use alloc::sync::Arc;

use abi::event::TaskRename;
use linux_raw_sys::general::{SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RR};

use super::task_directory::At;
use super::text::{Text, put};
use crate::errno::{Errno, Result};
use crate::fs::device::Device;
use crate::fs::tty;
use crate::mm::space::Usage as Memory;
use crate::probe;
use crate::sched::{self, Usage};
use crate::signal::{self, SIG_DFL, SIG_IGN, SigSet, Signal};
use crate::task::credentials::Credentials;
use crate::task::group::LIMIT_SIGPENDING;
use crate::task::pid::Pid;
use crate::task::tree::TREE;
use crate::task::{Task, current};

/// Clock ticks in a second.
const TICK: u64 = 10_000_000;
/// Flags of `stat`: it has run no program since it was forked; it is the kernel's.
const PF_FORKNOEXEC: u64 = 0x40;
const PF_KTHREAD: u64 = 0x0020_0000;

/// A task's state, by Linux's letter and word.
fn state(task: &Task) -> (&'static str, &'static str) {
    let letter = sched::state(task.id()).map_or("Z", abi::event::TaskState::name);
    let letter = if letter == "T" && crate::mutant!("proc-stopped-is-sleeping") {
        "S"
    } else {
        letter
    };
    let letter = if task.trace().is_stopped() {
        "t"
    } else {
        letter
    };
    let word = match letter {
        "t" => "tracing stop",
        "R" => "running",
        "S" => "sleeping",
        "D" => "disk sleep",
        "T" => "stopped",
        "I" => "idle",
        "X" => "dead",
        _ => "zombie",
    };
    (letter, word)
}

/// What the tree knows of a task's group, by the numbers that /proc shows.
struct Family {
    parent: u32,
    tasks: usize,
    exit_signal: u32,
    reaped: Usage,
}

fn family(at: &At, task: &Task) -> Family {
    let namespace = &at.proc.namespace;
    let tgid = task.tgid().0;
    let tree = TREE.lock();
    let node = tree.node(tgid);
    let parent = node.and_then(|node| tree.node(node.parent));
    let leader_gone = node.is_some_and(|node| !node.members.contains(&tgid));
    Family {
        parent: parent.map_or(0, |parent| parent.group.pid().number_in(namespace)),
        tasks: node.map_or(0, |node| node.members.len()) + usize::from(leader_gone),
        exit_signal: node.map_or(0, |node| node.exit_signal),
        reaped: *task.group().reaped.lock(),
    }
}

/// The signals that a task's handlers ignore, and those that they catch.
fn handled(task: &Task) -> (u64, u64) {
    let sighand = task.sighand();
    let actions = sighand.0.lock();
    let of = |which: fn(u64) -> bool| {
        let numbers = (1..=64).filter_map(Signal::new);
        let chosen = numbers.filter(|&signal| which(actions.get(signal).handler));
        chosen.fold(SigSet::default(), SigSet::with).bits()
    };
    (
        of(|handler| handler == SIG_IGN),
        of(|handler| handler != SIG_IGN && handler != SIG_DFL),
    )
}

fn put_name(text: &mut Text, task: &Task) -> Result<()> {
    let comm = task.comm();
    let len = comm.iter().position(|&byte| byte == 0);
    text.push(&comm[..len.unwrap_or(comm.len())])
}

/// `status`: for people.
pub(super) fn status(at: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    put!(text, "Name:\t");
    put_name(text, task)?;
    if let Some(fs) = task.folder() {
        put!(text, "\nUmask:\t{:04o}", fs.lock().umask);
    }
    let (letter, word) = state(task);
    put!(text, "\nState:\t{letter} ({word})\n");
    put_numbers(at, task, text)?;
    put_users(task, text)?;
    put_numbers_below(at, task, text)?;
    if let Some(mm) = task.mm() {
        put_memory(&mm.usage(), text)?;
    }
    put!(text, "Threads:\t{}\n", family(at, task).tasks);
    put_signals(task, text)?;
    put_capabilities(&task.credentials(), text)?;
    put!(
        text,
        "Seccomp:\t0\nCpus_allowed:\t{:x}\n",
        task.account().affinity()
    );
    put!(text, "Cpus_allowed_list:\t0\n");
    let usage = task.account().clock.usage();
    put!(text, "voluntary_ctxt_switches:\t{}\n", usage.voluntary);
    put!(text, "nonvoluntary_ctxt_switches:\t{}\n", usage.involuntary);
    Ok(())
}

fn put_numbers(at: &At, task: &Task, text: &mut Text) -> Result<()> {
    let namespace = &at.proc.namespace;
    let tgid = task.group().pid().number_in(namespace);
    let pid = task.pid().number_in(namespace);
    let shown = if crate::mutant!("proc-status-tgid-is-pid") {
        pid
    } else {
        tgid
    };
    put!(text, "Tgid:\t{shown}\nNgid:\t0\nPid:\t{pid}\n");
    let tracer = task.trace().tracer();
    let tracer = tracer.filter(|_| !crate::mutant!("tracer-unseen"));
    let tracer = tracer.map_or(0, |tracer| tracer.pid().number_in(namespace));
    put!(
        text,
        "PPid:\t{}\nTracerPid:\t{tracer}\n",
        family(at, task).parent
    );
    Ok(())
}

/// The numbers in all namespaces from this /proc's downwards.
fn put_numbers_below(at: &At, task: &Task, text: &mut Text) -> Result<()> {
    let group = task.group();
    let (leads, session) = (group.process_group_pid(), group.session_pid());
    let pids: [(&str, Arc<Pid>); 4] = [
        ("NStgid", group.pid().clone()),
        ("NSpid", task.pid()),
        ("NSpgid", leads),
        ("NSsid", session),
    ];
    for (name, pid) in pids {
        put!(text, "{name}:");
        for number in pid.numbers_from(&at.proc.namespace) {
            put!(text, "\t{number}");
        }
        put!(text, "\n");
    }
    put!(text, "Kthread:\t{}\n", u32::from(task.is_kernel()));
    Ok(())
}

fn put_users(task: &Task, text: &mut Text) -> Result<()> {
    let its = task.credentials();
    let reader = current().credentials().user.clone();
    put!(text, "Uid:");
    for uid in [its.uid, its.euid, its.suid, its.fsuid] {
        put!(text, "\t{}", reader.uid_or_nobody(uid));
    }
    put!(text, "\nGid:");
    for gid in [its.gid, its.egid, its.sgid, its.fsgid] {
        put!(text, "\t{}", reader.gid_or_nobody(gid));
    }
    let slots = task.open_files().map_or(0, |files| files.lock().size());
    put!(text, "\nFDSize:\t{slots}\nGroups:\t");
    for &gid in its.groups.iter() {
        put!(text, "{} ", reader.gid_or_nobody(gid));
    }
    put!(text, "\n");
    Ok(())
}

fn put_memory(memory: &Memory, text: &mut Text) -> Result<()> {
    let file = memory.resident - memory.user_frames;
    let lines = [
        ("VmSize", memory.pages),
        ("VmRSS", memory.resident),
        ("RssAnon", memory.user_frames - memory.shared_frames),
        ("RssFile", file),
        ("RssShmem", memory.shared_frames),
        ("VmData", memory.data),
        ("VmStk", memory.stack),
        ("VmExe", memory.code),
        ("VmPTE", memory.tables),
    ];
    for (name, pages) in lines {
        put!(text, "{name}:\t{:8} kB\n", pages * 4);
    }
    Ok(())
}

fn put_signals(task: &Task, text: &mut Text) -> Result<()> {
    let (own, blocked) = {
        let signals = task.signals.lock();
        (signals.pending.set(), signals.blocked)
    };
    let shared = task.group().signals.lock().pending.set();
    let (own, shared) = if crate::mutant!("proc-pending-swapped") {
        (shared, own)
    } else {
        (own, shared)
    };
    let (limit, _) = task.group().limit(LIMIT_SIGPENDING);
    let queued = signal::queued(task.credentials().uid);
    put!(text, "SigQ:\t{queued}/{limit}\n");
    let (ignored, caught) = handled(task);
    let sets = [
        ("SigPnd", own.bits()),
        ("ShdPnd", shared.bits()),
        ("SigBlk", blocked.bits()),
        ("SigIgn", ignored),
        ("SigCgt", caught),
    ];
    for (name, bits) in sets {
        put!(text, "{name}:\t{bits:016x}\n");
    }
    Ok(())
}

fn put_capabilities(its: &Credentials, text: &mut Text) -> Result<()> {
    let sets = [
        ("CapInh", its.inheritable),
        ("CapPrm", its.permitted),
        ("CapEff", its.effective),
        ("CapBnd", its.bounding),
        ("CapAmb", its.ambient),
    ];
    for (name, set) in sets {
        put!(text, "{name}:\t{:016x}\n", set.bits());
    }
    put!(text, "NoNewPrivs:\t{}\n", u32::from(its.no_new_privileges));
    Ok(())
}

/// `stat`: one line for programs.
pub(super) fn stat(at: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    let namespace = &at.proc.namespace;
    put!(text, "{} (", task.pid().number_in(namespace));
    put_name(text, task)?;
    let group = task.group();
    let family = family(at, task);
    let (process_group, session) = (group.process_group_pid(), group.session_pid());
    let mut flags = if task.is_kernel() { PF_KTHREAD } else { 0 };
    if !group.has_execed() {
        flags |= PF_FORKNOEXEC;
    }
    put!(text, ") {} {}", state(task).0, family.parent);
    put!(text, " {}", process_group.number_in(namespace));
    let (terminal, foreground) = terminal(at, task);
    put!(text, " {}", session.number_in(namespace));
    put!(text, " {terminal} {foreground} {flags}");
    let used = if at.is_group() {
        group.clock.usage()
    } else {
        task.account().clock.usage()
    };
    put!(text, " {} {} 0 0", used.faults, family.reaped.faults);
    let reaped = family.reaped.times;
    for time in [
        used.times.user,
        used.times.system,
        reaped.user,
        reaped.system,
    ] {
        put!(text, " {}", time / TICK);
    }
    let attributes = task.account().attributes();
    let (priority, real_time, policy) = scheduling(task);
    put!(text, " {priority} {} {}", attributes.nice, family.tasks);
    put!(text, " 0 {}", task.started().0 / TICK);
    put_places(task, text)?;
    put_signal_words(task, text)?;
    let exit_signal = if task.is_leader() {
        family.exit_signal as i32
    } else {
        -1
    };
    put!(text, " 0 0 0 {exit_signal} 0 {real_time} {policy} 0 0 0");
    put_image(at, task, text)?;
    put!(text, " 0\n");
    Ok(())
}

/// The number of the terminal that controls a task's session, and the process
/// group in its foreground; 0 and -1 without one.
fn terminal(at: &At, task: &Task) -> (u64, i64) {
    let console = tty::console();
    let session = task.group().session() as i32;
    if session == 0 || console.session() != session {
        return (0, -1);
    }
    let foreground = console.foreground() as u32;
    let tree = TREE.lock();
    let mut groups = tree.groups();
    let member = groups.find(|node| node.group.process_group() == foreground);
    let shown = member.map(|node| node.group.process_group_pid());
    let shown = shown.map_or(-1, |pid| pid.number_in(&at.proc.namespace).into());
    (Device::Console.number(), shown)
}

/// The kernel's priority, that of real-time tasks, and the policy.
fn scheduling(task: &Task) -> (i32, u8, u32) {
    use crate::sched::Class;
    let attributes = task.account().attributes();
    let real_time = attributes.priority();
    let policy = match attributes.class {
        Class::Other => SCHED_NORMAL,
        Class::Batch => SCHED_BATCH,
        Class::Idle => SCHED_IDLE,
        Class::Fifo(_) => SCHED_FIFO,
        Class::RoundRobin(_) => SCHED_RR,
    };
    let priority = if real_time > 0 {
        -1 - i32::from(real_time)
    } else {
        20 + i32::from(attributes.nice)
    };
    (priority, real_time, policy)
}

/// Memory, and where the program and its stack are: for those who may know.
fn put_places(task: &Task, text: &mut Text) -> Result<()> {
    let limit = task.group().limit(5).0;
    match task.mm() {
        Some(mm) => {
            let usage = mm.usage();
            put!(text, " {} {} {limit}", usage.pages * 4096, usage.resident);
            let image = mm.image();
            put!(text, " {} {}", image.code.start, image.code.end);
            put!(text, " {} 0 0", image.stack);
        }
        None => put!(text, " 0 0 {limit} 0 0 0 0 0"),
    }
    Ok(())
}

fn put_signal_words(task: &Task, text: &mut Text) -> Result<()> {
    let (pending, blocked) = {
        let signals = task.signals.lock();
        (signals.pending.set().bits(), signals.blocked.bits())
    };
    let (ignored, caught) = handled(task);
    // Only the first 31 signals, as on Linux; `status` has all of them.
    for bits in [pending, blocked, ignored, caught] {
        put!(text, " {}", bits & 0x7FFF_FFFF);
    }
    Ok(())
}

fn put_image(at: &At, task: &Task, text: &mut Text) -> Result<()> {
    let Some(mm) = task.mm().filter(|_| at.check_look().is_ok()) else {
        put!(text, " 0 0 0 0 0 0 0");
        return Ok(());
    };
    let image = mm.image();
    let (_, heap) = mm.areas()?;
    put!(text, " {} {}", image.data.start, image.data.end);
    put!(text, " {}", heap.start);
    put!(text, " {} {}", image.args.start, image.args.end);
    put!(text, " {} {}", image.env.start, image.env.end);
    Ok(())
}

/// `comm`: its name.
pub(super) fn comm(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    put_name(text, task)?;
    text.push(b"\n")
}

/// A task may be renamed by those of its group.
pub(super) fn set_comm(at: &At, name: &[u8], _: u64, _: &Credentials) -> Result<()> {
    let task = at.task()?;
    if task.tgid() != current().tgid() {
        return Err(Errno::EINVAL);
    }
    let len = name.iter().position(|byte| matches!(byte, 0 | b'\n'));
    let name = &name[..len.unwrap_or(name.len())];
    let name = &name[..name.len().min(crate::task::COMM_LEN - 1)];
    task.set_comm(name);
    probe::emit(&TaskRename {
        task: task.id().into(),
        comm: core::str::from_utf8(name).unwrap_or("?").into(),
    });
    Ok(())
}

/// `children`: the groups that the task made, oldest first.
pub(super) fn children(at: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    let tree = TREE.lock();
    let own = tree.node(task.tgid().0);
    for &child in own.map_or(&[][..], |node| &node.children) {
        let Some(node) = tree.node(child) else {
            continue;
        };
        let made = node.maker == task.id().0;
        if made && !crate::mutant!("proc-childless") {
            put!(text, "{} ", node.group.pid().number_in(&at.proc.namespace));
        }
    }
    Ok(())
}

/// `wchan`: nowhere, as on a Linux without a table of its symbols.
pub(super) fn wchan(_: &At, _: &Arc<Task>, text: &mut Text) -> Result<()> {
    text.push(b"0")
}
