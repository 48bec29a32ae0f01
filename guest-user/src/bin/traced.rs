//! `traced WORD`: one task watches another: its system calls, signals, births
//! and end, its registers and memory.
#![no_std]
#![no_main]

use core::arch::asm;
use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};

use guest_user::errno::Errno;
use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::{
    self, Action, Info, SIGCHLD, SIGKILL, SIGSEGV, SIGTERM, SIGUSR1, SIGUSR2,
};
use guest_user::start::Args;
use guest_user::sys_proc::Contents;
use guest_user::sys_ptrace::{
    self as trace, PTRACE_ATTACH, PTRACE_CONT, PTRACE_DETACH, PTRACE_EVENT_EXIT, PTRACE_EVENT_STOP,
    PTRACE_INTERRUPT, PTRACE_LISTEN, PTRACE_O_EXITKILL, PTRACE_O_TRACECLONE, PTRACE_O_TRACEEXEC,
    PTRACE_O_TRACEEXIT, PTRACE_O_TRACEFORK, PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACEVFORK,
    PTRACE_O_TRACEVFORKDONE, PTRACE_PEEKUSR, PTRACE_POKEDATA, PTRACE_POKETEXT, PTRACE_POKEUSR,
    PTRACE_SEIZE, PTRACE_SETOPTIONS, PTRACE_SETREGS, PTRACE_SETSIGINFO, PTRACE_SINGLESTEP,
    PTRACE_SYSCALL, PTRACE_TRACEME, ptrace,
};
use guest_user::sys_signal::{
    self as more, P_PID, SIGCONT, SIGSTOP, SIGTRAP, SIGURG, SigInfo, WNOWAIT, WSTOPPED,
};
use guest_user::task::{
    __WALL, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM, Clone,
    Status, WNOHANG,
};
use guest_user::{path, println, program, sys, task};

program!(main);

const CLONE_PTRACE: u32 = 0x2000;
const CLONE_UNTRACED: u32 = 0x0080_0000;

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("syscalls") => syscalls(),
        Some("memory") => memory(),
        Some("signals") => signals(),
        Some("step") => step(),
        Some("attach") => attach(),
        Some("seize") => seize(),
        Some("events") => events(args),
        Some("threads") => threads(),
        Some("clone-ptrace") => clone_flag(CLONE_PTRACE, 0),
        Some("clone-untraced") => clone_flag(CLONE_UNTRACED, PTRACE_O_TRACEFORK),
        Some("other-parent") => other_parent(),
        Some("exitkill") => exitkill(),
        Some("vm") => process_vm(),
        Some("proc") => proc(),
        Some("errors") => errors(),
        Some("nothing") => {}
        _ => return 2,
    }
    0
}

fn name<T>(result: Result<T, Errno>) -> Option<&'static str> {
    result.err().and_then(Errno::name)
}

fn wait(pid: i32) -> Status {
    must(task::wait(pid, __WALL), "wait").1
}

fn describe(what: &str, status: Status) {
    let code = status.0 >> 8 & 0xFF;
    let event = status.0 >> 16;
    match status.0 & 0xFF {
        0x7F if event != 0 => println!("{what}: signal {code} event {event}"),
        0x7F if code & 0x80 != 0 => println!("{what}: system call"),
        0x7F => println!("{what}: stopped by {code}"),
        _ => println!("{what}: {status}"),
    }
}

/// A child that is traced and has stopped itself.
fn tracee(work: impl FnOnce()) -> i32 {
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        must(ptrace(PTRACE_TRACEME, 0, 0, 0), "traceme");
        stop_self();
        work();
        task::exit(0);
    }
    let status = wait(pid);
    if status.0 != (SIGSTOP << 8 | 0x7F) as i32 {
        describe("not stopped", status);
    }
    pid
}

fn stop_self() {
    must(
        signal::tgkill(sys::getpid(), sys::gettid(), SIGSTOP),
        "tgkill",
    );
}

fn options(pid: i32, options: u32) {
    must(
        ptrace(PTRACE_SETOPTIONS, pid, 0, options as usize),
        "setoptions",
    );
}

