//! `identity WORD`: which number a task has, who may name it, and in which
//! groups and sessions it is.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

use guest_user::errno::Errno;
use guest_user::map::{Pages, Stack};
use guest_user::out::must;
use guest_user::signal::{self, Action, Info, SIGKILL, SIGTERM, SIGUSR1};
use guest_user::start::Args;
use guest_user::sys::{self, Fd};
use guest_user::sys_pids::{
    self, __WNOTHREAD, Came, Gate, P_ALL, P_PGID, P_PID, P_PIDFD, PIDFD_NONBLOCK, PIDFD_THREAD,
    PR_SET_CHILD_SUBREAPER, WCONTINUED, WEXITED, WNOWAIT, WSTOPPED,
};
use guest_user::task::{
    self, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, Clone, WNOHANG,
};
use guest_user::{println, program};

program!(main);

const SIGSTOP: u32 = 19;
const SIGCONT: u32 = 18;
/// CLD_EXITED and the other codes of waitid.
const CODES: [&str; 7] = [
    "nothing",
    "exited",
    "killed",
    "dumped",
    "trapped",
    "stopped",
    "continued",
];

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("numbers") => numbers(),
        Some("exec") => exec(args),
        Some("after-exec") => return after_exec(args),
        Some("wait-options") => wait_options(),
        Some("own-children") => own_children(),
        Some("sub-reaper") => sub_reaper(),
        Some("process-groups") => process_groups(args),
        Some("hold") => return hold(),
        Some("sessions") => sessions(),
        Some("sending") => sending(),
        Some("pidfd") => pidfd(),
        Some("pidfd-getfd") => getfd(),
        _ => return 2,
    }
    0
}

const THREAD: u32 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

/// Numbers that one task tells another of the same memory.
static TOLD: [AtomicI32; 8] = [const { AtomicI32::new(0) }; 8];

fn tell(place: usize, value: i32) {
    if let Some(told) = TOLD.get(place) {
        told.store(value, SeqCst);
    }
}

fn told(place: usize) -> i32 {
    TOLD.get(place).map_or(0, |told| told.load(SeqCst))
}

fn wait_until(place: usize, value: i32) {
    while told(place) != value {
        sys::sched_yield();
    }
}

/// A task of this group that runs `entry`.
fn thread(entry: task::Entry, argument: usize) -> i32 {
    let stack = must(Stack::new(65536), "mmap");
    // SAFETY: the stack is its own and is never given back.
    must(
        unsafe { Clone::on_stack(THREAD, &stack).run(entry, argument) },
        "clone",
    )
}

fn child(work: impl FnOnce() -> i32) -> i32 {
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        task::exit(work());
    }
    pid
}

extern "C" fn tell_numbers(_: usize) -> i32 {
    tell(0, sys::getpid());
    tell(1, sys::gettid());
    tell(2, sys::getppid());
    tell(3, 1);
    0
}

fn numbers() {
    println!(
        "a group's first task has the group's number: {}",
        sys::getpid() == sys::gettid()
    );
    let tid = thread(tell_numbers, 0);
    wait_until(3, 1);
    println!(
        "a thread has the group's number as its PID: {}",
        told(0) == sys::getpid()
    );
    println!("and its own: {} {}", told(1) == tid, told(1) != told(0));
    println!("and the group's parent: {}", told(2) == sys::getppid());
    let me = sys::getpid();
    let pid = child(|| i32::from(sys::getpid() == me) + 2 * i32::from(sys::getppid() != me));
    let (_, status) = must(task::wait(pid, 0), "wait");
    println!("a child has another number, and this parent: {status}");
}

static SELF: AtomicU32 = AtomicU32::new(0);

/// A task that is not its group's first runs another program: it gets the
/// group's number, and the others are gone.
fn exec(args: &Args) {
    let pid = child(|| {
        let words: *const Args = args;
        tell(0, 0);
        SELF.store(sys::getpid() as u32, SeqCst);
        thread(exec_from_thread, words as usize);
        loop {
            let _ = sys::sleep_ms(1000);
        }
    });
    let (waited, status) = must(task::wait(pid, 0), "wait");
    println!(
        "waited for by the group's number: {}; it {status}",
        waited == pid
    );
}

