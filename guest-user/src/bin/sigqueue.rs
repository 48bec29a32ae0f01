//! `sigqueue WORD`: signals that queue, with values; the limit of the queue;
//! waiting for a signal without a handler; what may be forged.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use guest_user::errno::Errno;
use guest_user::out::must;
use guest_user::signal::{
    self, Action, Info, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGCHLD, SIGHUP, SIGKILL, SIGTERM,
    SIGUSR1, SIGUSR2, bit,
};
use guest_user::start::Args;
use guest_user::sys_proc::Contents;
use guest_user::sys_signal::{
    self as more, RLIMIT_SIGPENDING, SI_KERNEL, SI_QUEUE, SI_TKILL, SI_USER, SIGRTMIN, SIGURG,
    SigInfo,
};
use guest_user::{println, program, sys, task};

program!(main);

const RT: u32 = SIGRTMIN;

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("order") => order(),
        Some("handler") => handler(),
        Some("limit") => limit(),
        Some("timedwait") => timedwait(),
        Some("ignored") => ignored(),
        Some("forged") => forged(),
        Some("task") => to_one_task(),
        Some("signalfd") => signalfd(),
        _ => return 2,
    }
    0
}

fn block(set: u64) {
    must(signal::change_mask(SIG_BLOCK, set), "sigprocmask");
}

fn send(signal: u32, value: i32) -> Option<&'static str> {
    let info = SigInfo::queued(SI_QUEUE, value);
    name(more::queue(sys::getpid(), signal, &info))
}

fn name<T>(result: Result<T, Errno>) -> Option<&'static str> {
    result.err().and_then(Errno::name)
}

fn code(code: i32) -> &'static str {
    match code {
        SI_QUEUE => "SI_QUEUE",
        SI_TKILL => "SI_TKILL",
        0 => "SI_USER",
        0x80 => "SI_KERNEL",
        _ => "another code",
    }
}

/// Takes what is pending, and says what it was.
fn drain(set: u64) {
    while let Ok(info) = more::wait_for_signal(set, 0) {
        println!(
            "signal {} {} value {} from me: {}",
            info.signal(),
            code(info.code()),
            info.value(),
            info.pid() == sys::getpid()
        );
    }
}

/// Real-time signals arrive as often as they were sent, in the order in which
/// they were, the lowest number first; standard ones once.
fn order() {
    let all = bit(RT) | bit(RT + 1) | bit(SIGUSR1);
    block(all);
    for (signal, value) in [
        (RT + 1, 1),
        (RT, 2),
        (SIGUSR1, 3),
        (RT, 4),
        (SIGUSR1, 5),
        (RT + 1, 6),
        (RT, 7),
    ] {
        must(
            more::queue(sys::getpid(), signal, &SigInfo::queued(SI_QUEUE, value)),
            "sigqueue",
        );
    }
    let pending = must(more::pending(), "sigpending");
    println!("all three are pending: {}", pending & all == all);
    drain(all);
    println!(
        "then nothing is: {}",
        must(more::pending(), "sigpending") == 0
    );
}

static SEEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn see(_: i32, info: *const Info, _: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo to the handler.
    let info = unsafe { more::given(info) };
    println!(
        "handler: signal {} {} value {}",
        info.signal(),
        code(info.code()),
        info.value()
    );
    SEEN.fetch_add(1, Relaxed);
}

fn handler() {
    must(
        signal::set_action(RT, &Action::handler(see, 0)),
        "sigaction",
    );
    send(RT, 41);
    block(bit(RT));
    send(RT, 42);
    send(RT, 43);
    println!("blocked: {} calls", SEEN.load(Relaxed));
    must(signal::change_mask(SIG_UNBLOCK, bit(RT)), "sigprocmask");
    println!("unblocked: {} calls", SEEN.load(Relaxed));
}

/// Behind RLIMIT_SIGPENDING a value is refused; kill still arrives, without
/// its sender, and a standard signal always does.
fn limit() {
    block(bit(RT) | bit(SIGUSR1) | bit(RT + 1));
    must(more::set_limit(RLIMIT_SIGPENDING, 2), "setrlimit");
    // The queue is the user's: natively root has more than this program.
    must(more::set_user(54321), "setuid");
    for value in 1..=3 {
        println!("sigqueue {value}: {:?}", send(RT, value));
    }
    let status = must(Contents::of(c"/proc/self/status"), "status");
    println!("in /proc: {}", status.field("SigQ"));
    println!("kill: {:?}", name(signal::kill(sys::getpid(), RT + 1)));
    println!(
        "kill SIGUSR1: {:?}",
        name(signal::kill(sys::getpid(), SIGUSR1))
    );
    drain(bit(RT) | bit(SIGUSR1) | bit(RT + 1));
    println!("again: {:?}", send(RT, 4));
    drain(bit(RT));
}

extern "C" fn quiet(_: i32, _: *const Info, _: *mut c_void) {
    SEEN.fetch_add(1, Relaxed);
}