fn go_on(pid: i32, request: u32, signal: u32) {
    must(ptrace(request, pid, 0, signal as usize), "go on");
}

fn call_name(number: u64) -> &'static str {
    match number {
        1 => "write",
        3 => "close",
        39 => "getpid",
        102 => "getuid",
        110 => "getppid",
        231 => "exit_group",
        _ => "another call",
    }
}

/// Each system call is two stops; at the first its number may be changed, at
/// the second its result.
fn syscalls() {
    let pid = tracee(|| {
        // Asks by the result what became of the call.
        let changed = sys::getppid();
        let refused = name(sys::close(77));
        println!("the child: getppid gave {changed}, close gave {refused:?}");
    });
    options(pid, PTRACE_O_TRACESYSGOOD);
    for _ in 0..40 {
        go_on(pid, PTRACE_SYSCALL, 0);
        let status = wait(pid);
        if status.exited().is_some() {
            describe("end", status);
            break;
        }
        if status.0 >> 8 != (SIGTRAP | 0x80) as i32 {
            describe("another stop", status);
            continue;
        }
        let registers = must(trace::registers(pid), "getregs");
        let entering = registers.rax as i64 == -38;
        let call = call_name(registers.orig_rax);
        println!("{} {call}", if entering { "enters" } else { "leaves" });
        let mut changed = registers;
        match (call, entering) {
            ("getppid", false) => changed.rax = 4711,
            // Number -1 is no call: it is not done.
            ("close", true) => changed.orig_rax = u64::MAX,
            _ => continue,
        }
        must(trace::put(PTRACE_SETREGS, pid, 0, &changed), "setregs");
    }
}

static WORD: AtomicU64 = AtomicU64::new(0x1122_3344_5566_7788);
static TEXT: [u8; 16] = *b"only to be read.";

fn memory() {
    let pid = tracee(|| {
        let text = core::str::from_utf8(&TEXT).unwrap_or("?");
        // What the compiler knows of the text is not what is there.
        println!(
            "the child: {:#x} {}",
            WORD.load(Relaxed),
            core::hint::black_box(text)
        );
    });
    let word = WORD.as_ptr() as usize;
    println!("peek: {:#x}", must(trace::peek(pid, word), "peek"));
    must(ptrace(PTRACE_POKEDATA, pid, word, 0xAABB), "poke");
    println!(
        "then: {:#x}, here {:#x}",
        must(trace::peek(pid, word), "peek"),
        WORD.load(Relaxed)
    );
    let text = TEXT.as_ptr() as usize;
    let new = usize::from_le_bytes(*b"now writ");
    println!(
        "read-only memory: {:?}",
        name(ptrace(PTRACE_POKETEXT, pid, text, new))
    );
    let own = core::str::from_utf8(&TEXT).unwrap_or("?");
    println!("here: {}", core::hint::black_box(own));
    println!("nowhere: {:?}", name(trace::peek(pid, 16)));
    println!("nowhere: {:?}", name(ptrace(PTRACE_POKEDATA, pid, 16, 0)));
    let mut value = 0_u64;
    // SAFETY: the kernel writes one word.
    must(
        unsafe { trace::get(PTRACE_PEEKUSR, pid, 8 * 15, &mut value) },
        "peekuser",
    );
    println!("orig_rax: {value}");
    must(ptrace(PTRACE_POKEUSR, pid, 8 * 12, 5), "pokeuser");
    println!("rdx: {}", must(trace::registers(pid), "getregs").rdx);
    // SAFETY: as above.
    let outside = unsafe { trace::get(PTRACE_PEEKUSR, pid, 4096, &mut value) };
    println!("outside: {:?}", name(outside));
    go_on(pid, PTRACE_CONT, 0);
    describe("end", wait(pid));
}

static CALLS: AtomicI32 = AtomicI32::new(0);

extern "C" fn handler(signal: i32, info: *const Info, _: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo to the handler.
    let info = unsafe { more::given(info) };
    println!(
        "the child: signal {signal} code {} value {}",
        info.code(),
        info.value()
    );
    CALLS.fetch_add(1, Relaxed);
}

