//! `pid-namespace WORD`: numbers of tasks that mean something only inside, the
//! first task of a namespace, and how tasks get in.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

use guest_user::map::{Pages, Stack};
use guest_user::out::must;
use guest_user::signal::{self, Action, Info, SIGCHLD, SIGKILL, SIGTERM, SIGUSR1};
use guest_user::start::Args;
use guest_user::sys;
use guest_user::sys_pids::{self, CLONE_NEWPID, Came, Gate};
use guest_user::task::{
    self, __WALL, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, Clone, WNOHANG,
};
use guest_user::{println, program};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("numbers") => numbers(),
        Some("orphans") => orphans(),
        Some("end") => end(),
        Some("signals") => signals(),
        Some("senders") => senders(),
        Some("unshare") => unshare(),
        Some("setns") => setns(),
        Some("nested") => nested(),
        Some("everybody") => everybody(),
        Some("chosen") => chosen(),
        Some("files") => files(),
        _ => return 2,
    }
    0
}

fn child(work: impl FnOnce() -> i32) -> i32 {
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        task::exit(work());
    }
    pid
}

/// A child in a PID namespace of its own.
fn apart(work: impl FnOnce() -> i32) -> i32 {
    let pid = must(
        task::clone3(u64::from(CLONE_NEWPID), u64::from(SIGCHLD)),
        "clone3",
    );
    if pid == 0 {
        task::exit(work());
    }
    pid
}

fn end_of(pid: i32) -> task::Status {
    let (_, status) = must(task::wait(pid, __WALL), "wait");
    status
}

fn until(word: &core::sync::atomic::AtomicU64, value: u64) {
    while word.load(SeqCst) != value {
        sys::sched_yield();
    }
}

fn numbers() {
    let me = sys::getpid();
    let pid = apart(|| {
        println!(
            "inside: number {}, task {}, parent {}",
            sys::getpid(),
            sys::gettid(),
            sys::getppid()
        );
        println!(
            "its group {}, its session {}",
            must(sys_pids::getpgid(0), "getpgid"),
            must(sys_pids::getsid(0), "getsid")
        );
        let second = child(|| {
            println!(
                "a child there: number {}, parent {}",
                sys::getpid(),
                sys::getppid()
            );
            5
        });
        println!("its parent knows it as {second}");
        let (waited, status) = must(task::wait(-1, 0), "wait");
        println!("and waits for {waited}: it {status}");
        println!(
            "nobody from outside is there: {}",
            Came(sys_pids::kill(me, 0))
        );
        println!(
            "a session of its own is {}",
            must(sys_pids::setsid(), "setsid")
        );
        6
    });
    println!("it {}", end_of(pid));
    println!("outside it has another number: {}", pid != 1);
}

fn orphans() {
    let page = must(Pages::shared(1), "mmap");
    let gate = must(Gate::new(), "pipe");
    let pid = apart(|| {
        let middle = child(|| {
            child(|| {
                gate.pass();
                page.word(0).store(sys::getppid() as u64 + 100, SeqCst);
                8
            });
            0
        });
        must(task::wait(middle, 0), "wait");
        gate.open();
        let (waited, status) = must(task::wait(-1, 0), "wait");
        println!("the first task got number {waited}: it {status}");
        0
    });
    gate.open();
    println!("the first task {}", end_of(pid));
    println!(
        "the orphan's parent was number {}",
        page.word(0).load(SeqCst) - 100
    );
    println!("nothing came out: {}", Came(task::wait(-1, WNOHANG)));
}

