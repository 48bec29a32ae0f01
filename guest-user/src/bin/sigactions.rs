//! `sigactions WORD`: flags of handlers, system calls that a signal cuts
//! short, the alternate stack, and what an instruction's fault tells.
#![no_std]
#![no_main]

use core::arch::asm;
use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use guest_user::errno::Errno;
use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::{
    self, Action, Info, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SIG_BLOCK, SIGALRM,
    SIGKILL, SIGPIPE, SIGSEGV, SIGUSR1, SIGUSR2, bit,
};
use guest_user::start::Args;
use guest_user::sys_signal::{
    self as more, AltStack, RLIMIT_CORE, SIGBUS, SIGCONT, SIGFPE, SIGILL, SIGSTOP, SIGTRAP,
    SS_AUTODISARM, SS_DISABLE, SS_ONSTACK,
};
use guest_user::{println, program, sys, task};

program!(main);

static CALLS: AtomicI32 = AtomicI32::new(0);
static DEPTH: AtomicI32 = AtomicI32::new(0);
static DEEPEST: AtomicI32 = AtomicI32::new(0);
static MASK: AtomicU64 = AtomicU64::new(0);

fn main(args: &Args) -> i32 {
    // Natively a core file would change the wait status.
    must(more::set_limit(RLIMIT_CORE, 0), "setrlimit");
    match args.text(1) {
        Some("flags") => flags(),
        Some("restart") => restart(),
        Some("sleeps") => sleeps(),
        Some("continued") => continued(),
        Some("altstack") => altstack(),
        Some("faults") => faults(),
        Some("blocked-fault") => blocked_fault(),
        Some("sigpipe") => sigpipe(),
        Some("defaults") => defaults(),
        Some("context") => context(),
        _ => return 2,
    }
    0
}

fn name<T>(result: Result<T, Errno>) -> Option<&'static str> {
    result.err().and_then(Errno::name)
}

fn mask() -> u64 {
    must(signal::change_mask(SIG_BLOCK, 0), "sigprocmask")
}

fn raise(signal: u32) {
    must(
        signal::tgkill(sys::getpid(), sys::gettid(), signal),
        "tgkill",
    );
}

fn catch(signal: u32, handler: signal::Handler, flags: u32) {
    must(
        signal::set_action(signal, &Action::handler(handler, flags)),
        "sigaction",
    );
}

/// Counts, and on its first call sends itself the same signal again.
extern "C" fn nest(signal: i32, _: *const Info, _: *mut c_void) {
    let depth = DEPTH.fetch_add(1, Relaxed) + 1;
    DEEPEST.fetch_max(depth, Relaxed);
    MASK.store(mask(), Relaxed);
    if CALLS.fetch_add(1, Relaxed) == 0 {
        raise(signal as u32);
    }
    DEPTH.fetch_sub(1, Relaxed);
}

fn nested(flags: u32, what: &str) {
    CALLS.store(0, Relaxed);
    DEEPEST.store(0, Relaxed);
    catch(SIGUSR1, nest, flags);
    raise(SIGUSR1);
    println!(
        "{what}: {} calls, {} deep, blocked inside: {}",
        CALLS.load(Relaxed),
        DEEPEST.load(Relaxed),
        MASK.load(Relaxed) & bit(SIGUSR1) != 0
    );
}

fn flags() {
    nested(0, "no flags");
    nested(SA_NODEFER, "SA_NODEFER");
    CALLS.store(1, Relaxed);
    catch(SIGUSR2, nest, SA_RESETHAND);
    raise(SIGUSR2);
    let old = must(signal::set_action(SIGUSR2, &Action::IGNORE), "sigaction");
    println!("SA_RESETHAND: back to the default: {}", old.is_default());
    println!("the mask afterwards is empty: {}", mask() == 0);
}

extern "C" fn count(_: i32, _: *const Info, _: *mut c_void) {
    CALLS.fetch_add(1, Relaxed);
}

/// A child that sends the parent a signal, and a byte after that.
fn disturb(signal: u32, input: sys::Fd) -> i32 {
    CALLS.store(0, Relaxed);
    let parent = sys::getpid();
    let child = must(task::fork(), "fork");
    if child == 0 {
        let _ = sys::sleep_ms(30);
        must(signal::kill(parent, signal), "kill");
        let _ = sys::sleep_ms(30);
        must(sys::write_all(input, b"x"), "write");
        task::exit(3);
    }
    child
}