/// A signal is a stop before it is delivered: it may go, come, or be another.
fn signals() {
    let pid = tracee(|| {
        for signal in [SIGUSR1, SIGUSR2] {
            must(
                signal::set_action(signal, &Action::handler(handler, 0)),
                "sigaction",
            );
        }
        must(signal::set_action(SIGURG, &Action::IGNORE), "sigaction");
        let me = sys::getpid();
        for signal in [SIGUSR1, SIGUSR1, SIGUSR1, SIGURG] {
            must(more::queue(me, signal, &SigInfo::queued(-1, 5)), "sigqueue");
        }
        println!("the child: {} calls", CALLS.load(Relaxed));
        must(signal::kill(me, SIGTERM), "kill");
    });
    go_on(pid, PTRACE_CONT, 0);
    describe("first", wait(pid));
    let mut info = must(trace::info(pid), "getsiginfo");
    println!(
        "signal {} code {} value {}",
        info.signal(),
        info.code(),
        info.value()
    );
    info.0[6] = 6;
    must(trace::put(PTRACE_SETSIGINFO, pid, 0, &info), "setsiginfo");
    go_on(pid, PTRACE_CONT, SIGUSR1);
    describe("second, taken away", wait(pid));
    go_on(pid, PTRACE_CONT, 0);
    describe("third, becomes SIGUSR2", wait(pid));
    go_on(pid, PTRACE_CONT, SIGUSR2);
    describe("ignored, but seen", wait(pid));
    go_on(pid, PTRACE_CONT, SIGURG);
    describe("deadly", wait(pid));
    println!(
        "no such signal: {:?}",
        name(ptrace(PTRACE_CONT, pid, 0, 65))
    );
    go_on(pid, PTRACE_CONT, SIGTERM);
    describe("end", wait(pid));
}

/// Three instructions, then a breakpoint, then a system call, one at a time.
fn step() {
    let pid = tracee(|| {
        // SAFETY: numbers only.
        unsafe {
            asm!("mov eax, 1", "inc eax", "int3", "inc eax", "mov eax, 39", "syscall", "nop",
                "int3", out("rax") _, out("rcx") _, out("r11") _);
        }
    });
    go_on(pid, PTRACE_CONT, 0);
    describe("breakpoint", wait(pid));
    let at = must(trace::registers(pid), "getregs").rip;
    println!("eax {}", must(trace::registers(pid), "getregs").rax);
    for what in ["inc", "mov", "syscall", "nop"] {
        go_on(pid, PTRACE_SINGLESTEP, 0);
        let status = wait(pid);
        let registers = must(trace::registers(pid), "getregs");
        println!(
            "{what}: stop {:#x}, {} bytes on, trap flag {}, code {}",
            status.0,
            registers.rip - at,
            registers.rflags & 0x100 != 0,
            must(trace::info(pid), "getsiginfo").code()
        );
    }
    go_on(pid, PTRACE_CONT, 0);
    describe("breakpoint", wait(pid));
    go_on(pid, PTRACE_CONT, 0);
    describe("end", wait(pid));
}

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// A task that runs is stopped, looked at, and let go.
fn attach() {
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        spin();
    }
    must(ptrace(PTRACE_ATTACH, pid, 0, 0), "attach");
    describe("attached", wait(pid));
    println!("again: {:?}", name(ptrace(PTRACE_ATTACH, pid, 0, 0)));
    println!(
        "it has registers: {}",
        must(trace::registers(pid), "getregs").rip != 0
    );
    must(ptrace(PTRACE_DETACH, pid, 0, 0), "detach");
    println!("detached: {:?}", name(trace::registers(pid)));
    must(signal::kill(pid, SIGSTOP), "kill");
    describe("untraced", must(task::wait(pid, more::WUNTRACED), "wait").1);
    must(ptrace(PTRACE_ATTACH, pid, 0, 0), "attach");
    describe("attached while stopped", wait(pid));
    must(signal::kill(pid, SIGKILL), "kill");
    describe("killed while traced", wait(pid));
}