/// With its first task a namespace ends: all others are killed.
fn end() {
    let (output, input) = must(sys::pipe(0), "pipe");
    let pid = apart(|| {
        for _ in 0..3 {
            child(|| {
                child(|| {
                    let _ = signal::set_action(SIGTERM, &Action::IGNORE);
                    loop {
                        let _ = sys::sleep_ms(10_000);
                    }
                });
                loop {
                    let _ = sys::sleep_ms(10_000);
                }
            });
        }
        let _ = sys::sleep_ms(20);
        9
    });
    must(sys::close(input), "close");
    println!("the first task {}", end_of(pid));
    let mut poll = [sys::poll_entry(output, sys::POLLIN)];
    let gone = must(sys::poll(&mut poll, 0), "poll");
    println!("nobody holds the pipe any more: {gone}");
    if gone == 0 {
        task::exit(1);
    }
    println!(
        "it is at its end: {}",
        must(sys::read(output, &mut [0; 1]), "read") == 0
    );
    // A namespace whose first task has ended takes nobody.
    must(sys_pids::unshare(CLONE_NEWPID), "unshare");
    let first = child(sys::getpid);
    println!("the first of another one {}", end_of(first));
    let next = task::fork();
    if next == Ok(0) {
        task::exit(0);
    }
    println!("a second one then: {}", Came(next));
}

/// Nobody inside can send a namespace's first task a signal that it does not
/// want; whoever made it can kill it.
fn signals() {
    let page = must(Pages::shared(1), "mmap");
    let pid = apart(|| {
        let inner = child(|| {
            println!(
                "a deadly signal from inside: {}",
                Came(sys_pids::kill(1, SIGTERM as i32))
            );
            println!("even SIGKILL: {}", Came(sys_pids::kill(1, SIGKILL as i32)));
            0
        });
        must(task::wait(inner, 0), "wait");
        println!("from itself: {}", Came(sys_pids::kill(1, SIGTERM as i32)));
        println!("number 1 is still there");
        page.word(0).store(1, SeqCst);
        loop {
            let _ = sys::sleep_ms(10_000);
        }
    });
    while page.word(0).load(SeqCst) != 1 {
        if task::wait(pid, WNOHANG) != Ok((0, task::Status(0))) {
            println!("number 1 is gone");
            return;
        }
        sys::sched_yield();
    }
    println!(
        "from outside, one without a handler: {}",
        Came(sys_pids::kill(pid, SIGTERM as i32))
    );
    println!(
        "it is there: {:?}",
        task::wait(pid, WNOHANG).map(|(pid, _)| pid)
    );
    must(signal::kill(pid, SIGKILL), "kill");
    println!("SIGKILL from outside: it {}", end_of(pid));
}

static SENDER: AtomicI32 = AtomicI32::new(-1);
static GOT: AtomicU32 = AtomicU32::new(0);

extern "C" fn note(_: i32, info: *const Info, _: *mut c_void) {
    // SAFETY: the kernel passes one; behind the code comes the sender's number.
    SENDER.store(unsafe { (*info).address } as u32 as i32, SeqCst);
    GOT.fetch_add(1, SeqCst);
}

fn got(count: u32) {
    while GOT.load(SeqCst) != count {
        sys::sched_yield();
    }
}

/// What a signal says about its sender is the receiver's view.
fn senders() {
    let page = must(Pages::shared(1), "mmap");
    let pid = apart(|| {
        must(
            signal::set_action(SIGUSR1, &Action::handler(note, 0)),
            "sigaction",
        );
        page.word(0).store(1, SeqCst);
        got(1);
        println!("from outside it comes from number {}", SENDER.load(SeqCst));
        let inner = child(|| i32::from(sys_pids::kill(1, SIGUSR1 as i32).is_err()));
        got(2);
        println!("from a child it comes from number {}", SENDER.load(SeqCst));
        must(task::wait(inner, 0), "wait");
        must(
            signal::set_action(SIGCHLD, &Action::handler(note, 0)),
            "sigaction",
        );
        let inner = child(|| 0);
        must(task::wait(inner, 0), "wait");
        got(3);
        println!("SIGCHLD tells of number {}", SENDER.load(SeqCst));
        0
    });
    must(
        signal::set_action(SIGCHLD, &Action::handler(note, 0)),
        "sigaction",
    );
    until(page.word(0), 1);
    must(signal::kill(pid, SIGUSR1), "kill");
    got(1);
    println!(
        "outside SIGCHLD tells of the number there: {}",
        SENDER.load(SeqCst) == pid
    );
    println!("it {}", end_of(pid));
}

