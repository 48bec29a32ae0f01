//! `clone-flags WORD`: what single flags of clone do that the other programs
//! do not show, and how a child's exit signal decides who hears of its end.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use guest_user::errno::Errno;
use guest_user::map::{Pages, Stack};
use guest_user::out::must;
use guest_user::signal::{self, Action, Info, SIGCHLD, SIGUSR1, SIGUSR2};
use guest_user::start::Args;
use guest_user::sys::{self, POLLHUP, POLLIN};
use guest_user::sys_pids::{
    self, CLONE_CLEAR_SIGHAND, CLONE_IO, CLONE_NEWCGROUP, CLONE_PIDFD, Came, Gate, P_PIDFD,
    WEXITED, WUNTRACED,
};
use guest_user::task::{
    self, __WALL, __WCLONE, CLONE_DETACHED, CLONE_FILES, CLONE_PARENT, CLONE_SIGHAND, CLONE_THREAD,
    CLONE_VFORK, CLONE_VM, Clone, WNOHANG,
};
use guest_user::{println, program};

program!(main);

const SIGCONT: u32 = 18;

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("pidfd") => pidfd(),
        Some("parent") => parent(),
        Some("detached") => detached(),
        Some("exit-signal") => exit_signal(),
        Some("exit-signal-exec") => exit_signal_exec(args),
        Some("after-exec") => after_exec(),
        Some("clear-sighand") => clear_sighand(),
        Some("io") => io(),
        Some("stopped") => stopped(),
        Some("set-tid") => set_tid(),
        Some("stack") => stack(),
        Some("refused") => refused(),
        Some("unshare") => unshare(),
        _ => return 2,
    }
    0
}

static HEARD: [AtomicU32; 65] = [const { AtomicU32::new(0) }; 65];

extern "C" fn hear(signal: i32, _: *const Info, _: *mut c_void) {
    if let Some(heard) = HEARD.get(signal as usize) {
        heard.fetch_add(1, SeqCst);
    }
}

fn heard(signal: u32) -> u32 {
    HEARD
        .get(signal as usize)
        .map_or(0, |heard| heard.load(SeqCst))
}

fn listen() {
    for signal in [SIGUSR1, SIGUSR2, SIGCHLD] {
        let action = Action::handler(hear, signal::SA_RESTART);
        must(signal::set_action(signal, &action), "sigaction");
    }
}

/// A child made with these flags that runs `work` and exits with its result.
fn child(flags: u32, work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: without CLONE_VM the child goes on with a copy of this stack.
    let pid = must(
        unsafe {
            sys::call(
                linux_raw_sys::general::__NR_clone,
                [flags as usize, 0, 0, 0, 0, 0],
            )
        },
        "clone",
    );
    if pid == 0 {
        task::exit(work());
    }
    pid as i32
}

fn pidfd() {
    let gate = must(Gate::new(), "pipe");
    let (pid, fd) = must(sys_pids::fork_with_pidfd(0), "clone3");
    if pid == 0 {
        gate.pass();
        task::exit(7);
    }
    println!("close-on-exec: {:?}", sys::descriptor_flags(fd).ok());
    let mut poll = [sys::poll_entry(fd, POLLIN)];
    println!(
        "ready before its end: {}",
        must(sys::poll(&mut poll, 0), "poll")
    );
    gate.open();
    must(sys::poll(&mut poll, -1), "poll");
    println!("ready at its end: {}", poll[0].revents == POLLIN as i16);
    let told = must(sys_pids::waitid(P_PIDFD, fd, WEXITED), "waitid");
    println!(
        "waited for by descriptor: {}; status {}",
        told.pid == pid,
        told.status
    );
    println!("again: {}", Came(sys_pids::waitid(P_PIDFD, fd, WEXITED)));
    must(sys::poll(&mut poll, -1), "poll");
    println!(
        "hung up when it is gone: {}",
        poll[0].revents & POLLHUP as i16 != 0
    );
    println!(
        "a signal then: {}",
        Came(sys_pids::pidfd_send_signal(fd, 0, 0))
    );
    println!(
        "any other descriptor: {}",
        Came(sys_pids::waitid(P_PIDFD, 1, WEXITED))
    );
    let mut args = sys_pids::clone_args();
    args.flags = u64::from(CLONE_PIDFD);
    args.pidfd = 8;
    args.exit_signal = u64::from(SIGCHLD);
    // SAFETY: the child would have a copy of this memory.
    let nowhere = unsafe { sys_pids::clone3(&args) };
    if nowhere == Ok(0) {
        task::exit(0);
    }
    println!("with nowhere to tell it: {}", Came(nowhere));
    println!("nobody was made: {}", Came(task::wait(-1, 0)));
}

