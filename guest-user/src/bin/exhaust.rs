//! `exhaust fork|thread|exec|fault|many|full`: what happens when memory runs out in
//! the middle of making a task, of running another program, or of a page fault.
//!
//! In the first four a worker does the work between two marks that a test can
//! see, `lseek` of descriptor -1 to offsets 1 and 2, and the test lets one
//! allocation between them fail. A witness waits from before the first mark
//! until after the second and goes on then.
//!
//! `many` forks until there is no memory: a fork fails, nobody else is harmed,
//! and when the others have gone a fork works again.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use guest_user::errno::{Errno, Result};
use guest_user::map::{PAGE, Pages};
use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::start::Args;
use guest_user::sys::{self, Fd};
use guest_user::sys_fs;
use guest_user::task::{self, Status};
use guest_user::{println, program};
use linux_raw_sys::general::{__NR_fallocate, __NR_sysinfo, O_CREAT, O_RDWR};

program!(main);

/// With which a child says that exec failed for want of memory.
const NO_MEMORY: i32 = 77;

fn main(args: &Args) -> i32 {
    let work: fn(&Args) = match args.text(1) {
        Some("fork") => fork,
        Some("thread") => thread,
        Some("exec") => exec,
        Some("fault") => fault,
        Some("many") => {
            many();
            return 0;
        }
        Some("full") => {
            full();
            return 0;
        }
        _ => {
            println!("exhaust fork|thread|exec|fault|many|full");
            return 2;
        }
    };
    let (witness, gate) = start_witness();
    let worker = must(task::fork(), "fork");
    if worker == 0 {
        must(sys::close(gate), "close");
        work(args);
        task::exit(0);
    }
    let (_, status) = must(task::wait(worker, 0), "wait");
    println!("the worker {status}");
    must(sys::close(gate), "close");
    let (_, status) = must(task::wait(witness, 0), "wait");
    println!("the witness {status}");
    0
}

/// A task that waits for the end of a pipe, and what it waits for.
fn start_witness() -> (i32, Fd) {
    let (output, input) = must(sys::pipe(0), "pipe");
    let witness = must(task::fork(), "fork");
    if witness == 0 {
        must(sys::close(input), "close");
        must(sys::read(output, &mut [0]), "read");
        println!("the witness goes on");
        task::exit(0);
    }
    must(sys::close(output), "close");
    (witness, input)
}

/// Where the test begins and ends to let an allocation fail.
fn mark(number: i64) {
    if sys::seek(-1, number, 0) != Err(Errno::EBADF) {
        println!("a mark is no descriptor");
    }
}

fn begin() {
    mark(1);
}

fn end() {
    mark(2);
}

fn fork(_: &Args) {
    begin();
    let child = task::fork();
    if child == Ok(0) {
        task::exit(5);
    }
    let ended = wait(child);
    end();
    told("the child", ended);
}

fn wait(child: Result<i32>) -> Result<Status> {
    let (_, status) = task::wait(child?, 0)?;
    Ok(status)
}

fn told(who: &str, ended: Result<Status>) {
    match ended {
        Ok(status) => println!("{who} {status}"),
        Err(errno) => println!("{who}: {errno}"),
    }
}

fn thread(_: &Args) {
    begin();
    let result = Thread::spawn(double, 21).and_then(Thread::join);
    end();
    match result {
        Ok(value) => println!("the thread says {value}"),
        Err(errno) => println!("the thread: {errno}"),
    }
}

fn double(number: usize) -> usize {
    number * 2
}

fn exec(args: &Args) {
    let mut path = [0; 256];
    let Some(hello) = args.beside("hello", &mut path) else {
        return;
    };
    let child = must(task::fork(), "fork");
    if child == 0 {
        begin();
        let errno = task::exec(hello, &[c"hello"], args.environment());
        end();
        task::exit(if errno == Errno::ENOMEM { NO_MEMORY } else { 1 });
    }
    let (_, status) = must(task::wait(child, 0), "wait");
    // Where exec went well the child could not say that it is over.
    end();
    match status.exited().map(i32::from) {
        Some(NO_MEMORY) => println!("exec: ENOMEM"),
        _ => println!("exec: the program {status}"),
    }
}