extern "C" fn nothing(_: usize) -> i32 {
    0
}

/// unshare moves the children that come, not the caller.
fn unshare() {
    let me = sys::getpid();
    let stack = must(Stack::new(65536), "mmap");
    println!("memory that is shared cannot be taken apart: {}", {
        let clone = Clone::on_stack(CLONE_VM | SIGCHLD, &stack);
        // SAFETY: the child has a stack of its own, and memory stays.
        let pid = must(unsafe { clone.run(try_memory, 0) }, "clone");
        end_of(pid)
    });
    must(sys_pids::unshare(CLONE_NEWPID), "unshare");
    println!("the caller stays: {}", sys::getpid() == me);
    let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    // SAFETY: it is refused.
    let thread = unsafe { Clone::on_stack(flags, &stack).run(nothing, 0) };
    println!("it can make no thread: {}", Came(thread));
    println!(
        "nor another namespace: {}",
        Came(sys_pids::unshare(CLONE_NEWPID))
    );
    let page = must(Pages::shared(1), "mmap");
    let first = child(|| {
        page.word(0).store(1, SeqCst);
        until(page.word(0), 2);
        sys::getpid() + 10 * sys::getppid()
    });
    let second = child(|| sys::getpid() + 10 * sys::getppid());
    until(page.word(0), 1);
    println!("the second child: number and parent {}", end_of(second));
    page.word(0).store(2, SeqCst);
    println!("the first child: number and parent {}", end_of(first));
}

extern "C" fn try_memory(_: usize) -> i32 {
    match sys_pids::unshare(CLONE_VM) {
        Ok(()) => 0,
        Err(errno) => errno.0 as i32,
    }
}

/// Children of a task that has entered a namespace are born there.
fn setns() {
    let page = must(Pages::shared(1), "mmap");
    let first = apart(|| {
        page.word(0).store(1, SeqCst);
        until(page.word(0), 2);
        0
    });
    until(page.word(0), 1);
    let fd = must(sys_pids::pidfd_open(first, 0), "pidfd_open");
    println!("no kind: {}", Came(sys_pids::setns(fd, 0)));
    println!("no namespace: {}", Came(sys_pids::setns(1, 0)));
    println!("no descriptor: {}", Came(sys_pids::setns(99, 0)));
    let me = sys::getpid();
    must(sys_pids::setns(fd, CLONE_NEWPID), "setns");
    println!("the caller stays: {}", sys::getpid() == me);
    let pid = child(|| {
        println!(
            "born there: number {}, parent {}",
            sys::getpid(),
            sys::getppid()
        );
        println!("sees the first: {}", Came(sys_pids::kill(1, 0)));
        12
    });
    println!("it {}", end_of(pid));
    page.word(0).store(2, SeqCst);
    println!("the first {}", end_of(first));
    let late = task::fork();
    if late == Ok(0) {
        task::exit(0);
    }
    println!("afterwards nobody is born: {}", Came(late));
}

/// A task has a number in each namespace that it is seen from.
fn nested() {
    let page = must(Pages::shared(1), "mmap");
    let outer = apart(|| {
        child(|| {
            loop {
                let _ = sys::sleep_ms(10_000);
            }
        });
        let inner = apart(|| {
            until(page.word_at(0, 1), 1);
            println!(
                "innermost: number {}, parent {}",
                sys::getpid(),
                sys::getppid()
            );
            let third = child(|| {
                println!(
                    "its child: number {}, parent {}",
                    sys::getpid(),
                    sys::getppid()
                );
                page.word(0).store(1, SeqCst);
                until(page.word(0), 2);
                0
            });
            must(task::wait(third, 0), "wait");
            println!("known as {third}");
            13
        });
        println!("one level up: {inner}");
        page.word_at(0, 1).store(1, SeqCst);
        until(page.word(0), 1);
        println!("its child there: {}", Came(sys_pids::kill(inner + 1, 0)));
        println!("and no other: {}", Came(sys_pids::kill(inner + 2, 0)));
        page.word(0).store(2, SeqCst);
        println!("the inner one {}", end_of(inner));
        14
    });
    println!("the outer one {}", end_of(outer));
}