/// Without a signal: interrupt, and a group's stop that is listened to.
fn seize() {
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        spin();
    }
    must(ptrace(PTRACE_SEIZE, pid, 0, 0), "seize");
    println!("it runs: {:?}", name(trace::registers(pid)));
    must(ptrace(PTRACE_INTERRUPT, pid, 0, 0), "interrupt");
    describe("interrupted", wait(pid));
    go_on(pid, PTRACE_CONT, 0);
    must(signal::kill(pid, SIGSTOP), "kill");
    describe("signal", wait(pid));
    go_on(pid, PTRACE_CONT, SIGSTOP);
    describe("group stop", wait(pid));
    must(ptrace(PTRACE_LISTEN, pid, 0, 0), "listen");
    println!(
        "nothing to tell: {:?}",
        task::wait(pid, __WALL | WNOHANG).map(|told| told.0)
    );
    must(signal::kill(pid, SIGCONT), "kill");
    let status = wait(pid);
    describe("it goes on", status);
    println!(
        "by an event: {}",
        status.0 >> 16 == PTRACE_EVENT_STOP as i32
    );
    go_on(pid, PTRACE_CONT, 0);
    describe("signal", wait(pid));
    println!(
        "SEIZE with an address: {:?}",
        name(ptrace(PTRACE_SEIZE, pid, 1, 0))
    );
    must(signal::kill(pid, SIGKILL), "kill");
    describe("end", wait(pid));
}

extern "C" fn leave(_: usize) -> i32 {
    0
}

/// Births, another program, and the end are events.
fn events(args: &Args) {
    let path = args.get(0);
    let pid = tracee(|| {
        let child = must(task::fork(), "fork");
        if child == 0 {
            task::exit(3);
        }
        must(task::wait(child, 0), "wait");
        // SAFETY: the parent sleeps while its child runs on its stack.
        let child = unsafe { Clone::flags(CLONE_VM | CLONE_VFORK | SIGCHLD).run(leave, 0) };
        must(task::wait(must(child, "vfork"), 0), "wait");
        if let Some(path) = path {
            let _ = task::exec(path, &[path, c"nothing"], core::ptr::null());
        }
    });
    options(
        pid,
        PTRACE_O_TRACEFORK
            | PTRACE_O_TRACEVFORK
            | PTRACE_O_TRACEVFORKDONE
            | PTRACE_O_TRACEEXEC
            | PTRACE_O_TRACEEXIT,
    );
    go_on(pid, PTRACE_CONT, 0);
    loop {
        let status = wait(pid);
        describe("parent", status);
        if status.exited().is_some() {
            break;
        }
        let event = status.0 >> 16;
        if event == 1 || event == 2 {
            let child = must(trace::message(pid), "geteventmsg") as i32;
            describe("child starts with", wait(child));
            go_on(child, PTRACE_CONT, 0);
            let status = wait(child);
            describe("child", status);
            if status.0 >> 16 == PTRACE_EVENT_EXIT as i32 {
                println!(
                    "its status will be {:#x}",
                    must(trace::message(child), "message")
                );
            }
            // Its parent waits for it: it is told once the tracer has been.
            if event == 1 {
                go_on(child, PTRACE_CONT, 0);
                describe("child", wait(child));
            } else {
                must(ptrace(PTRACE_DETACH, child, 0, 0), "detach");
            }
        }
        let signal = status.0 >> 8 & 0x7F;
        let deliver = if signal == SIGCHLD as i32 { SIGCHLD } else { 0 };
        go_on(pid, PTRACE_CONT, deliver);
    }
}

extern "C" fn thread(_: usize) -> i32 {
    CALLS.fetch_add(1, Relaxed);
    7
}

