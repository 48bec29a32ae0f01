//! `fork-64m [MIB]`: touches memory, 64 MiB unless given, and forks a child
//! that exits at once: fork shares the frames and copies page tables only.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::Relaxed;

use guest_user::map::{PAGE, Pages};
use guest_user::out::must;
use guest_user::start::Args;
use guest_user::{println, program, task};

program!(main);

fn main(args: &Args) -> i32 {
    let mib = args.number(1, 64).max(1);
    let pages = must(Pages::private(mib * 1024 * 1024 / PAGE), "mmap");
    for page in 0..pages.count() {
        pages.word(page).store(page as u64, Relaxed);
    }
    let child = must(task::fork(), "fork");
    if child == 0 {
        task::exit(0);
    }
    let (_, status) = must(task::wait(child, 0), "wait");
    let kept = (0..pages.count()).all(|page| pages.word(page).load(Relaxed) == page as u64);
    println!("{mib} MiB forked; the child {status}; memory kept: {kept}");
    0
}
