//! `shm WORD`: System V shared memory. Run as root.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys_ids::{
    self as ids, IPC_CREAT, IPC_EXCL, IPC_PRIVATE, SHM_RDONLY, in_child, word,
};
use guest_user::{eprintln, println, program, task};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1).unwrap_or("") {
        "segments" => segments(),
        word => {
            eprintln!("shm: {word}?");
            return 2;
        }
    }
    0
}

const KEY: i32 = 0x636F_6523;
const SIZE: usize = 10_000;

fn attach(id: i32, flags: u32) -> usize {
    // SAFETY: the kernel finds a free place.
    must(unsafe { ids::shmat(id, 0, flags) }, "shmat")
}

/// Asks for an attachment that is refused, or that nothing else is in the way of.
fn try_attach(id: i32, address: usize, flags: u32) -> &'static str {
    // SAFETY: without SHM_REMAP the kernel takes no place that is in use.
    word(&unsafe { ids::shmat(id, address, flags) })
}

/// The word at an address in an attached segment.
fn at(address: usize) -> &'static AtomicU64 {
    // SAFETY: the segment is attached there for as long as the word is used.
    unsafe { &*(address as *const AtomicU64) }
}

fn tell(what: &str, id: i32) {
    let (size, attached, mode) = must(ids::shm_status(id), "IPC_STAT");
    println!("{what}: {size} bytes, attached {attached}, mode {mode:o}");
}

fn segments() {
    println!("no segment: {}", word(&ids::shmget(KEY, SIZE, 0)));
    println!("no bytes: {}", word(&ids::shmget(KEY, 0, IPC_CREAT)));
    let id = must(
        ids::shmget(KEY, SIZE, IPC_CREAT | IPC_EXCL | 0o640),
        "shmget",
    );
    println!(
        "again: {}",
        word(&ids::shmget(KEY, SIZE, IPC_CREAT | IPC_EXCL))
    );
    println!("more than it has: {}", word(&ids::shmget(KEY, SIZE + 1, 0)));
    tell("new", id);
    let here = attach(id, 0);
    at(here).store(7, Ordering::Relaxed);
    tell("attached", id);
    in_child(|| {
        tell("in the child", id);
        let there = attach(id, SHM_RDONLY);
        println!("elsewhere: {}", there != here);
        println!("the child reads {}", at(there).load(Ordering::Relaxed));
        at(here + 8192).store(8, Ordering::Relaxed);
        println!(
            "and reads again {}",
            at(there + 8192).load(Ordering::Relaxed)
        );
        tell("twice in the child", id);
        // SAFETY: it is not used again.
        must(unsafe { ids::shmdt(there) }, "shmdt");
        // SAFETY: nothing is there.
        println!("shmdt again: {}", word(&unsafe { ids::shmdt(there) }));
        println!("where something is: {}", try_attach(id, here, 0));
        println!("between pages: {}", try_attach(id, here + 8, 0));
    });
    println!(
        "the parent reads {}",
        at(here + 8192).load(Ordering::Relaxed)
    );
    tell("after the child", id);
    in_child(|| {
        must(ids::setresgid(1000, 1000, 1000), "setresgid");
        must(ids::setuid(1000), "setuid");
        println!("another user: {}", try_attach(id, 0, SHM_RDONLY));
        println!("removes it: {}", word(&ids::shm_remove(id)));
    });
    must(ids::shm_remove(id), "IPC_RMID");
    println!("its key: {}", word(&ids::shmget(KEY, SIZE, 0)));
    tell("removed, still attached", id);
    at(here).store(9, Ordering::Relaxed);
    println!("still there: {}", at(here).load(Ordering::Relaxed));
    // SAFETY: it is not used again.
    must(unsafe { ids::shmdt(here) }, "shmdt");
    println!("gone with the last: {}", word(&ids::shm_status(id)));
    let left = must(ids::shmget(IPC_PRIVATE, 4096, 0o600), "shmget");
    let child = must(task::fork(), "fork");
    if child == 0 {
        at(attach(left, 0)).store(11, Ordering::Relaxed);
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    let here = attach(left, SHM_RDONLY);
    println!(
        "what a child that has ended left: {}",
        at(here).load(Ordering::Relaxed)
    );
    must(ids::shm_remove(left), "IPC_RMID");
}
