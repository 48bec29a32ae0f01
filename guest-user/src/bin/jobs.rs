//! `jobs WORD`: stop and continue, what a parent hears of it, and what
//! becomes of process groups and children when somebody ends.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use guest_user::errno::Errno;
use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::{
    self, Action, Info, SIG_BLOCK, SIGCHLD, SIGHUP, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2, bit,
};
use guest_user::start::Args;
use guest_user::sys::Fd;
use guest_user::sys_signal::{
    self as more, P_PID, SA_NOCLDSTOP, SA_NOCLDWAIT, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
    WCONTINUED, WEXITED, WNOWAIT, WSTOPPED,
};
use guest_user::task::{
    CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM, Clone, Status,
    WNOHANG,
};
use guest_user::{println, program, sys, task};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("stop") => stop(),
        Some("sigchld") => sigchld(),
        Some("ignored-child") => ignored_child(),
        Some("group-stop") => group_stop(),
        Some("takes-back") => takes_back(),
        Some("orphans") => orphans(),
        Some("parent-death") => parent_death(),
        Some("kill-9") => kill_9(),
        Some("deadly") => deadly(),
        Some("masks") => masks(),
        Some("session") => session(),
        Some("terminal") => terminal(),
        Some("hangup") => hang_up(),
        _ => return 2,
    }
    0
}

fn name<T>(result: Result<T, Errno>) -> Option<&'static str> {
    result.err().and_then(Errno::name)
}

fn pause_ms(ms: i64) {
    let _ = sys::sleep_ms(ms);
}

/// A child that does as it is told, and the reading end of what it says.
fn child(work: impl FnOnce(Fd)) -> (i32, Fd) {
    let (output, input) = must(sys::pipe(0), "pipe");
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        let _ = sys::close(output);
        work(input);
        task::exit(0);
    }
    must(sys::close(input), "close");
    (pid, output)
}

fn say(input: Fd) {
    must(sys::write_all(input, b"."), "write");
}

fn hear(output: Fd) -> bool {
    sys::read(output, &mut [0; 1]) == Ok(1)
}

fn sleep_for_ever() -> ! {
    loop {
        let _ = more::pause();
    }
}

fn show(what: &str, status: Status) {
    match status.0 {
        0xFFFF => println!("{what}: continued"),
        raw if raw & 0xFF == 0x7F => println!("{what}: stopped by {}", raw >> 8),
        _ => println!("{what}: {status}"),
    }
}

fn stop() {
    let (pid, output) = child(|input| {
        must(more::set_process_group(0, 0), "setpgid");
        say(input);
        sleep_for_ever()
    });
    hear(output);
    for signal in [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU] {
        must(signal::kill(pid, signal), "kill");
        show("wait", must(task::wait(pid, more::WUNTRACED), "wait").1);
        println!(
            "told once: {}",
            must(task::wait(pid, more::WUNTRACED | WNOHANG), "wait").0 == 0
        );
        must(signal::kill(pid, SIGCONT), "kill");
        show("wait", must(task::wait(pid, WCONTINUED), "wait").1);
    }
    must(signal::kill(pid, SIGSTOP), "kill");
    let info = must(more::wait_info(P_PID, pid, WSTOPPED | WNOWAIT), "waitid");
    println!(
        "waitid: signal {} code {} status {} of the child: {}",
        info.signal(),
        info.code(),
        info.0[6],
        info.pid() == pid
    );
    must(signal::kill(pid, SIGTERM), "kill");
    println!(
        "SIGTERM waits for SIGCONT: {}",
        must(task::wait(pid, WNOHANG), "wait").0 == 0
    );
    must(signal::kill(pid, SIGCONT), "kill");
    show("wait", must(task::wait(pid, 0), "wait").1);
}

static HEARD: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(_: i32, info: *const Info, _: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo to the handler.
    let info = unsafe { more::given(info) };
    println!("SIGCHLD: code {} status {}", info.code(), info.value());
    HEARD.fetch_add(1, Relaxed);
}

fn wait_until_heard(count: i32) {
    for _ in 0..200 {
        if HEARD.load(Relaxed) >= count {
            return;
        }
        pause_ms(5);
    }
    println!("nothing was heard");
}

