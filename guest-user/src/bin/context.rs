//! `context WORD`: parts of a context that two tasks share, or each have.
//!
//! - `handlers`: does a handler that the child sets run in the parent?
//! - `wait-by-pid`: two children have ended, and the second is asked for first.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::{self, Action, Info, SIGCHLD, SIGUSR2};
use guest_user::start::Args;
use guest_user::sys;
use guest_user::task::{self, CLONE_SIGHAND, CLONE_VM, Clone};
use guest_user::{eprintln, println, program};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("handlers") => handlers(),
        Some("wait-by-pid") => wait_by_pid(),
        _ => {
            eprintln!("context: handlers or wait-by-pid");
            return 2;
        }
    }
    0
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32, _: *const Info, _: *mut c_void) {
    COUNT.fetch_add(1, Relaxed);
}

fn handlers() {
    for (what, flags) in [
        ("a table of its own", CLONE_VM),
        ("the parent's table", CLONE_VM | CLONE_SIGHAND),
    ] {
        must(signal::set_action(SIGUSR2, &Action::IGNORE), "sigaction");
        COUNT.store(0, Relaxed);
        let stack = must(Stack::new(16 * 1024), "stack");
        // SAFETY: the child has a stack of its own, and we wait for its end.
        let child = unsafe { Clone::on_stack(SIGCHLD | flags, &stack).run(set_handler, 0) };
        must(task::wait(must(child, "clone"), 0), "wait");
        must(signal::kill(sys::getpid(), SIGUSR2), "kill");
        println!(
            "the child has {what}: its handler ran {} times in the parent",
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

fn wait_by_pid() {
    let children = [1, 2].map(|status| {
        let child = must(task::fork(), "fork");
        if child == 0 {
            task::exit(status);
        }
        child
    });
    for child in [children[1], children[0]] {
        let (waited, status) = must(task::wait(child, 0), "wait");
        println!("the one asked for came: {}; it {status}", waited == child);
    }
}