fn parent() {
    listen();
    let page = must(Pages::shared(1), "mmap");
    let gate = must(Gate::new(), "pipe");
    let me = sys::getpid();
    let first = child(SIGUSR1, || {
        let sibling = child(CLONE_PARENT | SIGUSR2, || {
            println!(
                "the sibling's parent is the first child's: {}",
                sys::getppid() == me
            );
            3
        });
        page.word(0).store(sibling as u64, SeqCst);
        let waited = task::wait(sibling, __WALL);
        page.word_at(0, 1)
            .store(u64::from(waited == Err(Errno::ECHILD)), SeqCst);
        gate.pass();
        4
    });
    let sibling = loop {
        match page.word(0).load(SeqCst) {
            0 => sys::sched_yield(),
            pid => break pid as i32,
        }
    };
    let (_, status) = must(task::wait(sibling, __WALL), "wait");
    println!("the sibling {status}");
    let others = page.word_at(0, 1).load(SeqCst) == 1;
    println!("the first child may not wait for it: {others}");
    println!(
        "its exit signal is the first child's: {} {}",
        heard(SIGUSR1),
        heard(SIGUSR2)
    );
    gate.open();
    let (_, status) = must(task::wait(first, __WALL), "wait");
    println!("the first child {status}");
    println!(
        "clone3 with a signal: {}",
        Came(task::clone3(u64::from(CLONE_PARENT), 17))
    );
}

fn detached() {
    let pid = child(CLONE_DETACHED | SIGCHLD, || 5);
    let (waited, status) = must(task::wait(pid, 0), "wait");
    println!("accepted, and does nothing: {} {status}", waited == pid);
    // SAFETY: a child would run on a copy, and exit.
    let both = unsafe { Clone::flags(CLONE_DETACHED | CLONE_PIDFD | SIGCHLD).run(run, 0) };
    println!("with CLONE_PIDFD: {}", Came(both));
    let strict = task::clone3(u64::from(CLONE_DETACHED), u64::from(SIGCHLD));
    println!("in clone3: {}", Came(strict));
    println!("children left: {}", Came(task::wait(-1, __WALL)));
}

extern "C" fn run(_: usize) -> i32 {
    1
}

fn exit_signal() {
    listen();
    for (name, signal) in [("SIGCHLD", SIGCHLD), ("SIGUSR1", SIGUSR1), ("none", 0)] {
        for (how, options) in [("plainly", 0), ("as a clone", __WCLONE), ("as any", __WALL)] {
            let pid = child(signal, || 6);
            // Until it has ended nothing is to be told.
            must(
                sys_pids::waitid(sys_pids::P_PID, pid, WEXITED | sys_pids::WNOWAIT | __WALL),
                "waitid",
            );
            let waited = task::wait(pid, options | WNOHANG);
            if waited.is_err() {
                must(task::wait(pid, __WALL), "wait");
            }
            println!("ends with {name}, waited for {how}: {}", Came(waited));
        }
    }
    println!(
        "heard: SIGCHLD {}, SIGUSR1 {}",
        heard(SIGCHLD),
        heard(SIGUSR1)
    );
    // Legacy clone takes anything for a signal.
    let pid = child(100, || 8);
    let (_, status) = must(task::wait(pid, __WCLONE), "wait");
    println!("ends with no signal's number: it {status}");
}

/// A parent that has become another program hears SIGCHLD, whatever it had
/// asked for: it might not expect anything else.
fn exit_signal_exec(args: &Args) {
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        let gate = must(Gate::new(), "pipe");
        child(SIGUSR1, || {
            gate.pass();
            9
        });
        let me = args.get(0).unwrap_or(c"clone-flags");
        let failed = task::exec(me, &[me, c"after-exec"], args.environment());
        println!("exec: {failed}");
        task::exit(1);
    }
    let (_, status) = must(task::wait(pid, 0), "wait");
    println!("the parent of the child {status}");
}

