//! `futexes WORD`: what tasks see of waiting for words and of locks.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use guest_user::errno::{Errno, Result};
use guest_user::map::Pages;
use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::signal::{Action, Info, SIGUSR1, set_action, tgkill};
use guest_user::start::Args;
use guest_user::sys_sched::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_CMP_REQUEUE_PI,
    FUTEX_LOCK_PI, FUTEX_OWNER_DIED, FUTEX_PRIVATE_FLAG, FUTEX_TID_MASK, FUTEX_TRYLOCK_PI,
    FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_WAITERS,
    FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, Futex, MILLISECOND, SCHED_FIFO, SECOND, WaitOne,
    burn, clock, set_affinity, set_robust_list, set_scheduler, wait_any,
};
use guest_user::{println, program, sys, task};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("wake") => waking(),
        Some("requeue") => requeueing(),
        Some("bits") => bits(),
        Some("op") => changing(),
        Some("timeouts") => timeouts(),
        Some("shared") => shared(),
        Some("any") => any(),
        Some("lock") => locks(),
        Some("boost") => boost(),
        Some("requeue-lock") => requeue_lock(),
        Some("robust") => robust(),
        Some("race") => race(),
        Some("race-timeout") => race_timeout(),
        Some("race-requeue") => race_requeue(),
        Some("race-signal") => race_signal(),
        _ => return 2,
    }
    0
}

const PRIVATE: u32 = FUTEX_PRIVATE_FLAG;

static WORD: AtomicU32 = AtomicU32::new(0);
static OTHER: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);

/// What each of some waiters was answered, by its number.
static ANSWERS: [AtomicU32; 4] = [const { AtomicU32::new(77) }; 4];

fn call(word: &AtomicU32, operation: u32, value: u32) -> Result<usize> {
    Futex::new(word, operation | PRIVATE, value).call()
}

fn note(number: usize, answer: Result<usize>) {
    let answer = match answer {
        Ok(value) => value as u32,
        Err(Errno(number)) => 1000 + number,
    };
    ANSWERS[number].store(answer, SeqCst);
    DONE.fetch_add(1, SeqCst);
}

/// Until everybody else sleeps.
fn settle() {
    must(sys::sleep_ms(20), "nanosleep");
}

fn spawn(count: usize, routine: fn(usize) -> usize) -> [Option<Thread>; 4] {
    let mut threads = [const { None }; 4];
    for (number, thread) in threads.iter_mut().enumerate().take(count) {
        *thread = Some(must(Thread::spawn(routine, number), "spawn"));
        settle();
    }
    threads
}

fn join(threads: [Option<Thread>; 4]) {
    for thread in threads.into_iter().flatten() {
        must(thread.join(), "join");
    }
}

fn wait_plainly(number: usize) -> usize {
    note(number, call(&WORD, FUTEX_WAIT, 0));
    0
}

/// Exactly as many wake as were asked for, the first first.
fn waking() {
    println!("another value: {:?}", call(&WORD, FUTEX_WAIT, 1));
    println!("nobody waits: {:?}", call(&WORD, FUTEX_WAKE, 1));
    let threads = spawn(3, wait_plainly);
    println!("one: {:?}", call(&WORD, FUTEX_WAKE, 1));
    settle();
    println!(
        "it was the first: {}, and alone: {}",
        ANSWERS[0].load(SeqCst),
        DONE.load(SeqCst)
    );
    println!("the others: {:?}", call(&WORD, FUTEX_WAKE, 10));
    join(threads);
    println!("all went on: {}", DONE.load(SeqCst));
    let crooked = WORD.as_ptr() as usize + 1;
    // SAFETY: the address is only passed on, and no call reads it.
    let crooked = unsafe { &*(crooked as *const AtomicU32) };
    println!(
        "a word that is not aligned: {:?}",
        call(crooked, FUTEX_WAKE, 1)
    );
    println!("no such operation: {:?}", call(&WORD, 99, 1));
    let real = FUTEX_WAKE | FUTEX_CLOCK_REALTIME;
    println!("a clock where there is none: {:?}", call(&WORD, real, 1));
}

/// Some wake, others wait for another word from then on.
fn requeueing() {
    let threads = spawn(4, wait_plainly);
    let requeue = |expected| {
        Futex {
            count: 2,
            other: Some(&OTHER),
            third: expected,
            ..Futex::new(&WORD, FUTEX_CMP_REQUEUE | PRIVATE, 1)
        }
        .call()
    };
    println!("another value: {:?}", requeue(5));
    println!("one woken, two moved: {:?}", requeue(0));
    settle();
    println!("one went on: {}", DONE.load(SeqCst));
    println!("one is left here: {:?}", call(&WORD, FUTEX_WAKE, 10));
    println!("two are there: {:?}", call(&OTHER, FUTEX_WAKE, 10));
    join(threads);
    println!("all went on: {}", DONE.load(SeqCst));
}