/// What SIGCHLD says; SA_NOCLDSTOP keeps stops quiet.
fn sigchld() {
    must(
        signal::set_action(SIGCHLD, &Action::handler(note, 0)),
        "sigaction",
    );
    let (pid, output) = child(|input| {
        say(input);
        sleep_for_ever()
    });
    hear(output);
    for (count, signal) in [(1, SIGSTOP), (2, SIGCONT), (3, SIGSTOP), (4, SIGKILL)] {
        must(signal::kill(pid, signal), "kill");
        wait_until_heard(count);
    }
    must(task::wait(pid, 0), "wait");
    let quiet = Action::handler(note, SA_NOCLDSTOP);
    must(signal::set_action(SIGCHLD, &quiet), "sigaction");
    let (pid, output) = child(|input| {
        say(input);
        sleep_for_ever()
    });
    hear(output);
    must(signal::kill(pid, SIGSTOP), "kill");
    show("wait", must(task::wait(pid, more::WUNTRACED), "wait").1);
    must(signal::kill(pid, SIGCONT), "kill");
    show("wait", must(task::wait(pid, WCONTINUED), "wait").1);
    println!("SA_NOCLDSTOP: {} more", HEARD.load(Relaxed) - 4);
    must(signal::kill(pid, SIGKILL), "kill");
    wait_until_heard(5);
    must(task::wait(pid, 0), "wait");
}

/// Nobody waits for these children: they leave no zombie.
fn ignored_child() {
    for (what, action) in [
        ("SIG_IGN", Action::IGNORE),
        ("SA_NOCLDWAIT", Action::handler(note, SA_NOCLDWAIT)),
    ] {
        must(signal::set_action(SIGCHLD, &action), "sigaction");
        let (pid, _) = child(|_| task::exit(3));
        println!("{what}: wait {:?}", name(task::wait(pid, 0)));
    }
    let by_default = must(signal::set_action(SIGCHLD, &Action::DEFAULT), "sigaction");
    println!("it was a handler: {}", !by_default.is_ignore());
    let (pid, _) = child(|_| task::exit(3));
    show("SIG_DFL", must(task::wait(pid, 0), "wait").1);
}

extern "C" fn beat(input: usize) -> i32 {
    loop {
        pause_ms(20);
        must(sys::write_all(input as Fd, b"1"), "write");
    }
}

/// A stop stops every task of the group, and SIGCONT lets all go on.
fn group_stop() {
    let (pid, output) = child(|input| {
        let stack = must(Stack::new(16 * 1024), "stack");
        let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
        // SAFETY: a stack of its own, which stays.
        let beating = unsafe { Clone::on_stack(flags, &stack).run(beat, input as usize) };
        must(beating, "clone");
        say(input);
        loop {
            pause_ms(20);
            must(sys::write_all(input, b"2"), "write");
        }
    });
    hear(output);
    must(signal::kill(pid, SIGSTOP), "kill");
    show("wait", must(task::wait(pid, more::WUNTRACED), "wait").1);
    while sys::poll(&mut [sys::poll_entry(output, sys::POLLIN)], 0) == Ok(1) {
        hear(output);
    }
    pause_ms(60);
    let quiet = sys::poll(&mut [sys::poll_entry(output, sys::POLLIN)], 0) == Ok(0);
    println!("nobody of the group runs: {quiet}");
    must(signal::kill(pid, SIGCONT), "kill");
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let mut byte = [0; 1];
        must(sys::read(output, &mut byte), "read");
        seen[usize::from(byte[0] == b'2')] = true;
    }
    println!("both run again: true");
    must(signal::kill(pid, SIGKILL), "kill");
    show("wait", must(task::wait(pid, 0), "wait").1);
}

/// SIGCONT takes pending stops back, and a stop a pending SIGCONT.
fn takes_back() {
    let stops = bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);
    must(signal::change_mask(SIG_BLOCK, stops | bit(SIGCONT)), "mask");
    let me = sys::getpid();
    for signal in [SIGTSTP, SIGTTIN] {
        must(signal::kill(me, signal), "kill");
    }
    println!(
        "two are pending: {}",
        more::pending() == Ok(bit(SIGTSTP) | bit(SIGTTIN))
    );
    must(signal::kill(me, SIGCONT), "kill");
    println!("only SIGCONT is: {}", more::pending() == Ok(bit(SIGCONT)));
    must(signal::kill(me, SIGTTOU), "kill");
    println!("only SIGTTOU is: {}", more::pending() == Ok(bit(SIGTTOU)));
}

