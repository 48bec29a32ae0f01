//! `threads [N]`: N threads of the small pthread library count together.
//!
//! Each counts to 1000 under one mutex, waits on a condition variable until
//! all have done so, and keeps its number in its thread-local data meanwhile.
#![no_std]
#![no_main]

use guest_user::out::must;
use guest_user::pthread::{Condition, Mutex, Thread, local, set_local};
use guest_user::start::Args;
use guest_user::{println, program, sys};

program!(main);

const MOST: usize = 16;
const ROUNDS: usize = 1000;
/// The slot of the thread's number.
const NUMBER: usize = 3;

struct Shared {
    count: usize,
    finished: usize,
    all: usize,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared {
    count: 0,
    finished: 0,
    all: 0,
});
static EVERYBODY_FINISHED: Condition = Condition::new();

fn main(args: &Args) -> i32 {
    let all = args.number(1, 4).clamp(1, MOST);
    SHARED.lock().all = all;
    set_local(NUMBER, 1_000_000);
    let mut threads: [Option<Thread>; MOST] = [const { None }; MOST];
    for (number, thread) in threads.iter_mut().enumerate().take(all) {
        *thread = Some(must(Thread::spawn(count, number), "spawn"));
    }
    for (number, thread) in threads.into_iter().flatten().enumerate() {
        let own = must(thread.join(), "join");
        println!("thread {number} kept {own} and saw the group's id");
    }
    println!("{all} threads counted to {}", SHARED.lock().count);
    println!("the first thread kept {}", local(NUMBER));
    0
}

/// Gives the number from the thread's own data, or 999 if the ids are not a thread's.
fn count(number: usize) -> usize {
    set_local(NUMBER, number * 10);
    for _ in 0..ROUNDS {
        SHARED.lock().count += 1;
    }
    let mut shared = SHARED.lock();
    shared.finished += 1;
    if shared.finished == shared.all {
        EVERYBODY_FINISHED.broadcast();
    }
    while shared.finished < shared.all {
        shared = EVERYBODY_FINISHED.wait(shared);
    }
    drop(shared);
    if sys::gettid() == sys::getpid() {
        999
    } else {
        local(NUMBER)
    }
}
