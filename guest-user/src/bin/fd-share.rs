//! `fd-share [files]`: does a child that closes a descriptor close its parent's?
//!
//! The descriptor program of the slides: with CLONE_FILES the two share one
//! table, without it the child has a copy.
#![no_std]
#![no_main]

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::sys::{self, O_RDWR};
use guest_user::task::{self, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_VM, Clone};
use guest_user::{println, program};

program!(main);

fn main(args: &Args) -> i32 {
    let mut flags = SIGCHLD | CLONE_FS | CLONE_SIGHAND | CLONE_VM;
    if args.text(1) == Some("files") {
        flags |= CLONE_FILES;
    }
    let fd = must(sys::open(c"/dev/null", O_RDWR, 0), "/dev/null");
    let stack = must(Stack::new(64 * 1024), "stack");
    // SAFETY: the child has a stack of its own, and we wait for its end.
    let child = must(
        unsafe { Clone::on_stack(flags, &stack).run(close_it, fd as usize) },
        "clone",
    );
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("the child {status}");
    match sys::write(fd, b"still open?") {
        Ok(_) => println!("parent: the descriptor is still open"),
        Err(errno) => println!("parent: {errno}, the child closed our file descriptor"),
    }
    0
}

extern "C" fn close_it(fd: usize) -> i32 {
    println!("child: closing the descriptor");
    must(sys::close(fd as i32), "close");
    0
}