/// A process group that nobody can let go on any more gets SIGHUP and SIGCONT
/// if somebody in it is stopped.
fn orphans() {
    let (output, input) = must(sys::pipe(0), "pipe");
    let (pid, started) = child(|started| {
        let member = must(task::fork(), "fork");
        if member == 0 {
            must(more::set_process_group(0, 0), "setpgid");
            must(
                signal::set_action(SIGHUP, &Action::handler(hangup, 0)),
                "sigaction",
            );
            INPUT.store(input, Relaxed);
            must(signal::kill(sys::getpid(), SIGSTOP), "kill");
            must(sys::write_all(input, b"went on\n"), "write");
            task::exit(0);
        }
        must(task::wait(member, more::WUNTRACED), "wait");
        say(started);
    });
    hear(started);
    must(sys::close(input), "close");
    must(task::wait(pid, 0), "wait");
    loop {
        let mut text = [0; 64];
        match sys::read(output, &mut text) {
            Ok(0) | Err(_) => break,
            Ok(count) => must(sys::write_all(sys::STDOUT, &text[..count]), "write"),
        }
    }
}

static INPUT: AtomicI32 = AtomicI32::new(0);

extern "C" fn hangup(_: i32, _: *const Info, _: *mut c_void) {
    must(sys::write_all(INPUT.load(Relaxed), b"SIGHUP\n"), "write");
}

/// A child that asked for it is sent a signal when its parent ends.
fn parent_death() {
    let (output, input) = must(sys::pipe(0), "pipe");
    let (pid, started) = child(|started| {
        let orphan = must(task::fork(), "fork");
        if orphan == 0 {
            must(signal::change_mask(SIG_BLOCK, bit(SIGUSR1)), "mask");
            must(more::prctl(1, SIGUSR1 as usize), "prctl");
            say(started);
            let info = must(more::wait_for_signal(bit(SIGUSR1), -1), "sigtimedwait");
            let text: &[u8] = if info.code() == 0 {
                b"sent by kill's code\n"
            } else {
                b"other\n"
            };
            must(sys::write_all(input, text), "write");
            task::exit(0);
        }
        // Lives until it is told.
        sleep_for_ever()
    });
    hear(started);
    must(sys::close(input), "close");
    println!("no such signal: {:?}", name(more::prctl(1, 65)));
    must(signal::kill(pid, SIGKILL), "kill");
    must(task::wait(pid, 0), "wait");
    let mut text = [0; 64];
    let count = must(sys::read(output, &mut text), "read");
    must(sys::write_all(sys::STDOUT, &text[..count]), "write");
}

extern "C" fn sleeper(_: usize) -> i32 {
    pause_ms(200);
    0
}

/// How a child ended, unless it goes on and on.
fn ended(pid: i32) -> Option<Status> {
    for _ in 0..200 {
        match must(task::wait(pid, WNOHANG), "wait") {
            (0, _) => pause_ms(5),
            (_, status) => return Some(status),
        }
    }
    None
}

