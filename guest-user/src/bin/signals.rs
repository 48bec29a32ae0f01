//! `signals`: handlers, masks, interrupted and restarted calls, the alternate
//! stack, a handler table that two tasks share, and children nobody waits for.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::{
    self, Action, Info, SA_ONSTACK, SA_RESTART, SIG_BLOCK, SIG_UNBLOCK, SIGCHLD, SIGKILL, SIGUSR1,
    SIGUSR2,
};
use guest_user::start::Args;
use guest_user::task::{self, CLONE_SIGHAND, CLONE_VM, Clone};
use guest_user::{println, program, sys};

program!(main);

static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Where the handler's frame was.
static FRAME: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(signal: i32, info: *const Info, _: *mut c_void) {
    // SAFETY: the kernel passes the signal's information.
    let same = unsafe { (*info).signo } == signal;
    COUNT.fetch_add(if same { 1 } else { 1000 }, Relaxed);
    FRAME.store(info as usize, Relaxed);
}

fn main(_: &Args) -> i32 {
    call_and_mask();
    interrupted_call();
    restarted_call();
    alternate_stack();
    shared_table();
    ignored_child();
    0
}

fn send_self(signal: u32) {
    must(signal::kill(sys::getpid(), signal), "kill");
}

fn catch(flags: u32) {
    must(
        signal::set_action(SIGUSR1, &Action::handler(count, flags)),
        "sigaction",
    );
    COUNT.store(0, Relaxed);
}

fn call_and_mask() {
    catch(0);
    send_self(SIGUSR1);
    println!("handler called {} time", COUNT.load(Relaxed));
    must(
        signal::change_mask(SIG_BLOCK, signal::bit(SIGUSR1)),
        "sigprocmask",
    );
    send_self(SIGUSR1);
    send_self(SIGUSR1);
    println!("while blocked {} time", COUNT.load(Relaxed));
    let old = must(
        signal::change_mask(SIG_UNBLOCK, signal::bit(SIGUSR1)),
        "sigprocmask",
    );
    println!(
        "afterwards {} times, the mask was {old:#x}",
        COUNT.load(Relaxed)
    );
    must(
        signal::tgkill(sys::getpid(), sys::gettid(), SIGUSR1),
        "tgkill",
    );
    println!("by tgkill {} times", COUNT.load(Relaxed));
    println!(
        "kill of nobody: {:?}",
        signal::kill(0x3FFF_FFFF, SIGUSR1)
            .err()
            .and_then(|e| e.name())
    );
    println!(
        "action for SIGKILL: {:?}",
        signal::set_action(SIGKILL, &Action::IGNORE)
            .err()
            .and_then(|e| e.name())
    );
}

/// A child that sends signals until it is killed: one of them meets the read.
fn interrupted_call() {
    catch(0);
    let (output, input) = must(sys::pipe(0), "pipe");
    let parent = sys::getpid();
    let child = must(task::fork(), "fork");
    if child == 0 {
        loop {
            // Asleep or not, the next signal follows.
            let _ = sys::sleep_ms(2);
            must(signal::kill(parent, SIGUSR1), "kill");
        }
    }
    let errno = sys::read(output, &mut [0; 1])
        .err()
        .and_then(|errno| errno.name());
    println!(
        "read: {errno:?}, handler called: {}",
        COUNT.load(Relaxed) > 0
    );
    must(signal::kill(child, SIGKILL), "kill");
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("the sender {status}");
    must(sys::close(output), "close");
    must(sys::close(input), "close");
}

fn restarted_call() {
    catch(SA_RESTART);
    let (output, input) = must(sys::pipe(0), "pipe");
    let parent = sys::getpid();
    let child = must(task::fork(), "fork");
    if child == 0 {
        let _ = sys::sleep_ms(5);
        must(signal::kill(parent, SIGUSR1), "kill");
        let _ = sys::sleep_ms(5);
        must(sys::write_all(input, b"x"), "write");
        task::exit(0);
    }
    let count = must(sys::read(output, &mut [0; 1]), "read");
    println!(
        "restarted read: {count} byte, handler called {}",
        COUNT.load(Relaxed)
    );
    must(task::wait(child, 0), "wait");
}

fn alternate_stack() {
    let stack = must(Stack::new(32 * 1024), "stack");
    must(signal::set_alternate_stack(&stack), "sigaltstack");
    catch(SA_ONSTACK);
    send_self(SIGUSR1);
    let on_it = (stack.base()..stack.top()).contains(&FRAME.load(Relaxed));
    println!("handler ran on the alternate stack: {on_it}");
    catch(0);
    send_self(SIGUSR1);
    let on_it = (stack.base()..stack.top()).contains(&FRAME.load(Relaxed));
    println!("without SA_ONSTACK: {on_it}");
}

/// A child that shares the table sets a handler; the parent's signal runs it.
fn shared_table() {
    for flags in [CLONE_VM, CLONE_VM | CLONE_SIGHAND] {
        must(signal::set_action(SIGUSR2, &Action::IGNORE), "sigaction");
        COUNT.store(0, Relaxed);
        let stack = must(Stack::new(16 * 1024), "stack");
        // SAFETY: the child has a stack of its own, and we wait for its end.
        let child = unsafe { Clone::on_stack(SIGCHLD | flags, &stack).run(set_handler, 0) };
        must(task::wait(must(child, "clone"), 0), "wait");
        send_self(SIGUSR2);
        println!(
            "flags {flags:#x}: the child's handler ran {} times in the parent",
            COUNT.load(Relaxed)
        );
    }
}

extern "C" fn set_handler(_: usize) -> i32 {
    must(
        signal::set_action(SIGUSR2, &Action::handler(count, 0)),
        "sigaction",
    );
    0
}

/// With SIGCHLD ignored nobody stays a zombie, and there is nobody to wait for.
fn ignored_child() {
    must(signal::set_action(SIGCHLD, &Action::IGNORE), "sigaction");
    let child = must(task::fork(), "fork");
    if child == 0 {
        task::exit(7);
    }
    println!(
        "wait: {:?}",
        task::wait(child, 0).err().and_then(|errno| errno.name())
    );
}
