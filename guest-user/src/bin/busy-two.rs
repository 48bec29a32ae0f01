//! `busy-two [threads]`: two loops that never sleep and never yield, each of
//! which waits for the other's progress: on one CPU only preemption can run both.
#![no_std]
#![no_main]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use guest_user::map::Pages;
use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::start::Args;
use guest_user::{println, program, task};

program!(main);

const ROUNDS: u64 = 5;

/// What the two see of each other, for threads.
static PROGRESS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn main(args: &Args) -> i32 {
    if args.text(1) == Some("threads") {
        let other = must(Thread::spawn(second_thread, 0), "spawn");
        race(&PROGRESS[0], &PROGRESS[1]);
        must(other.join(), "join");
    } else {
        let shared = must(Pages::shared(2), "mmap");
        let child = must(task::fork(), "fork");
        if child == 0 {
            race(shared.word(1), shared.word(0));
            return 0;
        }
        race(shared.word(0), shared.word(1));
        must(task::wait(child, 0), "wait");
    }
    println!("both loops went {ROUNDS} rounds, each waiting for the other");
    0
}

fn second_thread(_: usize) -> usize {
    race(&PROGRESS[1], &PROGRESS[0]);
    0
}

/// Goes forward by one when the other has come as far.
fn race(own: &AtomicU64, other: &AtomicU64) {
    for round in 1..=ROUNDS {
        own.store(round, Relaxed);
        while other.load(Relaxed) < round {
            spin_loop();
        }
    }
}
