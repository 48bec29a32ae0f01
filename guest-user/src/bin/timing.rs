//! `timing WORD`: clocks, timers and the counting of CPU time.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};

use guest_user::errno::Errno;
use guest_user::map::Pages;
use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::signal::{
    Action, Info, SIG_BLOCK, SIG_UNBLOCK, SIGALRM, SIGKILL, SIGUSR1, bit, change_mask, set_action,
};
use guest_user::start::Args;
use guest_user::sys_sched::{
    CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_THREAD_CPUTIME_ID, Event,
    ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, MILLISECOND, RLIMIT_CPU, SECOND, SIGEV_NONE,
    SIGEV_SIGNAL, SIGEV_THREAD_ID, TIMER_ABSTIME, alarm, burn, clock, cpu_clock_of, create_timer,
    delete_timer, overrun, set_clock, set_descriptor, set_interval, set_limit, set_timer, sleep,
    timer, timer_descriptor, timer_info, times, usage, wait_usage,
};
use guest_user::{println, program, sys, task};

program!(main);

const SIGVTALRM: u32 = 26;
const SIGPROF: u32 = 27;
const SIGXCPU: u32 = 24;

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("interval") => interval(),
        Some("cpu") => cpu_timers(),
        Some("posix") => posix(),
        Some("overrun") => overruns(),
        Some("clocks") => clocks(),
        Some("set-clock") => setting_the_clock(),
        Some("usage") => usages(),
        Some("limit") => limit(),
        Some("descriptor") => descriptor(),
        _ => return 2,
    }
    0
}

/// How many signals have come, the last one, who took it, and what came with it.
static COUNT: AtomicU32 = AtomicU32::new(0);
static TAKER: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static OVERRUN: AtomicI32 = AtomicI32::new(0);
static VALUE: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(_: i32, info: *const Info, _: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo_t.
    let (code, (_, overrun, value)) = unsafe { ((*info).code, timer_info(info)) };
    TAKER.store(sys::gettid(), Relaxed);
    CODE.store(code, Relaxed);
    OVERRUN.store(overrun, Relaxed);
    VALUE.store(value, Relaxed);
    COUNT.fetch_add(1, Relaxed);
}

fn catch(signal: u32) {
    must(set_action(signal, &Action::handler(note, 0)), "sigaction");
}

/// Sleeps until `count` signals have come.
fn wait_for(count: u32) {
    while COUNT.load(Relaxed) < count {
        let _ = sys::sleep_ms(1000);
    }
}