/// What a task does when it is killed, and how it comes to that.
type State = (&'static str, fn(Fd));

/// SIGKILL ends a task whatever it does.
fn kill_9() {
    let states: [State; 6] = [
        ("running", |input| {
            say(input);
            loop {
                core::hint::spin_loop();
            }
        }),
        ("sleeping", |input| {
            say(input);
            sleep_for_ever()
        }),
        ("stopped", |input| {
            say(input);
            must(signal::kill(sys::getpid(), SIGSTOP), "kill");
        }),
        ("everything blocked", |input| {
            must(signal::change_mask(SIG_BLOCK, u64::MAX), "mask");
            say(input);
            sleep_for_ever()
        }),
        ("parent of a vfork child", |input| {
            say(input);
            // SAFETY: the parent sleeps while its child runs on its stack.
            let _ = unsafe { Clone::flags(CLONE_VM | CLONE_VFORK | SIGCHLD).run(sleeper, 0) };
        }),
        ("writing to a full pipe", |input| {
            let (_output, full) = must(sys::pipe(0), "pipe");
            say(input);
            loop {
                must(sys::write_all(full, &[0; 4096]), "write");
            }
        }),
    ];
    for (what, work) in states {
        let (pid, output) = child(work);
        hear(output);
        pause_ms(20);
        must(signal::kill(pid, SIGKILL), "kill");
        match ended(pid) {
            Some(status) => show(what, status),
            None => println!("{what}: still there"),
        }
        must(sys::close(output), "close");
    }
    let (pid, output) = child(|input| {
        say(input);
        sleep_for_ever()
    });
    hear(output);
    must(signal::kill(pid, SIGKILL), "kill");
    let info = must(more::wait_info(P_PID, pid, WEXITED | WNOWAIT), "waitid");
    println!("waitid: code {} status {}", info.code(), info.value());
    println!(
        "a zombie can be sent one: {:?}",
        name(signal::kill(pid, SIGKILL))
    );
    show("zombie", must(task::wait(pid, 0), "wait").1);
    println!("nobody: {:?}", name(signal::kill(pid, SIGKILL)));
}

static TAKER: AtomicI32 = AtomicI32::new(0);
static READY: AtomicI32 = AtomicI32::new(0);

extern "C" fn take(_: i32, _: *const Info, _: *mut c_void) {
    TAKER.store(sys::gettid(), Relaxed);
    HEARD.fetch_add(1, Relaxed);
}

extern "C" fn open_to_signals(_: usize) -> i32 {
    must(signal::change_mask(signal::SIG_SETMASK, 0), "mask");
    READY.store(1, Relaxed);
    sleep_for_ever()
}

/// Masks are each task's own: a signal to the group goes to one that does not
/// block it; handlers are the table's, which they share.
fn masks() {
    must(
        signal::set_action(SIGUSR1, &Action::handler(take, 0)),
        "sigaction",
    );
    must(
        signal::set_action(SIGUSR2, &Action::handler(take, 0)),
        "sigaction",
    );
    must(
        signal::change_mask(SIG_BLOCK, bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGTERM)),
        "mask",
    );
    let stack = must(Stack::new(16 * 1024), "stack");
    let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    // SAFETY: a stack of its own, which stays.
    let thread = must(
        unsafe { Clone::on_stack(flags, &stack).run(open_to_signals, 0) },
        "clone",
    );
    while READY.load(Relaxed) == 0 {
        pause_ms(1);
    }
    must(signal::kill(sys::getpid(), SIGUSR1), "kill");
    wait_until_heard(1);
    println!(
        "the group's signal went to the other task: {}",
        TAKER.load(Relaxed) == thread
    );
    must(
        signal::tgkill(sys::getpid(), sys::gettid(), SIGUSR2),
        "tgkill",
    );
    pause_ms(5);
    println!(
        "the task's own waits: {}",
        more::pending() == Ok(bit(SIGUSR2))
    );
    must(
        signal::change_mask(signal::SIG_UNBLOCK, bit(SIGUSR2)),
        "mask",
    );
    println!("and is its own: {}", TAKER.load(Relaxed) == sys::gettid());
    println!("{} handler calls", HEARD.load(Relaxed));
    must(signal::kill(sys::getpid(), SIGTERM), "kill");
    // The other task does not block it: its default action ends them all.
    pause_ms(500);
    println!("nobody took it");
}

fn session() {
    let (pid, output) = child(|input| {
        println!(
            "a new session: {}",
            more::new_session() == Ok(sys::getpid())
        );
        println!(
            "its own group: {}",
            more::process_group(0) == Ok(sys::getpid())
        );
        println!("again: {:?}", name(more::new_session()));
        println!(
            "a leader stays in its group: {:?}",
            name(more::set_process_group(0, 1))
        );
        say(input);
        sleep_for_ever()
    });
    hear(output);
    println!(
        "of another session: {:?}",
        name(more::set_process_group(pid, 0))
    );
    println!("its session is its own: {}", more::session(pid) == Ok(pid));
    must(signal::kill(pid, SIGKILL), "kill");
    must(task::wait(pid, 0), "wait");
}

