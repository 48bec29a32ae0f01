//! `thread-exit [group]`: the first thread ends before the others, and the
//! group lives on until the last; or, with `group`, one ends them all.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::start::Args;
use guest_user::{println, program, sys, task};

program!(main);

/// Whose status the group's is, the first thread's or the last one's, has
/// changed between Linux versions: here both are the same.
const STATUS: i32 = 21;

/// Set when the first thread is about to end.
static LEAVING: AtomicU32 = AtomicU32::new(0);

fn main(args: &Args) -> i32 {
    if args.text(1) == Some("group") {
        must(Thread::spawn(end_everybody, 0), "spawn");
        loop {
            core::hint::spin_loop();
        }
    }
    must(Thread::spawn(stay, 0), "spawn");
    println!("the first thread leaves");
    LEAVING.store(1, Relaxed);
    task::exit_task(STATUS)
}

fn stay(_: usize) -> usize {
    while LEAVING.load(Relaxed) == 0 {
        sys::sched_yield();
    }
    let _ = sys::sleep_ms(5);
    println!(
        "another thread is still here; the group's id is its own: {}",
        sys::getpid() == sys::gettid()
    );
    task::exit_task(STATUS)
}

fn end_everybody(_: usize) -> usize {
    println!("one thread ends them all");
    task::exit(22)
}
