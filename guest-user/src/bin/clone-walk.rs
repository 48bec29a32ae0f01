//! `clone-walk [list] [FROM TO]`: all 4096 combinations of twelve flags of
//! clone, each tried once, and what two tasks can see of what they share.
//!
//! A worker makes the child; the first task reaps the worker, and the children
//! that CLONE_PARENT gives it. Whatever the two of them compare notes about
//! lies in a page that is shared in any case.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guest_user::errno::{Errno, Result};
use guest_user::map::{Pages, Stack};
use guest_user::out::must;
use guest_user::signal::{self, Action, SIGCHLD, SIGUSR1};
use guest_user::start::Args;
use guest_user::sys::{self, Fd};
use guest_user::sys_pids::{self, P_PID, WEXITED, WNOWAIT};
use guest_user::task::{
    self, __WALL, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS, CLONE_PARENT,
    CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM, Clone,
    WNOHANG,
};
use guest_user::{println, program};
use linux_raw_sys::general::{
    __NR_arch_prctl, __NR_semctl, __NR_semget, __NR_semop, CLONE_SYSVSEM,
};

program!(main);

/// The flags, from the lowest bit of a combination's number.
const FLAGS: [u32; 12] = [
    CLONE_VM,
    CLONE_FS,
    CLONE_FILES,
    CLONE_SIGHAND,
    CLONE_THREAD,
    CLONE_PARENT,
    CLONE_SYSVSEM,
    CLONE_VFORK,
    CLONE_SETTLS,
    CLONE_PARENT_SETTID,
    CLONE_CHILD_SETTID,
    CLONE_CHILD_CLEARTID,
];

/// What is looked at, each with a letter where it is so.
const SEEN: [(char, &str); 13] = [
    ('M', "the child's write is seen in the parent's memory"),
    ('F', "its chdir moves the parent"),
    ('D', "its close closes the parent's descriptor"),
    ('H', "its sigaction changes the parent's"),
    ('T', "it has the parent's PID"),
    ('P', "its parent is the parent's"),
    ('W', "the parent may not wait for it"),
    ('U', "its semaphore operation outlives it"),
    ('V', "it is done before the parent goes on"),
    ('L', "its TLS is the one that was given"),
    ('I', "the parent reads its number"),
    ('C', "it finds its number in its memory"),
    ('Z', "the number is cleared at its end"),
];

/// Words of the page that both have.
const GO: usize = 0;
const DONE: usize = 1;
const PID: usize = 2;
const PPID: usize = 3;
const TLS: usize = 4;
const FOUND: usize = 5;
const PARENT_TID: usize = 6;
const CHILD_TID: usize = 7;

/// A value that no number of a task has.
const NOBODY: u64 = 0x7777_7777;

static DATA: AtomicU64 = AtomicU64::new(0);
/// A descriptor that nobody else uses.
const SPARE: Fd = 20;

const ARCH_GET_FS: usize = 0x1003;
const IPC_PRIVATE: usize = 0;
const IPC_RMID: usize = 0;
const SETVAL: usize = 16;
const GETVAL: usize = 12;
const SEM_UNDO: i16 = 0x1000;

struct Walk {
    page: Pages,
    tls: Pages,
    stack: Stack,
    semaphore: usize,
    list: bool,
}

fn main(args: &Args) -> i32 {
    let list = args.text(1) == Some("list");
    let first = 1 + usize::from(list);
    let (from, to) = (args.number(first, 0), args.number(first + 1, 4096));
    let walk = Walk {
        page: must(Pages::shared(1), "mmap"),
        tls: must(Pages::private(1), "mmap"),
        stack: must(Stack::new(32768), "mmap"),
        semaphore: must(
            semaphores(__NR_semget, [IPC_PRIVATE, 1, 0o600, 0]),
            "semget",
        ),
        list,
    };
    let results = must(Pages::shared(8), "mmap");
    for begin in (from..to).step_by(64) {
        let worker = must(task::fork(), "fork");
        if worker == 0 {
            for number in begin..to.min(begin + 64) {
                let seen = walk.try_one(number);
                results
                    .word_at(number / 512, number % 512)
                    .store(seen, SeqCst);
            }
            task::exit(0);
        }
        while task::wait(-1, __WALL) != Err(Errno::ECHILD) {}
    }
    must(
        semaphores(__NR_semctl, [walk.semaphore, 0, IPC_RMID, 0]),
        "semctl",
    );
    report(from..to, |number| {
        results.word_at(number / 512, number % 512).load(SeqCst)
    });
    0
}

