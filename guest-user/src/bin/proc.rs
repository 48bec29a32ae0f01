//! `proc list|tasks|status|exec|gone|self|children`: what /proc tells of tasks.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

use guest_user::errno::Result;
use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::signal::{self, Action, SIGHUP, SIGKILL, SIGUSR1, SIGUSR2};
use guest_user::start::Args;
use guest_user::sys::{self, O_RDONLY};
use guest_user::sys_fs::readlink;
use guest_user::sys_ids::{in_child, set_name};
use guest_user::sys_pids::{Gate, setns, unshare, waitid};
use guest_user::sys_proc::{Contents, count, lists};
use guest_user::task;
use guest_user::{path, println, program};
use linux_raw_sys::general::{CLONE_NEWPID, CLONE_NEWUTS};

program!(main);

/// Linux's numbers for waitid and wait4.
const P_PID: u32 = 1;
const WUNTRACED: u32 = 2;
const WEXITED: u32 = 4;
const WNOWAIT: u32 = 0x0100_0000;
const SIGSTOP: u32 = 19;
const SIGCONT: u32 = 18;
/// Signals that programs queue; the first that C libraries leave alone.
const SIGRTMIN: u32 = 34;

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("list") => list(),
        Some("tasks") => tasks(),
        Some("status") => status(),
        Some("signals") => signals(),
        Some("gone") => gone(),
        Some("self") => own(),
        Some("children") => children(),
        Some("namespaces") => namespaces(),
        Some("exec") => exec(args),
        Some("executed") => executed(),
        _ => {
            println!("proc list|tasks|status|signals|gone|self|children|namespaces|exec");
            return 2;
        }
    }
    0
}

/// The threads go on when this is set.
static GO_ON: AtomicBool = AtomicBool::new(false);

fn wait_to_go_on(_: usize) -> usize {
    while !GO_ON.load(Relaxed) {
        sys::sched_yield();
    }
    0
}

fn status_of(id: i32) -> Result<Contents> {
    Contents::of(path!("/proc/{id}/status").get())
}

/// A thread's number opens, and is not listed but in its group.
fn list() {
    let thread = must(Thread::spawn(wait_to_go_on, 0), "spawn");
    let (own, other) = (sys::getpid(), thread.id());
    println!(
        "the group is listed: {}",
        must(lists(c"/proc", own), "/proc")
    );
    println!(
        "its other task is listed: {}",
        must(lists(c"/proc", other), "/proc")
    );
    let status = status_of(other);
    println!("and opens all the same: {}", status.is_ok());
    if let Ok(status) = status {
        println!(
            "its Tgid is the group's: {}",
            status.number("Tgid") == own.into()
        );
        println!(
            "its Pid is its own: {}",
            status.number("Pid") == other.into()
        );
        println!("Threads: {}", status.number("Threads"));
    }
    for leader in [own, other] {
        let tasks = path!("/proc/{leader}/task");
        let both = lists(tasks.get(), own) == Ok(true) && lists(tasks.get(), other) == Ok(true);
        println!(
            "its task lists {} and both: {both}",
            must(count(tasks.get()), "task")
        );
    }
    let inside = Contents::of(path!("/proc/{own}/task/{other}/status").get());
    let inside = inside.map(|status| status.number("Pid"));
    println!("it opens in there: {}", inside == Ok(other.into()));
    GO_ON.store(true, Relaxed);
    must(thread.join(), "join");
    println!("when it has ended: {}", said(status_of(other)));
}

fn said<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "opens",
        Err(errno) => errno.name().unwrap_or("another error"),
    }
}

/// One task of the kernel's for each thread.
fn tasks() {
    let mut threads = [const { None }; 5];
    for thread in &mut threads {
        *thread = Some(must(Thread::spawn(wait_to_go_on, 0), "spawn"));
    }
    let tasks = c"/proc/self/task";
    println!(
        "with {} threads: {} tasks",
        threads.len(),
        must(count(tasks), "task")
    );
    GO_ON.store(true, Relaxed);
    for thread in threads.into_iter().flatten() {
        must(thread.join(), "join");
    }
    println!("without: {}", must(count(tasks), "task"));
}

/// The letter and the word for a task's state.
fn state(id: i32) -> Contents {
    must(status_of(id), "status")
}

fn until(id: i32, letter: &str) {
    while !state(id).field("State").starts_with(letter) {
        sys::sched_yield();
    }
}