/// The terminal's foreground group reads; who is in the background is stopped.
fn terminal() {
    const TIOCGPGRP: u32 = 0x540F;
    const TIOCSPGRP: u32 = 0x5410;
    let foreground = |group: i32| more::ioctl_number(sys::STDIN, TIOCSPGRP, group);
    must(signal::set_action(SIGTTOU, &Action::IGNORE), "sigaction");
    let own = must(more::process_group(0), "getpgid");
    println!(
        "this is the foreground: {}",
        more::ioctl_number(sys::STDIN, TIOCGPGRP, 0) == Ok(own)
    );
    let (pid, _output) = child(|_| {
        must(signal::set_action(SIGTTOU, &Action::DEFAULT), "sigaction");
        must(more::set_process_group(0, 0), "setpgid");
        let mut byte = [0; 1];
        let got = sys::read(sys::STDIN, &mut byte);
        println!("the background read {got:?}");
        let settings = must(sys::terminal(sys::STDIN), "tcgetattr");
        println!(
            "and set the terminal: {}",
            sys::set_terminal(sys::STDIN, &settings).is_ok()
        );
    });
    show("a read", must(task::wait(pid, more::WUNTRACED), "wait").1);
    println!("nobody's group: {:?}", name(foreground(0x3FFF_FFFF)));
    let (stranger, output) = child(|input| {
        must(more::new_session(), "setsid");
        say(input);
        sleep_for_ever()
    });
    hear(output);
    println!(
        "a group of another session: {:?}",
        name(foreground(stranger))
    );
    must(signal::kill(stranger, SIGKILL), "kill");
    must(task::wait(stranger, 0), "wait");
    must(foreground(pid), "tcsetpgrp");
    must(signal::kill(pid, SIGCONT), "kill");
    show("then", must(task::wait(pid, more::WUNTRACED), "wait").1);
    must(foreground(own), "tcsetpgrp");
    let (pid, _output) = child(|_| {
        must(signal::set_action(SIGTTOU, &Action::DEFAULT), "sigaction");
        must(more::set_process_group(0, 0), "setpgid");
        let settings = must(sys::terminal(sys::STDIN), "tcgetattr");
        let set = sys::set_terminal(sys::STDIN, &settings);
        println!("set by a foreground group: {}", set.is_ok());
        must(signal::set_action(SIGTTIN, &Action::IGNORE), "sigaction");
        must(foreground(own), "tcsetpgrp");
        println!(
            "SIGTTIN ignored: {:?}",
            name(sys::read(sys::STDIN, &mut [0; 1]))
        );
    });
    show("a change", must(task::wait(pid, more::WUNTRACED), "wait").1);
    must(foreground(pid), "tcsetpgrp");
    must(signal::kill(pid, SIGCONT), "kill");
    show("then", must(task::wait(pid, more::WUNTRACED), "wait").1);
}

/// The leader of a session ends: the foreground group of its terminal is sent
/// SIGHUP.
fn hang_up() {
    const TIOCSCTTY: usize = 0x540E;
    const TIOCGSID: u32 = 0x5429;
    let (output, input) = must(sys::pipe(0), "pipe");
    let (leader, started) = child(|started| {
        let session = must(more::new_session(), "setsid");
        let own = || more::ioctl_number(sys::STDIN, TIOCGSID, 0);
        println!("a new session has no terminal: {:?}", name(own()));
        println!(
            "nor can it open one: {:?}",
            name(sys::open(c"/dev/tty", sys::O_RDWR, 0))
        );
        let taken = |steal| more::ioctl_value(sys::STDIN, TIOCSCTTY as u32, steal);
        println!("another's terminal: {:?}", name(taken(0)));
        must(taken(1), "TIOCSCTTY");
        println!("it is this session's: {}", own() == Ok(session));
        let member = must(task::fork(), "fork");
        if member == 0 {
            INPUT.store(input, Relaxed);
            must(
                signal::set_action(SIGHUP, &Action::handler(hangup, 0)),
                "sigaction",
            );
            say(started);
            let _ = more::pause();
            must(sys::write_all(input, b"has ended\n"), "write");
            task::exit(0);
        }
        pause_ms(50);
    });
    hear(started);
    must(sys::close(input), "close");
    must(task::wait(leader, 0), "wait");
    loop {
        let mut text = [0; 64];
        match sys::read(output, &mut text) {
            Ok(0) | Err(_) => break,
            Ok(count) => must(sys::write_all(sys::STDOUT, &text[..count]), "write"),
        }
    }
}

extern "C" fn sleep_and_say(input: usize) -> i32 {
    pause_ms(100);
    say(input as Fd);
    0
}

/// A signal that kills ends what only a kill ends, SIGKILL or not.
fn deadly() {
    let (pid, output) = child(|input| {
        say(input);
        let made = Clone::flags(CLONE_VM | CLONE_VFORK | SIGCHLD);
        // SAFETY: the parent sleeps while its child runs on its stack.
        let _ = unsafe { made.run(sleep_and_say, input as usize) };
    });
    hear(output);
    pause_ms(20);
    must(signal::kill(pid, SIGTERM), "kill");
    show(
        "waiting for a vfork child",
        must(task::wait(pid, 0), "wait").1,
    );
    let said = sys::poll(&mut [sys::poll_entry(output, sys::POLLIN)], 0) == Ok(1);
    println!("before that one ended: {}", !said);
    hear(output);
}