fn restart() {
    let (output, input) = must(sys::pipe(0), "pipe");
    for (flags, what) in [(0, "without"), (SA_RESTART, "with")] {
        catch(SIGUSR1, count, flags);
        let child = disturb(SIGUSR1, input);
        let got = sys::read(output, &mut [0; 1]);
        println!(
            "read {what} SA_RESTART: {:?} {:?}, {} call",
            got.ok(),
            name(got),
            CALLS.load(Relaxed)
        );
        must(task::wait(child, 0), "wait");
        if got.is_err() {
            must(sys::read(output, &mut [0; 1]), "read");
        }
        let child = disturb(SIGUSR1, input);
        let got = task::wait(child, 0);
        println!("wait {what} SA_RESTART: {:?}", name(got));
        if got.is_err() {
            must(task::wait(child, 0), "wait");
        }
        must(sys::read(output, &mut [0; 1]), "read");
    }
}

/// These end at a handler whatever its flags are.
fn sleeps() {
    catch(SIGUSR1, count, SA_RESTART);
    let (output, input) = must(sys::pipe(0), "pipe");
    for what in ["nanosleep", "poll", "pause", "sigsuspend"] {
        let child = disturb(SIGUSR1, input);
        let (result, rest) = match what {
            "nanosleep" => more::sleep_with_rest(100_000),
            "poll" => {
                let mut fds = [sys::poll_entry(output, 0)];
                (sys::poll(&mut fds, 100_000).map(drop), false)
            }
            "pause" => (more::pause(), false),
            _ => {
                must(signal::change_mask(SIG_BLOCK, bit(SIGUSR1)), "mask");
                let result = more::suspend(0);
                println!("blocked again: {}", mask() == bit(SIGUSR1));
                (result, false)
            }
        };
        println!("{what}: {:?}, rest told: {rest}", name(result));
        must(task::wait(child, 0), "wait");
        must(sys::read(output, &mut [0; 1]), "read");
    }
}

/// A stop without a handler: the call goes on as if nothing had been.
fn continued() {
    let (output, input) = must(sys::pipe(0), "pipe");
    for what in ["read", "nanosleep", "poll", "wait"] {
        let parent = sys::getpid();
        let child = must(task::fork(), "fork");
        if child == 0 {
            let _ = sys::sleep_ms(30);
            must(signal::kill(parent, SIGSTOP), "kill");
            let _ = sys::sleep_ms(30);
            must(signal::kill(parent, SIGCONT), "kill");
            let _ = sys::sleep_ms(30);
            must(sys::write_all(input, b"x"), "write");
            task::exit(0);
        }
        let error = match what {
            "read" => name(sys::read(output, &mut [0; 1])),
            "nanosleep" => name(more::sleep_with_rest(200).0),
            "poll" => name(sys::poll(&mut [sys::poll_entry(output, 1)], 100_000)),
            _ => name(task::wait(child, 0)),
        };
        println!("{what}: {error:?}");
        if what != "wait" {
            must(task::wait(child, 0), "wait");
        }
        if what != "read" {
            must(sys::read(output, &mut [0; 1]), "read");
        }
    }
}

static FRAME: AtomicUsize = AtomicUsize::new(0);
static FLAGS: AtomicI32 = AtomicI32::new(0);
static CHANGE: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_stack(_: i32, info: *const Info, _: *mut c_void) {
    FRAME.store(info as usize, Relaxed);
    let now = must(more::alternate_stack(None), "sigaltstack");
    FLAGS.store(now.flags as i32, Relaxed);
    let none = AltStack {
        flags: SS_DISABLE,
        ..AltStack::default()
    };
    let changed = more::alternate_stack(Some(&none));
    CHANGE.store(i32::from(changed.is_ok()), Relaxed);
}