fn status() {
    println!("running: {}", state(sys::getpid()).field("State"));
    let gate = must(Gate::new(), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        must(set_name(c"sleeper"), "prctl");
        gate.pass();
        task::exit(0);
    }
    until(child, "S");
    let status = state(child);
    println!("{}: {}", status.field("Name"), status.field("State"));
    println!(
        "its parent is this one: {}",
        status.number("PPid") == sys::getpid().into()
    );
    println!("Threads: {}", status.number("Threads"));
    println!(
        "Pid and Tgid are one: {}",
        status.number("Pid") == status.number("Tgid")
    );
    must(signal::kill(child, SIGSTOP), "kill");
    must(task::wait(child, WUNTRACED), "wait");
    println!("after SIGSTOP: {}", state(child).field("State"));
    must(signal::kill(child, SIGCONT), "kill");
    until(child, "S");
    println!("after SIGCONT: {}", state(child).field("State"));
    must(signal::kill(child, SIGKILL), "kill");
    must(waitid(P_PID, child, WEXITED | WNOWAIT), "waitid");
    println!("after SIGKILL: {}", state(child).field("State"));
    let stat = must(Contents::of(path!("/proc/{child}/stat").get()), "stat");
    let letter = stat
        .text()
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.get(..1));
    println!("and in stat: {}", letter.unwrap_or("?"));
    must(task::wait(child, 0), "wait");
    println!("waited for: {}", said(status_of(child)));
    gate.open();
}

extern "C" fn nothing(_: i32, _: *const signal::Info, _: *mut core::ffi::c_void) {}

fn signals() {
    must(
        signal::set_action(SIGUSR1, &Action::handler(nothing, 0)),
        "sigaction",
    );
    must(signal::set_action(SIGHUP, &Action::IGNORE), "sigaction");
    let blocked = signal::bit(SIGUSR2) | signal::bit(SIGRTMIN);
    must(
        signal::change_mask(signal::SIG_BLOCK, blocked),
        "sigprocmask",
    );
    let own = sys::getpid();
    must(signal::kill(own, SIGUSR2), "kill");
    must(signal::tgkill(own, sys::gettid(), SIGRTMIN), "tgkill");
    let status = state(own);
    println!("blocked: {:#x}", status.hex("SigBlk"));
    println!("pending, of the task: {:#x}", status.hex("SigPnd"));
    println!("pending, of the group: {:#x}", status.hex("ShdPnd"));
    println!("caught: {:#x}", status.hex("SigCgt"));
    let ignored = status.hex("SigIgn") & signal::bit(SIGHUP) != 0;
    println!("SIGHUP is ignored: {ignored}");
}

/// A file that was opened while a task lived says ESRCH when it does no more.
fn gone() {
    let gate = must(Gate::new(), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        gate.pass();
        task::exit(0);
    }
    let open = |name: &str| sys::open(path!("/proc/{child}/{name}").get(), O_RDONLY, 0);
    let (status, cmdline) = (
        must(open("status"), "status"),
        must(open("cmdline"), "cmdline"),
    );
    gate.open();
    must(waitid(P_PID, child, WEXITED | WNOWAIT), "waitid");
    let line = must(Contents::behind(cmdline), "cmdline");
    println!("a zombie's command line: {:?}", line.text());
    let mut target = [0; 128];
    let exe = path!("/proc/{child}/exe");
    println!("its program: {}", said(readlink(exe.get(), &mut target)));
    println!(
        "its status: {}",
        must(Contents::behind(status), "status").field("State")
    );
    must(task::wait(child, 0), "wait");
    must(sys::seek(status, 0, sys::SEEK_SET), "lseek");
    println!(
        "waited for, the open file: {}",
        said(Contents::behind(status))
    );
    println!("opened anew: {}", said(status_of(child)));
}