fn after_exec() {
    let waited = task::wait(-1, __WCLONE);
    println!("waited for as a clone: {}", Came(waited));
}

fn clear_sighand() {
    let hears = Action::handler(hear, 0);
    must(signal::set_action(SIGUSR1, &hears), "sigaction");
    must(signal::set_action(SIGUSR2, &Action::IGNORE), "sigaction");
    for (what, flags) in [("without", 0), ("with", CLONE_CLEAR_SIGHAND)] {
        let pid = must(task::clone3(flags, u64::from(SIGCHLD)), "clone3");
        if pid == 0 {
            let one = must(signal::set_action(SIGUSR1, &Action::DEFAULT), "sigaction");
            let two = must(signal::set_action(SIGUSR2, &Action::DEFAULT), "sigaction");
            println!(
                "{what} it: caught is default {}, ignored is ignored {}",
                one.is_default(),
                two.is_ignore()
            );
            task::exit(0);
        }
        must(task::wait(pid, 0), "wait");
    }
    let mut args = sys_pids::clone_args();
    args.flags = CLONE_CLEAR_SIGHAND | u64::from(CLONE_SIGHAND | CLONE_VM | CLONE_VFORK);
    args.exit_signal = u64::from(SIGCHLD);
    // SAFETY: it is refused.
    let both = unsafe { sys_pids::clone3(&args) };
    println!("with CLONE_SIGHAND: {}", Came(both));
    let own = must(signal::set_action(SIGUSR1, &Action::DEFAULT), "sigaction");
    println!("the parent still catches: {}", !own.is_default());
}

fn io() {
    const BEST_EFFORT: u32 = 2 << 13;
    must(sys_pids::ioprio_set(0, BEST_EFFORT | 6), "ioprio_set");
    for (what, flags) in [("a copy", 0), ("shared", CLONE_IO)] {
        let pid = child(flags | SIGCHLD, || {
            let level = must(sys_pids::ioprio_get(0), "ioprio_get") & 7;
            println!("{what}: the child begins at level {level}");
            must(sys_pids::ioprio_set(0, BEST_EFFORT | 2), "ioprio_set");
            0
        });
        must(task::wait(pid, 0), "wait");
        let level = must(sys_pids::ioprio_get(0), "ioprio_get") & 7;
        println!("{what}: after it the parent is at level {level}");
    }
    println!("no such class: {}", Came(sys_pids::ioprio_set(0, 7 << 13)));
}

fn stopped() {
    let page = must(Pages::shared(1), "mmap");
    let pid = child(CLONE_NEWCGROUP | SIGCHLD, || {
        page.word(0).store(1, SeqCst);
        0
    });
    let (waited, status) = must(task::wait(pid, WUNTRACED), "wait");
    println!("stopped: {} {:#x}", waited == pid, status.0);
    println!("it has not run: {}", page.word(0).load(SeqCst) == 0);
    must(signal::kill(pid, SIGCONT), "kill");
    let (_, status) = must(task::wait(pid, 0), "wait");
    println!(
        "it {status}, and has run: {}",
        page.word(0).load(SeqCst) == 1
    );
}

fn set_tid() {
    // A number that was just given back.
    let free = child(SIGCHLD, || 0);
    must(task::wait(free, 0), "wait");
    let pid = must(sys_pids::clone_with_numbers(0, &[free as u32]), "clone3");
    if pid == 0 {
        task::exit(i32::from(sys::getpid() != free));
    }
    let (_, status) = must(task::wait(pid, 0), "wait");
    println!(
        "the child has the number: {}; it knows: {status}",
        pid == free
    );
    let own = sys::getpid() as u32;
    let tries: [(&str, &[u32]); 4] = [
        ("one in use", &[own]),
        ("nobody's", &[0]),
        ("too large", &[u32::MAX]),
        ("too many", &[5; 33]),
    ];
    for (what, numbers) in tries {
        match sys_pids::clone_with_numbers(0, numbers) {
            Ok(0) => task::exit(0),
            other => println!("{what}: {}", Came(other)),
        }
    }
    println!("children left: {}", Came(task::wait(-1, __WALL)));
}