fn altstack() {
    let stack = must(Stack::new(32 * 1024), "stack");
    let inside = |at: usize| (stack.base()..stack.top()).contains(&at);
    println!(
        "at first: {:#x}",
        must(more::alternate_stack(None), "sigaltstack").flags
    );
    for flags in [0, SS_AUTODISARM] {
        let new = AltStack {
            base: stack.base(),
            flags,
            size: stack.size(),
        };
        must(more::alternate_stack(Some(&new)), "sigaltstack");
        catch(SIGUSR1, on_stack, SA_ONSTACK);
        raise(SIGUSR1);
        let inner = FLAGS.load(Relaxed) as u32;
        println!(
            "flags {flags:#x}: on it {}, inside SS_ONSTACK {} SS_DISABLE {}, may change {}",
            inside(FRAME.load(Relaxed)),
            inner & SS_ONSTACK != 0,
            inner & SS_DISABLE != 0,
            CHANGE.load(Relaxed) != 0
        );
        let after = must(more::alternate_stack(None), "sigaltstack");
        println!("afterwards the same: {}", after.base == stack.base());
    }
    let small = AltStack {
        base: stack.base(),
        flags: 0,
        size: 1024,
    };
    println!("too small: {:?}", name(more::alternate_stack(Some(&small))));
    let wrong = AltStack {
        flags: 0x55,
        ..small
    };
    println!(
        "wrong flags: {:?}",
        name(more::alternate_stack(Some(&wrong)))
    );
}

static RESUME: AtomicU64 = AtomicU64::new(0);
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static TRAP: AtomicU64 = AtomicU64::new(0);
static RIP: AtomicU64 = AtomicU64::new(0);

/// Notes what the kernel says, and goes on behind the instruction.
extern "C" fn note(signal: i32, info: *const Info, context: *mut c_void) {
    // SAFETY: both are the kernel's, for this handler.
    let (info, words) = unsafe { (more::given(info), more::context_words(context)) };
    SIGNAL.store(signal, Relaxed);
    CODE.store(info.code(), Relaxed);
    ADDRESS.store(info.address(), Relaxed);
    TRAP.store(words[5 + 20], Relaxed);
    RIP.store(words[5 + 16], Relaxed);
    words[5 + 17] &= !0x100;
    let resume = RESUME.load(Relaxed);
    if resume != 0 {
        words[5 + 16] = resume;
    }
}

/// Does something, and says what the handler was told; `at` is the address
/// that is expected, 0 for the instruction's.
fn report(what: &str, at: usize) {
    let place = match ADDRESS.load(Relaxed) {
        0 => "nowhere",
        address if address == at => "the address",
        address if address as u64 == RIP.load(Relaxed) => "the instruction",
        _ => "elsewhere",
    };
    println!(
        "{what}: signal {} code {} at {place}, trap {}",
        SIGNAL.load(Relaxed),
        CODE.load(Relaxed),
        TRAP.load(Relaxed)
    );
}

/// One instruction, and where to go on.
macro_rules! fault {
    ($what:expr, $at:expr, $($code:literal),+; $($operands:tt)*) => {
        // SAFETY: the handler goes on at the label; what is clobbered is said.
        unsafe {
            asm!(
                "lea {resume}, [rip + 2f]",
                "mov [{place}], {resume}",
                $($code,)+
                "2:",
                resume = out(reg) _, place = in(reg) RESUME.as_ptr(),
                $($operands)*
            );
        }
        report($what, $at);
    };
}

fn faults() {
    for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP] {
        catch(signal, note, 0);
    }
    fault!("read of nothing", 0x1230, "mov al, [rcx]"; in("rcx") 0x1230_usize, out("al") _);
    let text = main as *const () as usize;
    fault!("write to the program", text, "mov byte ptr [rcx], 0"; in("rcx") text);
    fault!("jump to nowhere", 0x4560, "jmp rcx"; in("rcx") 0x4560_usize);
    fault!("not canonical", 0, "mov al, [rcx]"; in("rcx") 1_usize << 62, out("al") _);
    fault!("kernel's memory", usize::MAX << 47, "mov al, [rcx]"; in("rcx") usize::MAX << 47, out("al") _);
    fault!("privileged", 0, "hlt";);
    fault!("no such instruction", 0, "ud2";);
    fault!("division by zero", 0, "xor edx, edx", "mov eax, 1", "xor ecx, ecx", "div ecx"; out("eax") _, out("ecx") _, out("edx") _);
    fault!("breakpoint", 0, "int3";);
    fault!("a wrong gate", 0, "int 0x21";);
    fault!("SSE division by zero", 0,
        "sub rsp, 16", "stmxcsr [rsp]", "and dword ptr [rsp], 0xfffffdff", "ldmxcsr [rsp]", "add rsp, 16",
        "xorps xmm0, xmm0", "mov eax, 0x3f800000", "movd xmm1, eax", "divss xmm1, xmm0";
        out("eax") _, out("xmm0") _, out("xmm1") _);
    RESUME.store(0, Relaxed);
    // SAFETY: the handler takes the trap flag back.
    unsafe { asm!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "nop", "nop") };
    report("single step", 0);
}

