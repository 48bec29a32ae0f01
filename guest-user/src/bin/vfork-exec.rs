//! `vfork-exec`: a child by vfork runs on its mother's memory while she sleeps;
//! she goes on when it execs or exits, and not before.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::task::{self, CLONE_VFORK, CLONE_VM, Clone};
use guest_user::{eprintln, println, program, sys};

program!(main);

/// How far the child has come.
static REACHED: AtomicU32 = AtomicU32::new(0);

fn main(args: &Args) -> i32 {
    println!("mother: vfork");
    let exec = vfork(exec_hello, args);
    let reached = REACHED.load(Relaxed);
    let (_, status) = must(task::wait(exec, 0), "wait");
    println!("mother: woke when the child had reached {reached}; it {status}");

    let exit = vfork(exit_slowly, args);
    println!(
        "mother: woke when the child had reached {}",
        REACHED.load(Relaxed)
    );
    let (_, status) = must(task::wait(exit, 0), "wait");
    println!("mother: it {status}");
    0
}

fn vfork(entry: task::Entry, args: &Args) -> i32 {
    let argument: *const Args = args;
    let flags = CLONE_VFORK | CLONE_VM | SIGCHLD;
    // SAFETY: with CLONE_VFORK we sleep while the child uses the stack below us.
    must(
        unsafe { Clone::flags(flags).run(entry, argument as usize) },
        "vfork",
    )
}

extern "C" fn exec_hello(args: usize) -> i32 {
    // SAFETY: the mother passes her arguments and sleeps meanwhile.
    let args = unsafe { &*(args as *const Args) };
    println!("child: runs first, on its mother's memory");
    sys::sched_yield();
    REACHED.store(1, Relaxed);
    let mut path = [0; 256];
    let Some(path) = args.beside("hello", &mut path) else {
        return 1;
    };
    let errno = task::exec(
        path,
        &[c"hello", c"from the exec'ed child"],
        args.environment(),
    );
    eprintln!("{path:?}: {errno}");
    127
}

extern "C" fn exit_slowly(_: usize) -> i32 {
    for step in 2..10 {
        REACHED.store(step, Relaxed);
        sys::sched_yield();
    }
    3
}