/// `self` and `thread-self` are whoever looks.
fn own() {
    let same = |name: &str, id: i32| {
        let mut target = [0; 128];
        let text = readlink(path!("/proc/{name}").get(), &mut target);
        text.is_ok_and(|text| {
            text.rsplit('/').next().and_then(|text| text.parse().ok()) == Some(id)
        })
    };
    println!("self is the group: {}", same("self", sys::getpid()));
    println!(
        "thread-self is the task: {}",
        same("thread-self", sys::gettid())
    );
    let child = must(task::fork(), "fork");
    if child == 0 {
        println!(
            "in the child self is the child: {}",
            same("self", sys::getpid())
        );
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    static THREAD: AtomicI32 = AtomicI32::new(0);
    fn look(_: usize) -> usize {
        let status = must(Contents::of(c"/proc/thread-self/status"), "status");
        THREAD.store(status.number("Pid") as i32, Relaxed);
        let status = must(Contents::of(c"/proc/self/status"), "status");
        usize::from(status.number("Pid") == sys::getpid().into())
    }
    let thread = must(Thread::spawn(look, 0), "spawn");
    let id = thread.id();
    let group = must(thread.join(), "join");
    println!(
        "in a thread thread-self is the thread: {}",
        THREAD.load(Relaxed) == id
    );
    println!("and self the group: {}", group == 1);
}

/// A task's children are those that it made itself.
fn children() {
    let gate = must(Gate::new(), "pipe");
    let mut made = [0; 3];
    for child in &mut made {
        *child = must(task::fork(), "fork");
        if *child == 0 {
            gate.pass();
            task::exit(0);
        }
    }
    let children = match Contents::of(c"/proc/thread-self/children") {
        Ok(children) => children,
        Err(errno) => return println!("children: {errno}"),
    };
    let told = children.text().split_ascii_whitespace();
    let same = told.map(|word| word.parse().unwrap_or(0)).eq(made);
    println!("the children in the order of their making: {same}");
    gate.open();
    for child in made {
        must(task::wait(child, 0), "wait");
    }
}

/// The links of `ns` tell who is where, and setns takes what they lead to.
fn namespaces() {
    let parent = sys::getpid();
    let same = |name: &str| {
        let (mut ours, mut theirs) = ([0; 64], [0; 64]);
        let ours = must(
            readlink(path!("/proc/self/ns/{name}").get(), &mut ours),
            "ns",
        );
        let theirs = readlink(path!("/proc/{parent}/ns/{name}").get(), &mut theirs);
        let numbered = ours.split_once(":[").is_some_and(|(kind, _)| kind == name);
        numbered && must(theirs, "ns") == ours
    };
    in_child(|| {
        println!("at first uts, ipc: {}, {}", same("uts"), same("ipc"));
        must(unshare(CLONE_NEWUTS), "unshare");
        println!(
            "with a UTS namespace of its own: {}, {}",
            same("uts"),
            same("ipc")
        );
        let parents = path!("/proc/{parent}/ns/uts");
        let parents = must(sys::open(parents.get(), O_RDONLY, 0), "open");
        must(setns(parents, CLONE_NEWUTS), "setns");
        println!("entered through the link: {}, {}", same("uts"), same("ipc"));
    });
    must(unshare(CLONE_NEWPID), "unshare");
    let child = must(task::fork(), "fork");
    if child == 0 {
        println!("in there this is number {}", sys::getpid());
        println!(
            "and /proc, which is the old one, knows it by another: {}",
            own_number() > 1
        );
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
}

/// The reader's number in the namespace of the /proc that is mounted.
fn own_number() -> i64 {
    must(Contents::of(c"/proc/self/status"), "status").number("Pid")
}

/// Another program in the same task: other texts under the same number.
fn exec(args: &Args) {
    let mut own = [0; 256];
    let Some(own) = args.beside("proc", &mut own) else {
        return;
    };
    let environment = [
        c"COLOUR=blue".as_ptr(),
        c"SIZE=".as_ptr(),
        core::ptr::null(),
    ];
    let words = [c"proc", c"executed", c"two words", c""];
    let errno = task::exec(own, &words, environment.as_ptr());
    println!("exec: {errno}");
}

fn executed() {
    let shown = |name: &str| {
        let contents = must(Contents::of(path!("/proc/self/{name}").get()), name);
        println!("{name}: {:?}", contents.text());
    };
    shown("cmdline");
    shown("environ");
    shown("comm");
    let mut target = [0; 128];
    let exe = must(readlink(c"/proc/self/exe", &mut target), "exe");
    println!("exe ends in /proc: {}", exe.ends_with("/proc"));
    must(
        guest_user::sys_proc::write_file(c"/proc/self/comm", b"a name that is too long"),
        "comm",
    );
    shown("comm");
    println!("and in status: {}", state(sys::getpid()).field("Name"));
}
