//! `costs WORD [table]`: what the kernel's work costs, in cycles.
//!
//! - `create`: fork, vfork, clone with CLONE_VM and pthread_create, over the
//!   memory that the caller has.
//! - `cow`: the first write after fork, where a copy is due, where the last
//!   owner takes the page over, and where nothing happened.
//! - `switch`: from one task to another with the same memory, and with another.
//! - `message`: through a pipe, and through memory that both share.
//!
//! Without `table` it says only what holds on every machine, in words.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use guest_user::handoff::{hand_over, wait_for, wait_while};
use guest_user::map::{PAGE, Pages, Stack};
use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::sys::{self, Fd};
use guest_user::sys_costs::{cycles, receive_pages, send_pages, small_pages};
use guest_user::task::{self, CLONE_FILES, CLONE_VFORK, CLONE_VM, Clone};
use guest_user::{eprintln, println, program};

program!(main);

fn main(args: &Args) -> i32 {
    let table = args.text(2) == Some("table");
    match args.text(1) {
        Some("create") => create(table),
        Some("cow") => cow(table),
        Some("switch") => switch(table),
        Some("message") => message(table),
        _ => {
            eprintln!("costs: create, cow, switch or message");
            return 2;
        }
    }
    0
}

/// The least cost of a few runs: what else the machine did is not in it.
fn least(rounds: usize, mut run: impl FnMut() -> u64) -> u64 {
    (0..rounds).map(|_| run()).min().unwrap_or(0)
}

fn timed(work: impl FnOnce()) -> u64 {
    let start = cycles();
    work();
    cycles() - start
}

/// Memory that is there, in small pages.
fn resident(pages: usize) -> Pages {
    let pages = must(Pages::private(pages), "mmap");
    small_pages(&pages);
    touch(&pages, 0..pages.count());
    pages
}

fn touch(pages: &Pages, range: core::ops::Range<usize>) {
    for page in range {
        pages.word(page).fetch_add(1, Relaxed);
    }
}

// --- making tasks ---

/// The ways of making a task that does nothing: until it has ended and was waited for.
const WAYS: [(&str, fn()); 4] = [
    ("fork", by_fork),
    ("vfork", by_vfork),
    ("clone(VM)", by_clone),
    ("pthread", by_pthread),
];

fn create(table: bool) {
    let mut grown = 0;
    if table {
        println!(
            "{:>9}{:>11}{:>11}{:>11}{:>11}",
            "KiB", "fork", "vfork", "clone(VM)", "pthread"
        );
    }
    let (sizes, rounds): (&[usize], _) = if table {
        (&[64, 1024, 16 * 1024, 64 * 1024], 3)
    } else {
        (&[64, 4 * 1024], 5)
    };
    let mut costs = [[0; WAYS.len()]; 2];
    for (row, &kib) in sizes.iter().enumerate() {
        // What was there before goes on being there.
        resident(kib * 1024 / PAGE - grown);
        grown = kib * 1024 / PAGE;
        let cost = WAYS.map(|(_, way)| least(rounds, || timed(way)));
        if table {
            let [fork, vfork, clone, pthread] = cost;
            println!("{kib:>9}{fork:>11}{vfork:>11}{clone:>11}{pthread:>11}");
        } else if let Some(place) = costs.get_mut(row) {
            *place = cost;
        }
    }
    if !table {
        for (at, (name, _)) in WAYS.iter().enumerate() {
            let (small, large) = (costs[0][at], costs[1][at]);
            let grows = large > 2 * small;
            println!("{name} costs more with 4 MiB than with 64 KiB: {grows}");
        }
    }
}