fn semaphores(nr: u32, [a, b, c, d]: [usize; 4]) -> Result<usize> {
    // SAFETY: callers pass numbers, or an operation that lives through the call.
    unsafe { sys::call(nr, [a, b, c, d, 0, 0]) }
}

/// Adds one, to be taken back at the end of whoever shares the list.
fn add_with_undo(semaphore: usize) -> Result<usize> {
    let operation: [i16; 3] = [0, 1, SEM_UNDO];
    semaphores(__NR_semop, [semaphore, operation.as_ptr() as usize, 1, 0])
}

fn fs_base() -> u64 {
    let mut base = 0_u64;
    // SAFETY: the kernel writes one word.
    let _ = unsafe {
        sys::call(
            __NR_arch_prctl,
            [ARCH_GET_FS, &raw mut base as usize, 0, 0, 0, 0],
        )
    };
    base
}

extern "C" fn nothing(_: i32, _: *const signal::Info, _: *mut core::ffi::c_void) {}

/// What the child does: everything that a parent could notice.
extern "C" fn act(walk: usize) -> i32 {
    // SAFETY: the worker keeps it; without CLONE_VM it lies in the copy as well.
    let walk = unsafe { &*(walk as *const Walk) };
    let word = |at: usize| walk.page.word_at(0, at);
    DATA.store(2, SeqCst);
    let _ = sys::chdir(c"/dev");
    let _ = sys::close(SPARE);
    let _ = signal::set_action(SIGUSR1, &Action::IGNORE);
    let _ = add_with_undo(walk.semaphore);
    word(PID).store(sys::getpid() as u64, SeqCst);
    word(PPID).store(sys::getppid() as u64, SeqCst);
    word(TLS).store(fs_base(), SeqCst);
    let found = word(CHILD_TID).load(SeqCst) as u32 == sys::gettid() as u32;
    word(FOUND).store(found.into(), SeqCst);
    // Who waits for a vfork child cannot let it go on.
    while word(GO).load(SeqCst) == 0 {
        sys::sched_yield();
    }
    word(DONE).store(1, SeqCst);
    0
}