fn wait_with_bit(number: usize) -> usize {
    let futex = Futex {
        third: 1 << number,
        ..Futex::new(&WORD, FUTEX_WAIT_BITSET | PRIVATE, 0)
    };
    note(number, futex.call());
    0
}

/// Only those wake whose bits were named.
fn bits() {
    let threads = spawn(3, wait_with_bit);
    let wake = |bits| {
        Futex {
            third: bits,
            ..Futex::new(&WORD, FUTEX_WAKE_BITSET | PRIVATE, 10)
        }
        .call()
    };
    println!("no bit: {:?}", wake(0));
    println!("a bit that nobody has: {:?}", wake(8));
    println!("the second's: {:?}", wake(2));
    settle();
    println!(
        "it alone went on: {} of {}",
        ANSWERS[1].load(SeqCst),
        DONE.load(SeqCst)
    );
    println!("everybody's: {:?}", wake(u32::MAX));
    join(threads);
}

fn wait_for_both(number: usize) -> usize {
    let word = if number == 0 { &WORD } else { &OTHER };
    note(number, call(word, FUTEX_WAIT, 0));
    0
}

/// A word is changed, and its old value decides who wakes.
fn changing() {
    let change = |operation: u32, operand: u32, comparison: u32, with: u32| {
        let encoded = operation << 28 | comparison << 24 | operand << 12 | with;
        let futex = Futex {
            count: 5,
            other: Some(&OTHER),
            third: encoded,
            ..Futex::new(&WORD, FUTEX_WAKE_OP | PRIVATE, 5)
        };
        (futex.call(), OTHER.load(SeqCst))
    };
    println!("set 6, if it was 1: {:?}", change(0, 6, 0, 1));
    println!("add 3, if it was 6: {:?}", change(1, 3, 0, 6));
    println!("or 16, if it was not 9: {:?}", change(2, 16, 1, 9));
    println!("and not 1, if below 0: {:?}", change(3, 1, 2, 0));
    println!("xor 255, if at least 24: {:?}", change(4, 255, 5, 24));
    println!("set the bit 4, if above 3: {:?}", change(8, 4, 4, 3));
    println!("add -1: {:?}", change(1, 0xFFF, 3, 0));
    println!("no such operation: {:?}", change(7, 0, 0, 0).0);
    println!("no such comparison: {:?}", change(0, 0, 9, 0).0);
    OTHER.store(0, SeqCst);
    let threads = spawn(3, wait_for_both);
    println!(
        "where it was not 0 only one wakes: {:?}",
        change(0, 1, 1, 0)
    );
    settle();
    println!("{} went on", DONE.load(SeqCst));
    println!("where it was 1 the others wake: {:?}", change(0, 2, 0, 1));
    join(threads);
}

/// Timeouts from now and until a moment, by both clocks.
fn timeouts() {
    let now = |number| must(clock(number), "clock_gettime");
    let begin = now(CLOCK_MONOTONIC);
    let relative = Futex {
        timeout: 10 * MILLISECOND,
        ..Futex::new(&WORD, FUTEX_WAIT | PRIVATE, 0)
    };
    println!("10 ms: {:?}", relative.call());
    let until = |operation, timeout| {
        Futex {
            timeout,
            third: u32::MAX,
            ..Futex::new(&WORD, FUTEX_WAIT_BITSET | PRIVATE | operation, 0)
        }
        .call()
    };
    println!("until 20 ms: {:?}", until(0, begin + 20 * MILLISECOND));
    println!(
        "not sooner: {}",
        now(CLOCK_MONOTONIC) >= begin + 20 * MILLISECOND
    );
    let real = now(CLOCK_REALTIME) + 10 * MILLISECOND;
    println!(
        "by the other clock: {:?}",
        until(FUTEX_CLOCK_REALTIME, real)
    );
    println!("not sooner: {}", now(CLOCK_REALTIME) >= real);
    println!("a moment that is over: {:?}", until(0, 1));
    println!("nobody is left: {:?}", call(&WORD, FUTEX_WAKE, 10));
}