extern "C" fn look_where(page: usize) -> i32 {
    let here = 0_u8;
    // SAFETY: the parent waits and keeps the page.
    let word = unsafe { &*(page as *const core::sync::atomic::AtomicU64) };
    word.store(&raw const here as u64, SeqCst);
    0
}

fn stack() {
    let stack = must(Stack::new(65536), "mmap");
    let page = must(Pages::shared(1), "mmap");
    let clone = Clone::on_stack(CLONE_VM | CLONE_VFORK | SIGCHLD, &stack);
    // SAFETY: the child has a stack of its own, and the parent waits.
    let pid = must(unsafe { clone.run(look_where, page.base()) }, "clone");
    must(task::wait(pid, 0), "wait");
    let at = page.word(0).load(SeqCst) as usize;
    println!(
        "the child ran on its stack: {}",
        (stack.base()..stack.top()).contains(&at)
    );
    for (what, base, size) in [
        ("only an address", stack.base() as u64, 0),
        ("only a size", 0, 4096),
        ("beyond all memory", u64::MAX - 4096, 8192),
    ] {
        let mut args = sys_pids::clone_args();
        args.stack = base;
        args.stack_size = size;
        args.exit_signal = u64::from(SIGCHLD);
        // SAFETY: it is refused.
        let came = unsafe { sys_pids::clone3(&args) };
        println!("clone3 with {what}: {}", Came(came));
    }
}

extern "C" fn close_alone(_: usize) -> i32 {
    if sys_pids::unshare(CLONE_FILES).is_err() {
        return 1;
    }
    i32::from(sys::close(7).is_err())
}

/// A descriptor table comes apart after clone.
fn unshare() {
    must(sys::dup2(0, 7), "dup2");
    let stack = must(Stack::new(65536), "mmap");
    let clone = Clone::on_stack(CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &stack);
    // SAFETY: the child has a stack of its own, and the parent waits.
    let pid = must(unsafe { clone.run(close_alone, 0) }, "clone");
    let (_, status) = must(task::wait(pid, 0), "wait");
    println!("the child {status}");
    println!(
        "its close was its own: {}",
        sys::descriptor_flags(7).is_ok()
    );
    println!(
        "a flag that cannot be taken back: {}",
        Came(sys_pids::unshare(CLONE_PARENT))
    );
}

fn refused() {
    let bad: [(&str, u32); 4] = [
        ("CLONE_SIGHAND without CLONE_VM", CLONE_SIGHAND | SIGCHLD),
        (
            "CLONE_THREAD without CLONE_SIGHAND",
            CLONE_THREAD | CLONE_VM,
        ),
        ("CLONE_NEWNS with CLONE_FS", 0x20000 | 0x200 | SIGCHLD),
        ("CLONE_NEWUSER with CLONE_FS", 0x1000_0000 | 0x200 | SIGCHLD),
    ];
    for (what, flags) in bad {
        // SAFETY: it is refused.
        let came = unsafe { Clone::flags(flags).run(run, 0) };
        println!("{what}: {}", Came(came));
    }
    let clone = Clone {
        tls: usize::MAX - 4096,
        ..Clone::flags(0x80000 | SIGCHLD)
    };
    // SAFETY: it is refused.
    let came = unsafe { clone.run(run, 0) };
    println!("CLONE_SETTLS outside the user's half: {}", Came(came));
    for (what, size, tail) in [
        ("short", 56, 0),
        ("long", 96, 0),
        ("long with more in it", 96, 1),
    ] {
        let mut words = [0_u64; 12];
        words[4] = u64::from(SIGCHLD);
        words[11] = tail;
        let args = [words.as_ptr() as usize, size, 0, 0, 0, 0];
        // SAFETY: the kernel reads the words; a child has a copy of this memory.
        let came = unsafe { sys::call(linux_raw_sys::general::__NR_clone3, args) };
        if came == Ok(0) {
            task::exit(0);
        }
        println!("clone3 with a {what} structure: {}", Came(came));
    }
    let left = task::wait(-1, __WALL);
    println!("one child: {}", left.is_ok());
    println!(
        "and no other: {}",
        task::wait(-1, __WALL) == Err(Errno::ECHILD)
    );
}