/// A fault cannot be blocked or ignored: it kills then.
fn blocked_fault() {
    for (what, prepare) in [
        (
            "blocked",
            (|| must(signal::change_mask(SIG_BLOCK, bit(SIGSEGV)), "mask")) as fn() -> u64,
        ),
        ("ignored", || {
            must(signal::set_action(SIGSEGV, &Action::IGNORE), "sigaction");
            0
        }),
        ("handled without a stack", || {
            catch(SIGSEGV, note, 0);
            // SAFETY: it does not come back.
            unsafe { asm!("mov rsp, 0x1000", "mov al, [rsp]", "ud2", options(noreturn)) }
        }),
    ] {
        let child = must(task::fork(), "fork");
        if child == 0 {
            prepare();
            // SAFETY: it does not come back.
            unsafe { asm!("xor ecx, ecx", "mov al, [rcx]", "ud2", options(noreturn)) }
        }
        let (_, status) = must(task::wait(child, 0), "wait");
        println!("{what}: {status}");
    }
}

fn sigpipe() {
    let (output, input) = must(sys::pipe(0), "pipe");
    must(sys::close(output), "close");
    let child = must(task::fork(), "fork");
    if child == 0 {
        let _ = sys::write(input, b"x");
        task::exit(1);
    }
    println!("by default: {}", must(task::wait(child, 0), "wait").1);
    catch(SIGPIPE, count, 0);
    println!(
        "caught: {:?}, {} call",
        name(sys::write(input, b"x")),
        CALLS.load(Relaxed)
    );
    must(signal::set_action(SIGPIPE, &Action::IGNORE), "sigaction");
    println!("ignored: {:?}", name(sys::write(input, b"x")));
}

/// What each signal does to a task that has said nothing about it.
fn defaults() {
    for signal in 1..=64 {
        let child = must(task::fork(), "fork");
        if child == 0 {
            // A group that somebody outside can let go on may be stopped.
            must(more::set_process_group(0, 0), "setpgid");
            // Whoever started this may ignore it; KILL and STOP cannot be.
            let _ = signal::set_action(signal, &Action::DEFAULT);
            raise(signal);
            task::exit(0);
        }
        let (_, status) = must(task::wait(child, more::WUNTRACED), "wait");
        if status.0 & 0xFF == 0x7F {
            println!("signal {signal}: stopped by {}", status.0 >> 8);
            must(signal::kill(child, SIGKILL), "kill");
            must(task::wait(child, 0), "wait");
        } else {
            println!("signal {signal}: {status}");
        }
    }
}

/// What the interrupted code finds changed if the handler changes it.
extern "C" fn change(_: i32, _: *const Info, context: *mut c_void) {
    // SAFETY: the kernel's, for this handler.
    let words = unsafe { more::context_words(context) };
    words[5 + 13] = 77;
    // The mask behind the registers.
    words[37] |= bit(SIGALRM);
}

fn context() {
    catch(SIGUSR1, change, 0);
    let (pid, signal) = (sys::getpid() as usize, SIGUSR1 as usize);
    let result: usize;
    // SAFETY: kill, and the handler changes the result.
    unsafe {
        asm!("syscall", inlateout("rax") 62_usize => result, in("rdi") pid, in("rsi") signal,
            lateout("rcx") _, lateout("r11") _);
    }
    println!(
        "kill returned {result}, SIGALRM is blocked: {}",
        mask() == bit(SIGALRM)
    );
}