/// ITIMER_REAL and alarm are one timer, which a fork does not copy.
fn interval() {
    catch(SIGALRM);
    let begin = must(clock(CLOCK_MONOTONIC), "clock_gettime");
    let before = set_interval(ITIMER_REAL, 20 * MILLISECOND, 10 * MILLISECOND);
    println!("nothing was set before: {before:?}");
    wait_for(3);
    let passed = must(clock(CLOCK_MONOTONIC), "clock_gettime") - begin;
    println!(
        "the third signal came after 40 ms: {}",
        passed >= 40 * MILLISECOND
    );
    let (left, interval) = must(set_interval(ITIMER_REAL, 0, 0), "setitimer");
    println!("it ran on: {}, by {interval}", left > 0 && left <= interval);
    println!("alarm: {} seconds were left", alarm(100));
    println!("alarm: {} seconds were left", alarm(50));
    let child = must(task::fork(), "fork");
    if child == 0 {
        println!("the child has no alarm: {}", alarm(0));
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    let (left, _) = must(set_interval(ITIMER_REAL, 0, 0), "setitimer");
    println!("setitimer sees the same timer: {}", left > 49 * SECOND);
    println!("there is no fourth timer: {:?}", set_interval(3, 1, 1));
}

/// ITIMER_VIRTUAL and ITIMER_PROF run by CPU time.
fn cpu_timers() {
    for (which, signal, name) in [
        (ITIMER_VIRTUAL, SIGVTALRM, "virtual"),
        (ITIMER_PROF, SIGPROF, "profiling"),
    ] {
        catch(signal);
        COUNT.store(0, Relaxed);
        let begin = must(clock(CLOCK_PROCESS_CPUTIME_ID), "clock_gettime");
        must(set_interval(which, 8 * MILLISECOND, 0), "setitimer");
        must(sys::sleep_ms(20), "nanosleep");
        println!("{name}: {} signals after a sleep", COUNT.load(Relaxed));
        while COUNT.load(Relaxed) == 0 {
            burn(4);
        }
        let used = must(clock(CLOCK_PROCESS_CPUTIME_ID), "clock_gettime") - begin;
        println!(
            "{name}: not before 8 ms of CPU time: {}",
            used >= 8 * MILLISECOND
        );
    }
    catch(SIGUSR1);
    COUNT.store(0, Relaxed);
    let event = Event {
        signal: SIGUSR1,
        notify: SIGEV_SIGNAL,
        ..Event::default()
    };
    let id = must(
        create_timer(CLOCK_THREAD_CPUTIME_ID, &event),
        "timer_create",
    );
    must(set_timer(id, 0, 5 * MILLISECOND, 0), "timer_settime");
    while COUNT.load(Relaxed) == 0 {
        burn(4);
    }
    println!("a POSIX timer ran by this task's CPU time");
}

/// POSIX timers: to the group, to one task, to nobody.
fn posix() {
    catch(SIGUSR1);
    let mut event = Event {
        value: 0x1234_5678_9ABC,
        signal: SIGUSR1,
        notify: SIGEV_SIGNAL,
        ..Event::default()
    };
    let id = must(create_timer(CLOCK_MONOTONIC, &event), "timer_create");
    println!("not set: {:?}", timer(id));
    must(set_timer(id, 0, 5 * MILLISECOND, 0), "timer_settime");
    wait_for(1);
    println!(
        "a signal with code {}, overrun {}, value {:#x}; now {:?}",
        CODE.load(Relaxed),
        OVERRUN.load(Relaxed),
        VALUE.load(Relaxed),
        timer(id)
    );
    let soon = must(clock(CLOCK_MONOTONIC), "clock_gettime") + 5 * MILLISECOND;
    must(set_timer(id, TIMER_ABSTIME, soon, 0), "timer_settime");
    wait_for(2);
    println!("an absolute time came");
    let thread = must(Thread::spawn(|_| patient(), 0), "spawn");
    event.notify = SIGEV_THREAD_ID;
    event.tid = thread.id();
    let other = must(create_timer(CLOCK_REALTIME, &event), "timer_create");
    must(set_timer(other, 0, 5 * MILLISECOND, 0), "timer_settime");
    wait_for(3);
    println!(
        "the thread took its signal: {}",
        TAKER.load(Relaxed) == thread.id()
    );
    must(thread.join(), "join");
    event.notify = SIGEV_NONE;
    let quiet = must(create_timer(CLOCK_MONOTONIC, &event), "timer_create");
    must(set_timer(quiet, 0, 5 * MILLISECOND, 0), "timer_settime");
    must(sys::sleep_ms(8), "nanosleep");
    println!(
        "a quiet one is over: {:?}, signals: {}",
        timer(quiet),
        COUNT.load(Relaxed)
    );
    must(delete_timer(id), "timer_delete");
    println!(
        "deleted: {:?} {:?} {:?}",
        timer(id),
        set_timer(id, 0, 1, 0),
        overrun(id)
    );
    println!("and again: {:?}", delete_timer(id));
    event.notify = 77;
    println!(
        "an unknown notification: {:?}",
        create_timer(CLOCK_MONOTONIC, &event)
    );
    event.notify = SIGEV_THREAD_ID;
    event.tid = 1;
    println!(
        "another group's task: {:?}",
        create_timer(CLOCK_MONOTONIC, &event)
    );
    event.notify = SIGEV_SIGNAL;
    println!("a clock that is not there: {:?}", create_timer(99, &event));
    let child = must(task::fork(), "fork");
    if child == 0 {
        println!("a child has none of them: {:?}", timer(quiet));
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
}

fn patient() -> usize {
    while COUNT.load(Relaxed) < 3 {
        let _ = sys::sleep_ms(1);
    }
    0
}

/// What expires while its signal is blocked is told with the one signal.
fn overruns() {
    catch(SIGUSR1);
    must(change_mask(SIG_BLOCK, bit(SIGUSR1)), "sigprocmask");
    let event = Event {
        signal: SIGUSR1,
        notify: SIGEV_SIGNAL,
        ..Event::default()
    };
    let id = must(create_timer(CLOCK_MONOTONIC, &event), "timer_create");
    must(
        set_timer(id, 0, 20 * MILLISECOND, 20 * MILLISECOND),
        "timer_settime",
    );
    must(sys::sleep_ms(90), "nanosleep");
    must(change_mask(SIG_UNBLOCK, bit(SIGUSR1)), "sigprocmask");
    println!(
        "{} signal with overrun {}",
        COUNT.load(Relaxed),
        OVERRUN.load(Relaxed)
    );
    println!("timer_getoverrun says the same: {:?}", overrun(id));
    wait_for(2);
    println!("the next one has overrun {}", OVERRUN.load(Relaxed));
}

extern "C" fn ignore(_: i32, _: *const Info, _: *mut c_void) {}

/// Clocks run, sleeps last, CPU clocks count only what was used.
fn clocks() {
    for number in [CLOCK_REALTIME, CLOCK_MONOTONIC] {
        let begin = must(clock(number), "clock_gettime");
        must(sleep(number, 0, 10 * MILLISECOND), "clock_nanosleep");
        let passed = must(clock(number), "clock_gettime") - begin;
        println!(
            "clock {number}: 10 ms passed: {}",
            passed >= 10 * MILLISECOND
        );
        let until = begin + 15 * MILLISECOND;
        must(sleep(number, TIMER_ABSTIME, until), "clock_nanosleep");
        let now = must(clock(number), "clock_gettime");
        println!("clock {number}: slept until a moment: {}", now >= until);
        println!(
            "the past is over at once: {:?}",
            sleep(number, TIMER_ABSTIME, 1)
        );
    }
    let begin = must(clock(CLOCK_THREAD_CPUTIME_ID), "clock_gettime");
    must(sys::sleep_ms(30), "nanosleep");
    let slept = must(clock(CLOCK_THREAD_CPUTIME_ID), "clock_gettime") - begin;
    println!("a sleep uses no CPU time: {}", slept < 10 * MILLISECOND);
    burn(2_000);
    let burnt = must(clock(CLOCK_THREAD_CPUTIME_ID), "clock_gettime") - begin;
    println!("work does: {}", burnt > slept);
    let group = must(clock(CLOCK_PROCESS_CPUTIME_ID), "clock_gettime");
    let own = must(clock(CLOCK_THREAD_CPUTIME_ID), "clock_gettime");
    println!(
        "alone in its group its clock is the group's: {}",
        own >= group
    );
    println!(
        "the group's clock by number: {}",
        clock(cpu_clock_of(0)).is_ok()
    );
    println!("nobody's: {:?}", clock(cpu_clock_of(1 << 28)));
    println!("no such clock: {:?}", clock(77));
    println!(
        "one's own CPU time: {:?}",
        sleep(CLOCK_THREAD_CPUTIME_ID, 0, 5)
    );
    must(
        set_action(SIGALRM, &Action::handler(ignore, 0)),
        "sigaction",
    );
    must(set_interval(ITIMER_REAL, 10 * MILLISECOND, 0), "setitimer");
    let left = must(sleep(CLOCK_MONOTONIC, 0, 10 * SECOND), "clock_nanosleep");
    println!(
        "a handler ended a sleep, most was left: {}",
        left > 9 * SECOND
    );
    println!(
        "setting what nobody sets: {:?}",
        set_clock(CLOCK_MONOTONIC, SECOND)
    );
    println!(
        "and CPU time: {:?}",
        set_clock(CLOCK_PROCESS_CPUTIME_ID, SECOND)
    );
}

/// Who waits for a time of the real-time clock waits for the clock's new time.
fn setting_the_clock() {
    let now = must(clock(CLOCK_REALTIME), "clock_gettime");
    let monotonic = must(clock(CLOCK_MONOTONIC), "clock_gettime");
    let thread = must(Thread::spawn(|_| sleep_long(), 0), "spawn");
    must(sys::sleep_ms(1), "nanosleep");
    must(
        set_clock(CLOCK_REALTIME, now + 1001 * SECOND),
        "clock_settime",
    );
    must(thread.join(), "join");
    let passed = must(clock(CLOCK_MONOTONIC), "clock_gettime") - monotonic;
    println!("a sleep of 1000 seconds ended at once: {}", passed < SECOND);
    println!(
        "before the machine started: {:?}",
        set_clock(CLOCK_REALTIME, 0)
    );
}

fn sleep_long() -> usize {
    let until = must(clock(CLOCK_REALTIME), "clock_gettime") + 1000 * SECOND;
    must(
        sleep(CLOCK_REALTIME, TIMER_ABSTIME, until),
        "clock_nanosleep",
    );
    0
}

/// What a child has used its mother hears when she waits for it.
fn usages() {
    let begin = must(usage(-1), "getrusage");
    let child = must(task::fork(), "fork");
    if child == 0 {
        burn(4_000);
        task::exit(0);
    }
    let (_, told) = must(wait_usage(child), "wait4");
    let children = must(usage(-1), "getrusage");
    println!("the child worked: {}", told.user > MILLISECOND);
    let added = children.user - begin.user;
    println!(
        "its mother is told the same: {}",
        told.user.abs_diff(added) < MILLISECOND
    );
    let own = must(usage(0), "getrusage");
    println!("which is not hers: {}", own.user < told.user);
    println!(
        "page faults are counted: {}",
        own.faults > 0 && told.faults > 0
    );
    let before = must(usage(1), "getrusage").voluntary;
    must(sys::sleep_ms(1), "nanosleep");
    let after = must(usage(1), "getrusage").voluntary;
    println!("a sleep is one switch: {}", after - before);
    let thread = must(Thread::spawn(|_| work(), 0), "spawn");
    must(thread.join(), "join");
    let (task, group) = (must(usage(1), "getrusage"), must(usage(0), "getrusage"));
    println!(
        "a thread's time is its group's: {}",
        group.user > task.user + MILLISECOND
    );
    let all = must(times(), "times");
    println!(
        "times counts in ticks: {}",
        all[2] <= children.user / (10 * MILLISECOND) + 1
    );
    println!("nobody: {:?}", usage(7).err());
}

fn work() -> usize {
    burn(4_000);
    0
}

/// RLIMIT_CPU: a signal at the soft limit, the end at the hard one.
fn limit() {
    let shared = must(Pages::shared(1), "mmap");
    let child = must(task::fork(), "fork");
    if child == 0 {
        catch(SIGXCPU);
        must(set_limit(RLIMIT_CPU, 1, 2), "prlimit");
        while COUNT.load(Relaxed) == 0 {
            burn(200);
        }
        shared.word(0).store(1, Relaxed);
        must(set_limit(RLIMIT_CPU, 1, 1), "prlimit");
        loop {
            burn(200);
        }
    }
    let (status, _) = must(wait_usage(child), "wait4");
    println!("{} warning", shared.word(0).load(Relaxed));
    println!("then it was killed: {}", status & 0x7F == SIGKILL as i32);
}

/// A timer as a descriptor.
fn descriptor() {
    let fd = must(timer_descriptor(CLOCK_MONOTONIC, 0), "timerfd_create");
    let read = |fd| {
        let mut bytes = [0; 8];
        sys::read(fd, &mut bytes).map(|_| u64::from_le_bytes(bytes))
    };
    must(set_descriptor(fd, 0, 5 * MILLISECOND, 0), "timerfd_settime");
    println!("a read waits for it: {:?}", read(fd));
    must(
        set_descriptor(fd, 0, 20 * MILLISECOND, 20 * MILLISECOND),
        "timerfd_settime",
    );
    must(sys::sleep_ms(90), "nanosleep");
    println!("and tells how often it expired: {:?}", read(fd));
    let mut entry = [sys::poll_entry(fd, sys::POLLIN)];
    println!("poll waits for the next: {:?}", sys::poll(&mut entry, 5000));
    let (left, interval) = must(set_descriptor(fd, 0, 0, 0), "timerfd_settime");
    println!("it ran on: {}, by {interval}", left > 0 && left <= interval);
    println!("stopped it is not ready: {:?}", sys::poll(&mut entry, 0));
    let quick = must(timer_descriptor(CLOCK_REALTIME, 0o4000), "timerfd_create");
    println!("without waiting: {:?}", read(quick) == Err(Errno::EAGAIN));
    let mut short = [0; 4];
    println!("too short a buffer: {:?}", sys::read(fd, &mut short));
    println!(
        "no such clock: {:?}",
        timer_descriptor(CLOCK_PROCESS_CPUTIME_ID, 0)
    );
}