/// kill(-1) means everybody that the caller sees but itself and number 1.
fn everybody() {
    let page = must(Pages::shared(1), "mmap");
    let outside = child(|| {
        until(page.word(0), 2);
        15
    });
    let pid = apart(|| {
        let quiet = || {
            loop {
                let _ = sys::sleep_ms(10_000);
            }
        };
        let one = child(quiet);
        let two = child(quiet);
        let killer = child(|| match sys_pids::kill(-1, SIGTERM as i32) {
            Ok(()) => 16,
            Err(errno) => errno.0 as i32,
        });
        for (name, pid) in [("one", one), ("two", two), ("the killer", killer)] {
            println!("{name} {}", end_of(pid));
        }
        println!(
            "with nobody there: {}",
            Came(sys_pids::kill(-1, SIGTERM as i32))
        );
        17
    });
    println!("number 1 {}", end_of(pid));
    page.word(0).store(2, SeqCst);
    println!("who is outside {}", end_of(outside));
}

/// What a link in /proc/self/ns says.
fn link(path: &core::ffi::CStr, text: &mut [u8; 64]) -> usize {
    must(sys_pids::readlink(path, text), "readlink")
}

/// A namespace as an open file: two names for the same one say the same, and
/// setns takes it.
fn files() {
    let (own, next) = (c"/proc/self/ns/pid", c"/proc/self/ns/pid_for_children");
    let same = || {
        let (mut one, mut two) = ([0; 64], [0; 64]);
        let lengths = (link(own, &mut one), link(next, &mut two));
        lengths.0 == lengths.1 && one == two
    };
    let mut text = [0; 64];
    link(own, &mut text);
    println!("it begins as it should: {}", text.starts_with(b"pid:["));
    println!("children are born in the same one: {}", same());
    let back = must(sys::open(own, sys::O_RDONLY, 0), "open");
    must(sys_pids::unshare(CLONE_NEWPID), "unshare");
    let nameless = sys_pids::readlink(next, &mut text);
    println!(
        "another one has no name before its first task: {}",
        Came(nameless)
    );
    let pid = child(|| i32::from(sys::getpid() == 1));
    println!("which is number 1: it {}", end_of(pid));
    println!("then it is another one: {}", !same());
    println!(
        "as another kind: {}",
        Came(sys_pids::setns(back, 0x0400_0000))
    );
    must(sys_pids::setns(back, CLONE_NEWPID), "setns");
    println!("back in the same one: {}", same());
    let pid = child(|| i32::from(sys::getpid() == 1));
    println!("a child is no number 1: it {}", end_of(pid));
}

/// clone3 may choose the number at each level.
fn chosen() {
    let pid = apart(|| {
        let inner = must(sys_pids::clone_with_numbers(0, &[77]), "clone3");
        if inner == 0 {
            task::exit(sys::getpid());
        }
        println!("known as {inner}; it {}", end_of(inner));
        let first = must(
            sys_pids::clone_with_numbers(CLONE_NEWPID, &[1, 55]),
            "clone3",
        );
        if first == 0 {
            task::exit(sys::getpid());
        }
        println!("at two levels: {first}; it {}", end_of(first));
        match sys_pids::clone_with_numbers(CLONE_NEWPID, &[3]) {
            Ok(0) => task::exit(0),
            other => println!("a first one that is not number 1: {}", Came(other)),
        }
        println!("its next child: {}", {
            let next = child(|| 0);
            must(task::wait(next, 0), "wait");
            next
        });
        0
    });
    println!("it {}", end_of(pid));
}