fn by_fork() {
    let child = must(task::fork(), "fork");
    if child == 0 {
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
}

extern "C" fn nothing(_: usize) -> i32 {
    0
}

fn by_vfork() {
    // SAFETY: with CLONE_VFORK we sleep while the child uses the stack below us.
    let child = unsafe { Clone::flags(CLONE_VFORK | CLONE_VM | SIGCHLD).run(nothing, 0) };
    must(task::wait(must(child, "vfork"), 0), "wait");
}

fn by_clone() {
    let stack = must(Stack::new(16 * 1024), "stack");
    // SAFETY: a stack of its own, and we wait for its end.
    let child = unsafe { Clone::on_stack(CLONE_VM | SIGCHLD, &stack).run(nothing, 0) };
    must(task::wait(must(child, "clone"), 0), "wait");
    // SAFETY: the child is gone.
    must(unsafe { stack.unmap() }, "munmap");
}

fn by_pthread() {
    let thread = must(Thread::spawn(|_| 0, 0), "spawn");
    must(thread.join(), "join");
}

// --- copy on write ---

const WRITTEN: usize = 64;

fn cow(table: bool) {
    let pages = resident(2 * WRITTEN);
    let (copied, reused) = (0..WRITTEN, WRITTEN..2 * WRITTEN);
    let per_page = |total: u64| total / WRITTEN as u64;

    let (gate, key) = must(sys::pipe(0), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        must(sys::close(key), "close");
        must(sys::read(gate, &mut [0]), "read");
        task::exit(0);
    }
    let read = per_page(timed(|| {
        for page in copied.clone() {
            core::hint::black_box(pages.word(page).load(Relaxed));
        }
    }));
    let copy = per_page(timed(|| touch(&pages, copied)));
    must(sys::close(key), "close");
    must(task::wait(child, 0), "wait");
    let reuse = per_page(timed(|| touch(&pages, reused)));
    let plain = per_page(timed(|| touch(&pages, 0..WRITTEN)));
    if table {
        println!("cycles for each page");
        for (what, cost) in [
            ("a read after fork", read),
            ("a write after fork: the page is copied", copy),
            ("a write by the last owner: it takes the page over", reuse),
            ("a write without a fork", plain),
        ] {
            println!("{cost:>9}  {what}");
        }
    } else {
        println!(
            "reading a page costs less than taking it over: {}",
            read * 2 < reuse
        );
        println!(
            "taking a page over costs less than copying it: {}",
            reuse < copy
        );
        println!(
            "writing to a page of one's own costs least: {}",
            plain * 2 < reuse
        );
    }
}

// --- switching ---

const TURNS: u64 = 32;
/// Pages that each task looks at in its turn.
const WORKING_SET: usize = 256;

/// What two tasks that take turns share.
struct Turns {
    turn: &'static AtomicU64,
    pages: Pages,
}

fn switch(table: bool) {
    let turns = Turns {
        turn: must(Pages::shared(1), "mmap").word(0),
        pages: resident(WORKING_SET),
    };
    let with = |flags: u32| {
        turns.turn.store(0, Relaxed);
        let stack = must(Stack::new(64 * 1024), "stack");
        let argument = &raw const turns as usize;
        // SAFETY: a stack of its own; we wait for its end, and `turns` lives on.
        let other = unsafe { Clone::on_stack(flags | SIGCHLD, &stack).run(answer_turns, argument) };
        let other = must(other, "clone");
        take_turn(&turns, 0);
        let cost =
            timed(|| (1..TURNS).for_each(|round| take_turn(&turns, round))) / (2 * (TURNS - 1));
        must(task::wait(other, 0), "wait");
        cost
    };
    let (same, other) = (with(CLONE_VM), with(0));
    if table {
        println!("cycles for each turn, {WORKING_SET} pages looked at in it");
        println!("{same:>9}  to a task with the same memory");
        println!("{other:>9}  to a task with another memory");
    } else {
        // Another memory means that every page has to be found anew.
        let anew = other > same + 8 * WORKING_SET as u64;
        println!("a switch to another memory costs more: {anew}");
    }
}

fn look_around(turns: &Turns) {
    for page in 0..WORKING_SET {
        core::hint::black_box(turns.pages.word(page).load(Relaxed));
    }
}

/// One turn of ours, and the other's answer.
fn take_turn(turns: &Turns, round: u64) {
    look_around(turns);
    hand_over(turns.turn, 2 * round + 1);
    wait_for(turns.turn, 2 * round + 2);
}

extern "C" fn answer_turns(turns: usize) -> i32 {
    // SAFETY: ours or our own copy of it; the page of the turn is shared.
    let turns = unsafe { &*(turns as *const Turns) };
    for round in 0..TURNS {
        wait_for(turns.turn, 2 * round + 1);
        look_around(turns);
        hand_over(turns.turn, 2 * round + 2);
    }
    0
}

// --- messages ---

const MESSAGES: u64 = 8;
const LARGEST: usize = 64 * 1024;

/// Two tasks that share memory, and two pipes between them.
struct Channel {
    size: AtomicU64,
    memory: Pages,
    turn: &'static AtomicU64,
    there: (Fd, Fd),
    back: (Fd, Fd),
    /// What goes through the pipe is put together here, and taken apart there.
    outgoing: Pages,
    incoming: Pages,
}

fn message(table: bool) {
    let channel = Channel {
        size: AtomicU64::new(0),
        memory: must(Pages::shared(LARGEST / PAGE), "mmap"),
        turn: must(Pages::shared(1), "mmap").word(0),
        there: must(sys::pipe(0), "pipe"),
        back: must(sys::pipe(0), "pipe"),
        outgoing: resident(LARGEST / PAGE),
        incoming: resident(LARGEST / PAGE),
    };
    touch(&channel.memory, 0..LARGEST / PAGE);
    if table {
        println!("cycles for each message and its answer");
        println!("{:>9}{:>11}{:>15}", "bytes", "pipe", "shared memory");
    }
    for size in [64, 4096, LARGEST] {
        channel.size.store(size as u64, Relaxed);
        let pipe = converse(&channel, answer_pipe, send_by_pipe);
        let memory = converse(&channel, answer_memory, send_by_memory);
        if table {
            println!("{size:>9}{pipe:>11}{memory:>15}");
        } else if size == LARGEST {
            println!("{size} bytes cost less by shared memory: {}", memory < pipe);
        }
    }
}

/// Sends a few messages to a task that says of each whether it came whole.
fn converse(channel: &Channel, answer: task::Entry, send: fn(&Channel, u64) -> bool) -> u64 {
    channel.turn.store(0, Relaxed);
    let stack = must(Stack::new(64 * 1024), "stack");
    let argument: *const Channel = channel;
    let flags = CLONE_VM | CLONE_FILES | SIGCHLD;
    // SAFETY: a stack of its own; we wait for its end, and the channel lives on.
    let other = unsafe { Clone::on_stack(flags, &stack).run(answer, argument as usize) };
    let other = must(other, "clone");
    let mut cost = u64::MAX;
    for round in 0..MESSAGES {
        let mut whole = false;
        cost = cost.min(timed(|| whole = send(channel, round)));
        if !whole {
            println!("message {round} did not come whole");
        }
    }
    must(task::wait(other, 0), "wait");
    cost
}

/// The words of a message: every eighth says which message it is, and where.
fn words(pages: &Pages, size: u64) -> impl Iterator<Item = (u64, &'static AtomicU64)> {
    (0..size).step_by(64).map(|at| {
        let place = at as usize;
        (at, pages.word_at(place / PAGE, place % PAGE / 8))
    })
}

fn fill(pages: &Pages, size: u64, round: u64) {
    words(pages, size).for_each(|(at, word)| word.store(round << 32 | at, Relaxed));
}

fn is_whole(pages: &Pages, size: u64, round: u64) -> bool {
    words(pages, size).all(|(at, word)| word.load(Relaxed) == round << 32 | at)
}

fn send_by_pipe(channel: &Channel, round: u64) -> bool {
    let size = channel.size.load(Relaxed);
    fill(&channel.outgoing, size, round);
    send_pages(channel.there.1, &channel.outgoing, size as usize);
    let mut answer = [0];
    must(sys::read(channel.back.0, &mut answer), "read");
    answer == [1]
}

extern "C" fn answer_pipe(channel: usize) -> i32 {
    // SAFETY: the sender waits for our end.
    let channel = unsafe { &*(channel as *const Channel) };
    let size = channel.size.load(Relaxed);
    for round in 0..MESSAGES {
        receive_pages(channel.there.0, &channel.incoming, size as usize);
        let whole = is_whole(&channel.incoming, size, round);
        must(sys::write_all(channel.back.1, &[whole.into()]), "write");
    }
    0
}

fn send_by_memory(channel: &Channel, round: u64) -> bool {
    fill(&channel.memory, channel.size.load(Relaxed), round);
    hand_over(channel.turn, 3 * round + 1);
    wait_while(channel.turn, 3 * round + 1) == 3 * round + 3
}

extern "C" fn answer_memory(channel: usize) -> i32 {
    // SAFETY: the sender waits for our end.
    let channel = unsafe { &*(channel as *const Channel) };
    for round in 0..MESSAGES {
        wait_for(channel.turn, 3 * round + 1);
        let whole = is_whole(&channel.memory, channel.size.load(Relaxed), round);
        hand_over(channel.turn, 3 * round + 2 + u64::from(whole));
    }
    0
}
