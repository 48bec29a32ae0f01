//! `cow-fork [N]`: after fork, the child writes to N pages that the parent has
//! written; each is copied then, and the parent keeps its own.
//!
//! Each page holds 1; the child writes N into each.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::Relaxed;

use guest_user::map::Pages;
use guest_user::out::must;
use guest_user::start::Args;
use guest_user::{println, program, task};

program!(main);

fn main(args: &Args) -> i32 {
    let count = args.number(1, 3);
    let pages = must(Pages::private(count.max(1)), "mmap");
    write_all(&pages, 1);
    let child = must(task::fork(), "fork");
    if child == 0 {
        write_all(&pages, count as u64);
        report("child", &pages);
        return 0;
    }
    must(task::wait(child, 0), "wait");
    report("parent", &pages);
    0
}

fn write_all(pages: &Pages, value: u64) {
    for page in 0..pages.count() {
        pages.word(page).store(value, Relaxed);
    }
}

/// All pages hold the same, or the line says which does not.
fn report(who: &str, pages: &Pages) {
    let value = pages.word(0).load(Relaxed);
    match (1..pages.count()).find(|&page| pages.word(page).load(Relaxed) != value) {
        None => println!("{who} sees {value}"),
        Some(page) => println!("{who} sees another value in page {page}"),
    }
}