impl Walk {
    fn word(&self, at: usize) -> &'static AtomicU64 {
        self.page.word_at(0, at)
    }

    /// Everything as it was before the first child.
    fn reset(&self, vfork: bool) {
        DATA.store(1, SeqCst);
        must(sys::chdir(c"/"), "chdir");
        must(sys::dup2(0, SPARE), "dup2");
        must(
            signal::set_action(SIGUSR1, &Action::handler(nothing, 0)),
            "sigaction",
        );
        must(
            semaphores(__NR_semctl, [self.semaphore, 0, SETVAL, 0]),
            "semctl",
        );
        for at in [DONE, PID, PPID, TLS, FOUND] {
            self.word(at).store(0, SeqCst);
        }
        self.word(GO).store(vfork.into(), SeqCst);
        self.word(PARENT_TID).store(NOBODY, SeqCst);
        self.word(CHILD_TID).store(NOBODY, SeqCst);
    }

    /// A bit for each line of SEEN, or the error above them.
    fn try_one(&self, number: usize) -> u64 {
        let bits = FLAGS
            .iter()
            .enumerate()
            .filter(|(bit, _)| number >> bit & 1 != 0);
        let flags = bits.fold(0, |flags, (_, flag)| flags | flag);
        let vfork = flags & CLONE_VFORK != 0;
        self.reset(vfork);
        let clone = Clone {
            parent_tid: self.word(PARENT_TID).as_ptr() as usize,
            child_tid: self.word(CHILD_TID).as_ptr() as usize,
            tls: self.tls.base(),
            ..Clone::on_stack(flags | SIGCHLD, &self.stack)
        };
        let at: *const Walk = self;
        // SAFETY: the stack is free again, and the worker waits for the child.
        let pid = match unsafe { clone.run(act, at as usize) } {
            Ok(pid) => pid,
            Err(errno) => return self.say(number, u64::from(errno.0) << 32),
        };
        let first = self.word(DONE).load(SeqCst) == 1;
        let told = self.word(PARENT_TID).load(SeqCst) as u32 == pid as u32;
        let options = WEXITED | WNOWAIT | WNOHANG | __WALL;
        let foreign = sys_pids::waitid(P_PID, pid, options).is_err();
        self.word(GO).store(1, SeqCst);
        self.let_end(pid, flags, foreign);
        let seen = [
            DATA.load(SeqCst) == 2,
            sys::getcwd(&mut [0; 64]) != Ok("/"),
            sys::descriptor_flags(SPARE).is_err(),
            must(signal::set_action(SIGUSR1, &Action::DEFAULT), "sigaction").is_ignore(),
            self.word(PID).load(SeqCst) == sys::getpid() as u64,
            self.word(PPID).load(SeqCst) == sys::getppid() as u64,
            foreign,
            must(
                semaphores(__NR_semctl, [self.semaphore, 0, GETVAL, 0]),
                "semctl",
            ) == 1,
            first,
            self.word(TLS).load(SeqCst) == self.tls.base() as u64,
            told,
            self.word(FOUND).load(SeqCst) == 1,
            self.word(CHILD_TID).load(SeqCst) as u32 == 0,
        ];
        let bits = seen.iter().enumerate();
        self.say(
            number,
            bits.fold(0, |all, (at, &so)| all | u64::from(so) << at),
        )
    }

    /// Waits until nothing is left of the child.
    fn let_end(&self, pid: i32, flags: u32, foreign: bool) {
        if !foreign {
            must(task::wait(pid, __WALL), "wait");
            return;
        }
        let there = || match flags & CLONE_THREAD {
            0 => sys_pids::kill(pid, 0).is_ok(),
            _ => sys_pids::tgkill(sys::getpid(), pid, 0).is_ok(),
        };
        while there() {
            sys::sched_yield();
        }
    }

    fn say(&self, number: usize, seen: u64) -> u64 {
        if self.list {
            println!("{number:03x} {}", Shown(seen));
        }
        seen
    }
}

/// One combination's result, a letter for each thing that is so.
struct Shown(u64);

impl core::fmt::Display for Shown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 >> 32 != 0 {
            return write!(f, "{}", Errno((self.0 >> 32) as u32));
        }
        for (at, (letter, _)) in SEEN.iter().enumerate() {
            write!(f, "{}", if self.0 >> at & 1 != 0 { *letter } else { '-' })?;
        }
        Ok(())
    }
}

/// How often each thing was so, and a digest of all of it.
fn report(range: core::ops::Range<usize>, result: impl Fn(usize) -> u64) {
    let count = |so: &dyn Fn(u64) -> bool| range.clone().filter(|&n| so(result(n))).count();
    println!(
        "{} combinations, made {}",
        range.len(),
        count(&|seen| seen >> 32 == 0)
    );
    let invalid = u64::from(Errno::EINVAL.0);
    println!(
        "refused with EINVAL {}",
        count(&|seen| seen >> 32 == invalid)
    );
    for (at, (letter, what)) in SEEN.iter().enumerate() {
        println!("{letter}: {what}: {}", count(&|seen| seen >> at & 1 != 0));
    }
    // FNV-1a over the words.
    let digest = range
        .clone()
        .fold(0xCBF2_9CE4_8422_2325_u64, |digest, number| {
            (digest ^ result(number)).wrapping_mul(0x100_0000_01B3)
        });
    println!("one by one: {digest:016x}");
}