/// A word in shared memory is one for both address spaces; a private one is not.
fn shared() {
    let page = must(Pages::shared(1), "mmap");
    let word = page.word(0).as_ptr().cast::<u32>();
    // SAFETY: the mapping stays, and everybody goes through atomics.
    let word = unsafe { AtomicU32::from_ptr(word) };
    for (name, flag) in [("shared", 0), ("private", PRIVATE)] {
        let child = must(task::fork(), "fork");
        if child == 0 {
            let timeout = 100 * MILLISECOND;
            let futex = Futex {
                timeout,
                ..Futex::new(word, FUTEX_WAIT | flag, 0)
            };
            println!("{name}: the child was woken: {:?}", futex.call());
            task::exit(0);
        }
        settle();
        let woken = Futex::new(word, FUTEX_WAKE | flag, 1).call();
        must(task::wait(child, 0), "wait");
        println!("{name}: woken {woken:?}");
    }
}

fn wait_for_any(number: usize) -> usize {
    let one = |word: &AtomicU32| WaitOne {
        value: 0,
        address: word.as_ptr() as u64,
        flags: 2 | PRIVATE,
        reserved: 0,
    };
    note(number, wait_any(&[one(&WORD), one(&OTHER), one(&DONE)]));
    0
}

/// One of several words; the answer is which.
fn any() {
    let threads = spawn(1, wait_for_any);
    println!("the second: {:?}", call(&OTHER, FUTEX_WAKE, 10));
    join(threads);
    println!("so it was told: {}", ANSWERS[0].load(SeqCst));
    println!(
        "it waits for none any more: {:?}",
        call(&WORD, FUTEX_WAKE, 10)
    );
    DONE.store(5, SeqCst);
    wait_for_any(1);
    println!("a word with another value: {}", ANSWERS[1].load(SeqCst));
    println!("no words: {:?}", wait_any(&[]));
    let odd = WaitOne {
        flags: 1,
        ..WaitOne::default()
    };
    println!("a word of another size: {:?}", wait_any(&[odd]));
}

static LOCK: AtomicU32 = AtomicU32::new(0);

fn owner() -> u32 {
    LOCK.load(SeqCst) & FUTEX_TID_MASK
}

fn take_and_release(number: usize) -> usize {
    let answer = call(&LOCK, FUTEX_LOCK_PI, 0);
    let owns = owner() == sys::gettid() as u32;
    note(number, answer);
    if !owns {
        println!("it does not own what it was given");
    }
    must(call(&LOCK, FUTEX_UNLOCK_PI, 0), "unlock");
    0
}

/// Locks that the kernel hands over.
fn locks() {
    println!("free: {:?}", call(&LOCK, FUTEX_LOCK_PI, 0));
    println!("it names its owner: {}", owner() == sys::gettid() as u32);
    println!("its own again: {:?}", call(&LOCK, FUTEX_LOCK_PI, 0));
    println!("and by trying: {:?}", call(&LOCK, FUTEX_TRYLOCK_PI, 0));
    let threads = spawn(2, take_and_release);
    println!("somebody waits: {}", LOCK.load(SeqCst) & FUTEX_WAITERS != 0);
    println!("release: {:?}", call(&LOCK, FUTEX_UNLOCK_PI, 0));
    join(threads);
    println!("both had it: {}", DONE.load(SeqCst));
    println!("nobody owns it: {}", owner());
    println!(
        "release what is not ours: {:?}",
        call(&LOCK, FUTEX_UNLOCK_PI, 0)
    );
    LOCK.store(1 << 29, SeqCst);
    println!(
        "an owner that is not there: {:?}",
        call(&LOCK, FUTEX_LOCK_PI, 0)
    );
    LOCK.store(0, SeqCst);
    must(call(&LOCK, FUTEX_LOCK_PI, 0), "lock");
    let threads = spawn(1, |number| {
        let until = must(clock(CLOCK_REALTIME), "clock_gettime") + 10 * MILLISECOND;
        let futex = Futex {
            timeout: until,
            ..Futex::new(&LOCK, FUTEX_LOCK_PI | PRIVATE, 0)
        };
        note(number, futex.call());
        note(1, call(&LOCK, FUTEX_TRYLOCK_PI, 0));
        0
    });
    join(threads);
    println!(
        "a timeout: {}, a try: {}",
        ANSWERS[0].load(SeqCst),
        ANSWERS[1].load(SeqCst)
    );
    must(call(&LOCK, FUTEX_UNLOCK_PI, 0), "unlock");
}

static PHASE: AtomicU32 = AtomicU32::new(0);
static ORDER: AtomicUsize = AtomicUsize::new(0);

fn arrive(digit: usize) {
    let before = ORDER.load(SeqCst);
    ORDER.store(before * 10 + digit, SeqCst);
}