/// Something to write to that the caller's parent has too.
static COPIED: AtomicU64 = AtomicU64::new(1);

fn fault(_: &Args) {
    let (private, shared) = (
        must(Pages::private(3), "mmap"),
        must(Pages::shared(3), "mmap"),
    );
    begin();
    for page in 0..3 {
        private.word(page).store(1, Relaxed);
        shared.word(page).store(2, Relaxed);
    }
    COPIED.store(3, Relaxed);
    end();
    println!("all pages were touched");
}

/// Forks until it fails.
fn many() {
    let (gate, closer) = must(sys::pipe(0), "pipe");
    let (ready, tell) = must(sys::pipe(0), "pipe");
    let mut children = 0_usize;
    let errno = loop {
        match task::fork() {
            Ok(0) => {
                must(sys::close(closer), "close");
                must(sys::write(tell, b"!"), "write");
                must(sys::read(gate, &mut [0]), "read");
                task::exit(9);
            }
            Ok(_) => children += 1,
            Err(errno) => break errno,
        }
        must(sys::read(ready, &mut [0]), "read");
    };
    println!("fork: {errno}; enough children before: {}", children > 50);
    must(sys::close(closer), "close");
    let mut whole = 0;
    while let Ok((_, status)) = task::wait(-1, 0) {
        whole += usize::from(status.exited() == Some(9));
    }
    println!("every child ended by itself: {}", whole == children);
    let child = task::fork();
    if child == Ok(0) {
        task::exit(5);
    }
    told("a fork afterwards: the child", wait(child));
}

/// Frames that are left: the kernel lets a fork begin with more than 384, and
/// the child's stack and page tables take it below that.
const LEFT: usize = 388;

/// So many pipes are filled, with 16 frames each.
const PIPES: usize = 88;

/// All memory but that goes into pipes and a file without a name, in one call and a second
/// one for what the file's own bookkeeping took. Which bytes they are hangs on
/// the kernel's size, which calls there are does not.
fn full() {
    let (witness, gate) = start_witness();
    let file = must(sys::open(c"/full", O_RDWR | O_CREAT, 0o600), "open");
    must(sys_fs::unlink(c"/full"), "unlink");
    // Files take half of the memory at most.
    let mut pipes = [(0, 0); PIPES];
    for pipe in &mut pipes {
        *pipe = must(sys::pipe(0), "pipe");
        must(sys::write(pipe.1, &ZEROS), "write");
    }
    let end = fill(file, 0, LEFT + 64);
    fill(file, end, LEFT);
    told("a fork without memory: the child", wait(fork_five()));
    must(sys::close(file), "close");
    for (output, input) in pipes {
        must(sys::close(output), "close");
        must(sys::close(input), "close");
    }
    told("a fork afterwards: the child", wait(fork_five()));
    must(sys::close(gate), "close");
    let (_, status) = must(task::wait(witness, 0), "wait");
    println!("the witness {status}");
}

fn fork_five() -> Result<i32> {
    let child = task::fork();
    if child == Ok(0) {
        task::exit(5);
    }
    child
}

/// What is written, over and over.
static ZEROS: [u8; 16 * PAGE] = [0; 16 * PAGE];

/// Gives a file pages from `begin` on until so many frames are left; where they end.
fn fill(file: Fd, begin: usize, left: usize) -> usize {
    let mut info = [0_u64; 14];
    let at = info.as_mut_ptr() as usize;
    // SAFETY: the kernel writes 112 bytes, which the array has.
    must(
        unsafe { sys::call(__NR_sysinfo, [at, 0, 0, 0, 0, 0]) },
        "sysinfo",
    );
    let size = (info[5] as usize).saturating_sub(left * PAGE);
    // SAFETY: no memory of ours has to do with it.
    must(
        unsafe { sys::call(__NR_fallocate, [file as usize, 0, begin, size, 0, 0]) },
        "fallocate",
    );
    begin + size
}