/// Each task of a group is traced by itself, and its end is told.
fn threads() {
    let pid = tracee(|| {
        let stack = must(Stack::new(16 * 1024), "stack");
        let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
        // SAFETY: a stack of its own, which stays.
        must(
            unsafe { Clone::on_stack(flags, &stack).run(thread, 0) },
            "clone",
        );
        while CALLS.load(Relaxed) == 0 {
            let _ = sys::sleep_ms(1);
        }
        let _ = sys::sleep_ms(20);
    });
    options(pid, PTRACE_O_TRACECLONE);
    go_on(pid, PTRACE_CONT, 0);
    describe("leader", wait(pid));
    let other = must(trace::message(pid), "geteventmsg") as i32;
    describe("the other starts with", wait(other));
    go_on(pid, PTRACE_CONT, 0);
    go_on(other, PTRACE_CONT, 0);
    describe("the other", wait(other));
    describe("leader", wait(pid));
}

/// A tracee clones with a flag: whether the tracer gets the child.
fn clone_flag(flag: u32, option: u32) {
    let pid = tracee(|| {
        // SAFETY: the child goes on with a copy of this memory and stack.
        let child = unsafe { Clone::flags(flag | SIGCHLD).run(leave, 0) };
        must(task::wait(must(child, "clone"), 0), "wait");
        println!("the child has waited for its child");
    });
    options(pid, option);
    go_on(pid, PTRACE_CONT, 0);
    let mut other = 0;
    loop {
        let (who, status) = must(task::wait(-1, __WALL), "wait");
        let what = if who == pid { "child" } else { "grandchild" };
        if who != pid {
            other += 1;
        }
        describe(what, status);
        if status.0 & 0xFF == 0x7F {
            let signal = status.0 >> 8 & 0x7F;
            let deliver = if signal == SIGCHLD as i32 { SIGCHLD } else { 0 };
            go_on(who, PTRACE_CONT, deliver);
        } else if who == pid {
            break;
        }
    }
    println!("stops and ends of the grandchild: {other}");
}

/// A tracer that is not the parent hears first, the parent afterwards.
fn other_parent() {
    let (output, input) = must(sys::pipe(0), "pipe");
    let (told, tell) = must(sys::pipe(0), "pipe");
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        must(sys::read(told, &mut [0; 1]), "read");
        task::exit(9);
    }
    let tracer = must(task::fork(), "fork");
    if tracer == 0 {
        must(ptrace(PTRACE_SEIZE, pid, 0, 0), "seize");
        must(sys::write_all(tell, b"."), "write");
        // The end stays untold until the parent has looked.
        must(sys::read(output, &mut [0; 1]), "read");
        describe("the tracer", wait(pid));
        task::exit(0);
    }
    let _ = sys::sleep_ms(100);
    println!(
        "the parent at first: {:?}",
        task::wait(pid, WNOHANG).map(|told| told.0)
    );
    must(sys::write_all(input, b"."), "write");
    must(task::wait(tracer, 0), "wait");
    describe("the parent", must(task::wait(pid, 0), "wait").1);
}

/// With a tracer that ends, tracees go on, or with an option end as well.
fn exitkill() {
    for option in [0, PTRACE_O_EXITKILL] {
        let pid = must(task::fork(), "fork");
        if pid == 0 {
            spin();
        }
        let tracer = must(task::fork(), "fork");
        if tracer == 0 {
            must(ptrace(PTRACE_SEIZE, pid, 0, option as usize), "seize");
            task::exit(0);
        }
        must(task::wait(tracer, 0), "wait");
        let _ = sys::sleep_ms(5);
        let ended = must(task::wait(pid, WNOHANG), "wait").0 != 0;
        println!("option {option:#x}: ended {ended}");
        if !ended {
            must(signal::kill(pid, SIGKILL), "kill");
            must(task::wait(pid, 0), "wait");
        }
    }
}