fn timedwait() {
    let set = bit(RT) | bit(SIGUSR1);
    block(set);
    println!("at once: {:?}", name(more::wait_for_signal(set, 0)));
    println!("after a while: {:?}", name(more::wait_for_signal(set, 5)));
    must(
        signal::set_action(SIGUSR2, &Action::handler(quiet, 0)),
        "sigaction",
    );
    let parent = sys::getpid();
    let child = must(task::fork(), "fork");
    if child == 0 {
        let _ = sys::sleep_ms(30);
        must(signal::kill(parent, SIGUSR2), "kill");
        let _ = sys::sleep_ms(30);
        must(
            more::queue(parent, RT, &SigInfo::queued(SI_QUEUE, 9)),
            "sigqueue",
        );
        task::exit(0);
    }
    println!(
        "another signal: {:?}, handler calls {}",
        name(more::wait_for_signal(set, -1)),
        SEEN.load(Relaxed)
    );
    let info = must(more::wait_for_signal(set, -1), "sigtimedwait");
    println!(
        "signal {} value {} from the child: {}",
        info.signal(),
        info.value(),
        info.pid() == child
    );
    must(task::wait(child, 0), "wait");
    let mask = must(signal::change_mask(SIG_SETMASK, 0), "sigprocmask");
    println!("the mask is what it was: {}", mask == set);
    println!(
        "SIGKILL cannot be waited for: {:?}",
        name(more::wait_for_signal(bit(SIGKILL), 0))
    );
}

/// An ignored signal is kept while it is blocked, and thrown away once the
/// action is set anew.
fn ignored() {
    let set = bit(SIGTERM) | bit(SIGURG);
    must(signal::set_action(SIGTERM, &Action::IGNORE), "sigaction");
    must(signal::kill(sys::getpid(), SIGTERM), "kill");
    println!("ignored: pending {}", must(more::pending(), "pending") != 0);
    block(set);
    must(signal::kill(sys::getpid(), SIGTERM), "kill");
    must(signal::kill(sys::getpid(), SIGURG), "kill");
    println!(
        "ignored and blocked: both pending {}",
        must(more::pending(), "pending") == set
    );
    must(signal::set_action(SIGTERM, &Action::IGNORE), "sigaction");
    println!(
        "ignored anew: one pending {}",
        must(more::pending(), "pending") == bit(SIGURG)
    );
    drain(set);
}

/// Only a task itself may be told that the kernel or kill sent something.
fn forged() {
    block(bit(SIGHUP));
    let (me, parent) = (sys::getpid(), sys::getppid());
    for code in [SI_USER as i32, SI_KERNEL as i32, SI_TKILL, SI_QUEUE] {
        let info = SigInfo::queued(code, 5);
        println!(
            "{}: to itself {:?}, to the parent {:?}",
            self::code(code),
            name(more::queue(me, SIGHUP, &info)),
            name(more::queue(parent, 0, &info))
        );
    }
    drain(bit(SIGHUP));
    let info = SigInfo::queued(SI_QUEUE, 5);
    println!(
        "to nobody: {:?}",
        name(more::queue(0x3FFF_FFFF, SIGHUP, &info))
    );
    println!("no such signal: {:?}", name(more::queue(me, 65, &info)));
    println!(
        "no such task in the group: {:?}",
        name(more::queue_to_task(me, parent, SIGHUP, &info))
    );
    println!(
        "group 0: {:?}",
        name(more::queue_to_task(0, me, SIGHUP, &info))
    );
}

/// A signal for the task alone, and one for the group, are two.
fn to_one_task() {
    block(bit(SIGUSR1) | bit(RT));
    let me = sys::getpid();
    for signal in [SIGUSR1, RT] {
        let of_group = SigInfo::queued(SI_QUEUE, 1);
        must(more::queue(me, signal, &of_group), "sigqueue");
        let own = SigInfo::queued(SI_QUEUE, 2);
        must(
            more::queue_to_task(me, sys::gettid(), signal, &own),
            "tgsigqueue",
        );
    }
    must(signal::tgkill(me, sys::gettid(), RT), "tgkill");
    drain(bit(SIGUSR1) | bit(RT));
}

/// Signals that are read from a descriptor, and what poll says of it.
fn signalfd() {
    const O_NONBLOCK: u32 = 0x800;
    let set = bit(RT) | bit(SIGUSR1) | bit(SIGCHLD);
    block(set);
    let fd = must(more::signal_descriptor(-1, set, O_NONBLOCK), "signalfd");
    let ready = || sys::poll(&mut [sys::poll_entry(fd, sys::POLLIN)], 0) == Ok(1);
    let mut records = [0_u32; 96];
    println!(
        "nothing yet: ready {}, {:?}",
        ready(),
        name(more::read_words(fd, &mut records))
    );
    send(RT, 7);
    must(signal::kill(sys::getpid(), SIGUSR1), "kill");
    println!("two are sent: ready {}", ready());
    let count = must(more::read_words(fd, &mut records), "read");
    for record in records[..count].chunks(32) {
        println!(
            "signal {} {} from me: {} int {}",
            record[0],
            code(record[2] as i32),
            record[3] as i32 == sys::getpid(),
            record[11]
        );
    }
    let child = must(task::fork(), "fork");
    if child == 0 {
        task::exit(5);
    }
    must(
        sys::poll(&mut [sys::poll_entry(fd, sys::POLLIN)], -1),
        "poll",
    );
    must(more::read_words(fd, &mut records), "read");
    println!(
        "signal {} code {} of the child: {} status {}",
        records[0],
        records[2],
        records[3] as i32 == child,
        records[10]
    );
    must(task::wait(child, 0), "wait");
    must(more::signal_descriptor(fd, bit(SIGUSR1), 0), "signalfd");
    send(RT, 8);
    println!("another set: ready {}", ready());
    println!(
        "a small buffer: {:?}",
        name(more::read_words(fd, &mut records[..4]))
    );
    println!(
        "no signalfd: {:?}",
        name(more::signal_descriptor(1, set, 0))
    );
}