/// An owner of low priority that somebody urgent waits for is not kept from
/// running by those between.
fn boost() {
    must(set_affinity(0, 1), "sched_setaffinity");
    must(set_scheduler(0, SCHED_FIFO, 90), "sched_setscheduler");
    let low = must(
        Thread::spawn(
            |_| {
                must(set_scheduler(0, SCHED_FIFO, 10), "sched_setscheduler");
                must(call(&LOCK, FUTEX_LOCK_PI, 0), "lock");
                PHASE.store(1, SeqCst);
                while PHASE.load(SeqCst) < 2 {
                    must(sys::sleep_ms(1), "nanosleep");
                }
                burn(40);
                arrive(1);
                must(call(&LOCK, FUTEX_UNLOCK_PI, 0), "unlock");
                0
            },
            0,
        ),
        "spawn",
    );
    while PHASE.load(SeqCst) < 1 {
        must(sys::sleep_ms(1), "nanosleep");
    }
    let high = must(
        Thread::spawn(
            |_| {
                must(set_scheduler(0, SCHED_FIFO, 80), "sched_setscheduler");
                must(call(&LOCK, FUTEX_LOCK_PI, 0), "lock");
                arrive(2);
                must(call(&LOCK, FUTEX_UNLOCK_PI, 0), "unlock");
                0
            },
            0,
        ),
        "spawn",
    );
    settle();
    let middle = must(
        Thread::spawn(
            |_| {
                must(set_scheduler(0, SCHED_FIFO, 50), "sched_setscheduler");
                burn(2_000);
                arrive(3);
                0
            },
            0,
        ),
        "spawn",
    );
    PHASE.store(2, SeqCst);
    // The three are ready, or soon; the mother must sleep to let them run.
    for thread in [low, high, middle] {
        must(thread.join(), "join");
    }
    println!(
        "the owner (1), who waits for it (2), and who is between them (3): {}",
        ORDER.load(SeqCst)
    );
}

fn wait_for_lock(number: usize) -> usize {
    let futex = Futex {
        other: Some(&LOCK),
        ..Futex::new(&WORD, FUTEX_WAIT_REQUEUE_PI | PRIVATE, 0)
    };
    note(number, futex.call());
    if owner() != sys::gettid() as u32 {
        println!("it does not own what it was given");
    }
    must(call(&LOCK, FUTEX_UNLOCK_PI, 0), "unlock");
    0
}

/// Waiters of a word that are moved to a lock.
fn requeue_lock() {
    let requeue = |count, expected| {
        Futex {
            count,
            other: Some(&LOCK),
            third: expected,
            ..Futex::new(&WORD, FUTEX_CMP_REQUEUE_PI | PRIVATE, 1)
        }
        .call()
    };
    let threads = spawn(3, wait_for_lock);
    println!(
        "they cannot be woken otherwise: {:?}",
        call(&WORD, FUTEX_WAKE, 1)
    );
    println!("another value: {:?}", requeue(1, 9));
    must(call(&LOCK, FUTEX_LOCK_PI, 0), "lock");
    println!("while it is taken all wait: {:?}", requeue(5, 0));
    settle();
    println!("nobody went on: {}", DONE.load(SeqCst));
    must(call(&LOCK, FUTEX_UNLOCK_PI, 0), "unlock");
    join(threads);
    println!("each had it in turn: {}", DONE.load(SeqCst));
    let threads = spawn(1, wait_for_lock);
    println!("a free lock is given at once: {:?}", requeue(0, 0));
    join(threads);
    println!("and released: {}", owner());
}

/// A list with one entry, whose lock lies behind it.
static LIST: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
static ENTRY: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn entry_lock() -> &'static AtomicU32 {
    // SAFETY: the second word of the entry is used through atomics only.
    unsafe { AtomicU32::from_ptr(ENTRY[1].as_ptr().cast()) }
}

fn die_with_a_lock(_: usize) -> usize {
    let entry = ENTRY[0].as_ptr() as usize;
    let head = LIST[0].as_ptr() as usize;
    LIST[0].store(entry, SeqCst);
    LIST[1].store(8, SeqCst);
    ENTRY[0].store(head, SeqCst);
    must(set_robust_list(&LIST), "set_robust_list");
    entry_lock().store(sys::gettid() as u32 | FUTEX_WAITERS, SeqCst);
    settle();
    settle();
    0
}