/// Bytes of another task's memory, there and back.
fn process_vm() {
    let (told, tell) = must(sys::pipe(0), "pipe");
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        must(sys::read(told, &mut [0; 1]), "read");
        println!("the child: {:#x}", WORD.load(Relaxed));
        task::exit(0);
    }
    WORD.store(1, Relaxed);
    let at = WORD.as_ptr() as usize;
    let mut bytes = [0; 8];
    println!("read: {:?}", trace::move_memory(pid, false, &mut bytes, at));
    println!(
        "{:#x}, here {:#x}",
        u64::from_le_bytes(bytes),
        WORD.load(Relaxed)
    );
    let mut bytes = 0xCAFE_u64.to_le_bytes();
    println!(
        "written: {:?}",
        trace::move_memory(pid, true, &mut bytes, at)
    );
    println!(
        "nowhere: {:?}",
        name(trace::move_memory(pid, false, &mut bytes, 16))
    );
    let text = TEXT.as_ptr() as usize;
    println!(
        "read-only: {:?}",
        name(trace::move_memory(pid, true, &mut bytes, text))
    );
    println!(
        "nobody: {:?}",
        name(trace::move_memory(0x3FFF_FFFF, false, &mut bytes, at))
    );
    must(sys::write_all(tell, b"."), "write");
    must(task::wait(pid, 0), "wait");
}

fn errors() {
    let me = sys::getpid();
    println!("itself: {:?}", name(ptrace(PTRACE_ATTACH, me, 0, 0)));
    println!(
        "nobody: {:?}",
        name(ptrace(PTRACE_ATTACH, 0x3FFF_FFFF, 0, 0))
    );
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        spin();
    }
    println!("not traced: {:?}", name(ptrace(PTRACE_CONT, pid, 0, 0)));
    println!(
        "unknown options: {:?}",
        name(ptrace(PTRACE_SEIZE, pid, 0, 1 << 30))
    );
    must(signal::kill(pid, SIGKILL), "kill");
    must(task::wait(pid, 0), "wait");
    let pid = tracee(|| {});
    println!("twice: {:?}", name(ptrace(PTRACE_ATTACH, pid, 0, 0)));
    println!(
        "unknown options: {:?}",
        name(ptrace(PTRACE_SETOPTIONS, pid, 0, 1 << 30))
    );
    println!("unknown request: {:?}", name(ptrace(0x4999, pid, 0, 0)));
    println!("a fault is seen: {}", SIGSEGV == 11);
    println!(
        "LISTEN without SEIZE: {:?}",
        name(ptrace(PTRACE_LISTEN, pid, 0, 0))
    );
    println!(
        "INTERRUPT without SEIZE: {:?}",
        name(ptrace(PTRACE_INTERRUPT, pid, 0, 0))
    );
    // Another user may not.
    let other = must(task::fork(), "fork");
    if other == 0 {
        must(more::set_user(54321), "setuid");
        println!("another user: {:?}", name(ptrace(PTRACE_ATTACH, me, 0, 0)));
        println!(
            "its memory: {:?}",
            name(trace::move_memory(
                me,
                false,
                &mut [0; 8],
                WORD.as_ptr() as usize
            ))
        );
        task::exit(0);
    }
    must(task::wait(other, 0), "wait");
    must(ptrace(PTRACE_DETACH, pid, 0, 0), "detach");
    describe("let go", must(task::wait(pid, 0), "wait").1);
}

/// What others see of a task that is traced.
fn proc() {
    let pid = must(task::fork(), "fork");
    if pid == 0 {
        must(ptrace(PTRACE_TRACEME, 0, 0, 0), "traceme");
        stop_self();
        stop_self();
        task::exit(0);
    }
    let options = WSTOPPED | WNOWAIT | __WALL;
    let info = must(more::wait_info(P_PID, pid, options), "waitid");
    println!("waitid: code {} status {}", info.code(), info.value());
    describe("stopped", wait(pid));
    let status = must(Contents::of(path!("/proc/{pid}/status").get()), "status");
    println!("state {}", status.field("State"));
    println!(
        "this is its tracer: {}",
        status.number("TracerPid") == i64::from(sys::getpid())
    );
    must(ptrace(PTRACE_DETACH, pid, 0, 0), "detach");
    must(task::wait(pid, more::WUNTRACED), "wait");
    let status = must(Contents::of(path!("/proc/{pid}/status").get()), "status");
    println!("state {}", status.field("State"));
    println!("nobody traces it: {}", status.number("TracerPid") == 0);
    must(signal::kill(pid, SIGKILL), "kill");
    must(task::wait(pid, 0), "wait");
}