extern "C" fn exec_from_thread(args: usize) -> i32 {
    // SAFETY: the group's first task sleeps and keeps it.
    let args = unsafe { &*(args as *const Args) };
    let me = args.get(0).unwrap_or(c"identity");
    let mut text = [0_u8; 16];
    let mut number = SELF.load(SeqCst);
    for place in text.iter_mut().take(15).rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let text = core::ffi::CStr::from_bytes_until_nul(&text).unwrap_or(c"0");
    let failed = task::exec(me, &[me, c"after-exec", text], args.environment());
    println!("exec: {failed}");
    1
}

fn after_exec(args: &Args) -> i32 {
    let before = args.number(2, 0) as i32;
    println!(
        "the new program has the group's number: {}",
        sys::getpid() == before
    );
    println!("as its own, too: {}", sys::gettid() == before);
    31
}

fn say(what: &str, told: sys_pids::Told, pid: i32) {
    let code = CODES.get(told.code as usize).copied().unwrap_or("?");
    println!(
        "{what}: {code} {}, the child {}",
        told.status,
        told.pid == pid
    );
}

fn wait_options() {
    let gate = must(Gate::new(), "pipe");
    let pid = child(|| {
        gate.pass();
        21
    });
    let waitid = |options: u32| must(sys_pids::waitid(P_PID, pid, options), "waitid");
    say("nothing yet", waitid(WEXITED | WNOHANG), 0);
    must(signal::kill(pid, SIGSTOP), "kill");
    say("looked at", waitid(WSTOPPED | WNOWAIT), pid);
    say("taken", waitid(WSTOPPED), pid);
    say("and gone", waitid(WSTOPPED | WNOHANG), 0);
    must(signal::kill(pid, SIGCONT), "kill");
    say("going on", waitid(WCONTINUED), pid);
    gate.open();
    say("its end, looked at", waitid(WEXITED | WNOWAIT), pid);
    say("still there", waitid(WEXITED | WNOWAIT), pid);
    let (waited, status) = must(sys_pids::wait_for(0, 0), "wait4");
    println!("by process group: {}; it {status}", waited == pid);
    println!("then nobody: {}", Came(sys_pids::waitid(P_ALL, 0, WEXITED)));
    println!(
        "no state asked for: {}",
        Came(sys_pids::waitid(P_ALL, 0, WNOHANG))
    );
    println!("no such kind: {}", Came(sys_pids::waitid(9, 0, WEXITED)));
    println!(
        "no child's number: {}",
        Came(sys_pids::waitid(P_PID, 0, WEXITED))
    );
    println!(
        "a group without children: {}",
        Came(sys_pids::waitid(P_PGID, 1, WEXITED))
    );
    println!(
        "an option that is none: {}",
        Came(sys_pids::wait_for(-1, 64))
    );
    println!(
        "the least number: {}",
        Came(sys_pids::wait_for(i32::MIN, 0))
    );
    let pid = child(|| {
        let _ = signal::kill(sys::getpid(), SIGKILL);
        0
    });
    say(
        "a killed one",
        must(sys_pids::waitid(P_PID, pid, WEXITED), "waitid"),
        pid,
    );
}

extern "C" fn make_child(gate: usize) -> i32 {
    // SAFETY: the group's first task keeps it.
    let gate = unsafe { &*(gate as *const Gate) };
    let pid = child(|| {
        gate.pass();
        41
    });
    tell(0, pid);
    wait_until(1, 1);
    0
}

/// Children belong to the task that made them, as far as __WNOTHREAD goes.
fn own_children() {
    let gate = must(Gate::new(), "pipe");
    let at: *const Gate = &gate;
    let tid = thread(make_child, at as usize);
    while told(0) == 0 {
        sys::sched_yield();
    }
    let pid = told(0);
    gate.open();
    must(sys_pids::waitid(P_PID, pid, WEXITED | WNOWAIT), "waitid");
    println!(
        "another task's child: {}",
        Came(task::wait(pid, __WNOTHREAD))
    );
    println!(
        "the group's child: {}",
        Came(sys_pids::waitid(P_PID, pid, WEXITED | WNOWAIT))
    );
    tell(1, 1);
    while sys_pids::tgkill(sys::getpid(), tid, 0).is_ok() {
        sys::sched_yield();
    }
    let (waited, status) = must(task::wait(pid, __WNOTHREAD), "wait");
    println!(
        "mine when its maker has gone: {}; it {status}",
        waited == pid
    );
}