/// A task that ends with a lock leaves a mark in it and wakes one who waits.
fn robust() {
    let holder = must(Thread::spawn(die_with_a_lock, 0), "spawn");
    settle();
    let lock = entry_lock();
    let held = lock.load(SeqCst);
    println!("held: {}", held & FUTEX_TID_MASK == holder.id() as u32);
    let futex = Futex {
        timeout: SECOND,
        ..Futex::new(lock, FUTEX_WAIT, held)
    };
    println!("its end wakes: {:?}", futex.call());
    let now = lock.load(SeqCst);
    println!("the owner died: {}", now & FUTEX_OWNER_DIED != 0);
    println!("nobody owns it: {}", now & FUTEX_TID_MASK);
    must(holder.join(), "join");
    let threads = spawn(1, |_| {
        must(call(&LOCK, FUTEX_LOCK_PI, 0), "lock");
        settle();
        settle();
        0
    });
    // On a busy computer it may not have come to the lock yet.
    while owner() == 0 {
        settle();
    }
    println!(
        "a lock whose owner dies is handed over: {:?}",
        call(&LOCK, FUTEX_LOCK_PI, 0)
    );
    println!(
        "with the mark: {}",
        LOCK.load(SeqCst) & FUTEX_OWNER_DIED != 0
    );
    println!("it is ours: {}", owner() == sys::gettid() as u32);
    join(threads);
}

/// A waiter and a waker: whatever comes first, the waiter goes on.
fn race() {
    let waiter = must(
        Thread::spawn(
            |_| {
                while WORD.load(SeqCst) == 0 {
                    let _ = call(&WORD, FUTEX_WAIT, 0);
                }
                0
            },
            0,
        ),
        "spawn",
    );
    WORD.store(1, SeqCst);
    let _ = call(&WORD, FUTEX_WAKE, 1);
    must(waiter.join(), "join");
    println!("the waiter went on");
}

/// Waits 5 ms, and says how that ended.
fn wait_a_while(number: usize) -> usize {
    let futex = Futex {
        timeout: 5 * MILLISECOND,
        ..Futex::new(&WORD, FUTEX_WAIT | PRIVATE, 0)
    };
    note(number, futex.call());
    0
}

/// Works until the waiter's time has run out, or nearly.
fn work_a_while(begin: u64) {
    // In the guest that is enough, however the kernel was built: how often the
    // clock is asked is part of the order of events.
    burn(40_000);
    while must(clock(CLOCK_MONOTONIC), "clock_gettime") < begin + 6 * MILLISECOND {
        burn(4);
    }
}

/// A wake-up that meets a timeout counts for one of the two, never for none.
fn race_timeout() {
    let begin = must(clock(CLOCK_MONOTONIC), "clock_gettime");
    let waiter = must(Thread::spawn(wait_a_while, 0), "spawn");
    must(sys::sleep_ms(1), "nanosleep");
    work_a_while(begin);
    let woken = must(call(&WORD, FUTEX_WAKE, 1), "wake");
    must(waiter.join(), "join");
    let answer = ANSWERS[0].load(SeqCst);
    println!("both agree: {}", (woken == 1) == (answer == 0));
}

/// A waiter that is moved while its time runs out is in one queue or in none.
fn race_requeue() {
    let begin = must(clock(CLOCK_MONOTONIC), "clock_gettime");
    let waiter = must(Thread::spawn(wait_a_while, 0), "spawn");
    must(sys::sleep_ms(1), "nanosleep");
    work_a_while(begin);
    let futex = Futex {
        count: 1,
        other: Some(&OTHER),
        third: 0,
        ..Futex::new(&WORD, FUTEX_CMP_REQUEUE | PRIVATE, 0)
    };
    must(futex.call(), "requeue");
    must(waiter.join(), "join");
    println!("its time ran out: {}", ANSWERS[0].load(SeqCst));
    println!("nobody is left: {:?}", call(&OTHER, FUTEX_WAKE, 1));
}

extern "C" fn handle(_: i32, _: *const Info, _: *mut c_void) {}

/// A wake-up that meets a signal counts for one of the two, never for none.
fn race_signal() {
    must(
        set_action(SIGUSR1, &Action::handler(handle, 0)),
        "sigaction",
    );
    let waiter = must(
        Thread::spawn(
            |number| {
                note(number, call(&WORD, FUTEX_WAIT, 0));
                0
            },
            0,
        ),
        "spawn",
    );
    settle();
    must(tgkill(sys::getpid(), waiter.id(), SIGUSR1), "tgkill");
    let woken = must(call(&WORD, FUTEX_WAKE, 1), "wake");
    must(waiter.join(), "join");
    let answer = ANSWERS[0].load(SeqCst);
    println!("both agree: {}", (woken == 1) == (answer == 0));
}