fn sub_reaper() {
    let page = must(Pages::shared(1), "mmap");
    let gate = must(Gate::new(), "pipe");
    must(sys_pids::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
    let me = sys::getpid();
    let grandchild = |exit: i32| {
        child(|| {
            gate.pass();
            exit + 10 * i32::from(sys::getppid() == me)
        })
    };
    let pid = child(|| {
        page.word(0).store(grandchild(1) as u64, SeqCst);
        0
    });
    must(task::wait(pid, 0), "wait");
    gate.open();
    let (waited, status) = must(task::wait(-1, 0), "wait");
    println!(
        "the orphan came here: {}; it {status}",
        waited as u64 == page.word(0).load(SeqCst)
    );
    println!("nobody is left: {}", Came(task::wait(-1, 0)));
}

fn hold() -> i32 {
    // Until standard input, a pipe here, is closed.
    let _ = sys::read(0, &mut [0; 1]);
    51
}

/// A child that has become another program, and what holds it.
fn become_another(args: &Args) -> (i32, Fd) {
    let (output, input) = must(sys::pipe(0), "pipe");
    let (ran, running) = must(sys::pipe(sys::O_CLOEXEC), "pipe");
    let pid = child(|| {
        let _ = sys::close(input);
        must(sys::dup2(output, 0), "dup2");
        let me = args.get(0).unwrap_or(c"identity");
        let failed = task::exec(me, &[me, c"hold"], args.environment());
        println!("exec: {failed}");
        1
    });
    let _ = sys::close(output);
    let _ = sys::close(running);
    // It ends when exec has closed the child's.
    let _ = sys::read(ran, &mut [0; 1]);
    let _ = sys::close(ran);
    (pid, input)
}

fn process_groups(args: &Args) {
    let first = must(Gate::new(), "pipe");
    let me = sys::getpid();
    let group = must(sys_pids::getpgid(0), "getpgid");
    let one = child(|| {
        first.pass();
        60
    });
    println!(
        "a child is in its parent's group: {}",
        sys_pids::getpgid(one) == Ok(group)
    );
    println!("it gets its own: {}", Came(sys_pids::setpgid(one, 0)));
    println!("with its number: {}", sys_pids::getpgid(one) == Ok(one));
    let two = child(|| {
        first.pass();
        61
    });
    println!("another one joins: {}", Came(sys_pids::setpgid(two, one)));
    println!("it is there: {}", sys_pids::getpgid(two) == Ok(one));
    println!(
        "a group that is none: {}",
        Came(sys_pids::setpgid(two, two + 1000))
    );
    println!("a negative group: {}", Came(sys_pids::setpgid(two, -5)));
    println!(
        "nobody's child: {}",
        Came(sys_pids::setpgid(sys::getppid(), 0))
    );
    println!("no such task: {}", Came(sys_pids::setpgid(-7, 0)));
    println!(
        "a signal finds the group: {}",
        Came(sys_pids::kill(-one, 0))
    );
    first.open();
    let mut ends = 0;
    for _ in 0..2 {
        let (_, status) = must(sys_pids::wait_for(-one, 0), "wait4");
        ends += status.exited().map_or(0, i32::from);
    }
    println!("both waited for by group: {ends}");
    println!("the group is gone: {}", Came(sys_pids::kill(-one, 0)));
    let (other, hold) = become_another(args);
    println!(
        "a child that runs another program: {}",
        Came(sys_pids::setpgid(other, 0))
    );
    must(sys::close(hold), "close");
    must(task::wait(other, 0), "wait");
    println!(
        "this one itself moved: {}",
        sys::getpid() == me && sys_pids::getpgid(0) == Ok(group)
    );
}

fn sessions() {
    let gate = must(Gate::new(), "pipe");
    let page = must(Pages::shared(1), "mmap");
    let outer = must(sys_pids::getsid(0), "getsid");
    let outer_group = must(sys_pids::getpgid(0), "getpgid");
    let pid = child(|| {
        let own = sys::getpid();
        let began = sys_pids::setsid();
        println!("a session of its own: {}", began == Ok(own));
        println!(
            "its session, its group: {} {}",
            sys_pids::getsid(0) == Ok(own),
            sys_pids::getpgid(0) == Ok(own)
        );
        println!("once more: {}", Came(sys_pids::setsid()));
        println!("a leader moves: {}", Came(sys_pids::setpgid(0, 0)));
        let (_, status) = {
            let inner = child(|| {
                let same = sys_pids::getsid(0) == Ok(own);
                let joined = sys_pids::setpgid(0, outer_group);
                println!(
                    "its child is in it: {same}; a group of another session: {}",
                    Came(joined)
                );
                0
            });
            must(task::wait(inner, 0), "wait")
        };
        println!("its child {status}");
        page.word(0).store(1, SeqCst);
        gate.pass();
        0
    });
    while page.word(0).load(SeqCst) == 0 {
        sys::sched_yield();
    }
    println!("seen from outside: {}", sys_pids::getsid(pid) == Ok(pid));
    println!(
        "a child in another session moves: {}",
        Came(sys_pids::setpgid(pid, 0))
    );
    gate.open();
    must(task::wait(pid, 0), "wait");
    println!("this session stayed: {}", sys_pids::getsid(0) == Ok(outer));
    println!("nobody's: {}", Came(sys_pids::getsid(pid)));
}

static GOT: AtomicU32 = AtomicU32::new(0);
static TAKER: AtomicI32 = AtomicI32::new(0);

extern "C" fn take(_: i32, _: *const Info, _: *mut c_void) {
    TAKER.store(sys::gettid(), SeqCst);
    GOT.fetch_add(1, SeqCst);
}

extern "C" fn stay(_: usize) -> i32 {
    tell(0, 1);
    wait_until(1, 1);
    0
}

/// Does not want to hear for a while.
extern "C" fn stay_deaf(_: usize) -> i32 {
    let set = signal::bit(SIGUSR1);
    must(signal::change_mask(signal::SIG_BLOCK, set), "sigprocmask");
    tell(0, 1);
    wait_until(2, 1);
    must(signal::change_mask(signal::SIG_UNBLOCK, set), "sigprocmask");
    wait_until(1, 1);
    0
}

fn got(count: u32) {
    while GOT.load(SeqCst) != count {
        sys::sched_yield();
    }
}

/// kill means the group, whoever's number it is given; tgkill one task.
fn sending() {
    must(
        signal::set_action(SIGUSR1, &Action::handler(take, 0)),
        "sigaction",
    );
    let me = sys::getpid();
    let tid = thread(stay, 0);
    wait_until(0, 1);
    must(sys_pids::tgkill(me, tid, SIGUSR1 as i32), "tgkill");
    got(1);
    println!("tgkill reaches the task: {}", TAKER.load(SeqCst) == tid);
    must(sys_pids::tkill(me, SIGUSR1 as i32), "tkill");
    got(2);
    println!("tkill as well: {}", TAKER.load(SeqCst) == me);
    must(
        signal::change_mask(signal::SIG_BLOCK, signal::bit(SIGUSR1)),
        "sigprocmask",
    );
    must(sys_pids::kill(me, SIGUSR1 as i32), "kill");
    got(3);
    println!(
        "kill reaches whoever does not block it: {}",
        TAKER.load(SeqCst) == tid
    );
    must(
        signal::change_mask(signal::SIG_UNBLOCK, signal::bit(SIGUSR1)),
        "sigprocmask",
    );
    println!(
        "kill takes a thread's number: {}",
        Came(sys_pids::kill(tid, 0))
    );
    println!(
        "tgkill with another group: {}",
        Came(sys_pids::tgkill(sys::getppid(), tid, 0))
    );
    println!(
        "tgkill with a thread for a group: {}",
        Came(sys_pids::tgkill(tid, tid, 0))
    );
    println!(
        "tgkill with no group: {}",
        Came(sys_pids::tgkill(0, tid, 0))
    );
    println!("tkill with no task: {}", Came(sys_pids::tkill(0, 0)));
    println!("no signal: {}", Came(sys_pids::tgkill(me, tid, 65)));
    println!("a negative one: {}", Came(sys_pids::kill(me, -1)));
    tell(1, 1);
    while sys_pids::tgkill(me, tid, 0).is_ok() {
        sys::sched_yield();
    }
    println!("once it is gone: {}", Came(sys_pids::kill(tid, 0)));
}

fn pidfd() {
    let gate = must(Gate::new(), "pipe");
    let pid = child(|| {
        gate.pass();
        71
    });
    let fd = must(sys_pids::pidfd_open(pid, PIDFD_NONBLOCK), "pidfd_open");
    println!(
        "not to wait: {}",
        Came(sys_pids::waitid(P_PIDFD, fd, WEXITED))
    );
    println!(
        "asked whether it is there: {}",
        Came(sys_pids::pidfd_send_signal(fd, 0, 0))
    );
    println!(
        "a flag that is none: {}",
        Came(sys_pids::pidfd_send_signal(fd, 0, 8))
    );
    must(
        sys_pids::pidfd_send_signal(fd, SIGTERM as i32, 0),
        "pidfd_send_signal",
    );
    let (_, status) = must(task::wait(pid, 0), "wait");
    println!("the child {status}");
    println!(
        "when it is gone: {}",
        Came(sys_pids::pidfd_send_signal(fd, 0, 0))
    );
    // Its number may be another's by now; the descriptor is not.
    println!(
        "nor is there one for it: {}",
        Came(sys_pids::pidfd_open(pid, 0))
    );
    println!("for nobody: {}", Came(sys_pids::pidfd_open(0, 0)));
    println!(
        "with a flag that is none: {}",
        Came(sys_pids::pidfd_open(sys::getpid(), 2))
    );
    println!(
        "no descriptor for a task: {}",
        Came(sys_pids::pidfd_send_signal(1, 0, 0))
    );
    gate.open();
    must(
        signal::set_action(SIGUSR1, &Action::handler(take, 0)),
        "sigaction",
    );
    let tid = thread(stay_deaf, 0);
    wait_until(0, 1);
    println!(
        "for a thread as a group: {}",
        Came(sys_pids::pidfd_open(tid, 0))
    );
    let fd = must(sys_pids::pidfd_open(tid, PIDFD_THREAD), "pidfd_open");
    must(
        sys_pids::pidfd_send_signal(fd, SIGUSR1 as i32, 0),
        "pidfd_send_signal",
    );
    println!("nobody else hears it: {}", GOT.load(SeqCst) == 0);
    tell(2, 1);
    got(1);
    println!(
        "as a task it is sent a signal alone: {}",
        TAKER.load(SeqCst) == tid
    );
    let mut poll = [sys::poll_entry(fd, sys::POLLIN)];
    println!("alive: {}", must(sys::poll(&mut poll, 0), "poll"));
    tell(1, 1);
    must(sys::poll(&mut poll, -1), "poll");
    println!("at its end: {}", poll[0].revents & sys::POLLIN as i16 != 0);
}

fn getfd() {
    let gate = must(Gate::new(), "pipe");
    let page = must(Pages::shared(1), "mmap");
    let pid = child(|| {
        let (output, input) = must(sys::pipe(0), "pipe");
        page.word_at(0, 1).store(input as u64, SeqCst);
        page.word(0).store(1, SeqCst);
        let mut byte = [0; 1];
        must(sys::read(output, &mut byte), "read");
        println!("the child reads {}", char::from(byte[0]));
        gate.pass();
        0
    });
    while page.word(0).load(SeqCst) == 0 {
        sys::sched_yield();
    }
    let fd = must(sys_pids::pidfd_open(pid, 0), "pidfd_open");
    let theirs = page.word_at(0, 1).load(SeqCst) as Fd;
    let taken = must(sys_pids::pidfd_getfd(fd, theirs), "pidfd_getfd");
    println!("closes on exec: {:?}", sys::descriptor_flags(taken).ok());
    println!(
        "one that it does not have: {}",
        Came(sys_pids::pidfd_getfd(fd, 99))
    );
    must(sys::write_all(taken, b"x"), "write");
    gate.open();
    must(task::wait(pid, 0), "wait");
    println!("from nobody: {}", Came(sys_pids::pidfd_getfd(fd, theirs)));
    println!("{}", task::wait(-1, 0) == Err(Errno::ECHILD));
}
