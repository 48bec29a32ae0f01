//! `settid`: where clone writes a task's id, and who sees it; and the child
//! that has its caller's parent.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::task::{
    self, CLONE_CHILD_SETTID, CLONE_DETACHED, CLONE_PARENT, CLONE_PARENT_SETTID, Clone, WNOHANG,
};
use guest_user::{println, program, sys};

program!(main);

static BY_PARENT: AtomicU32 = AtomicU32::new(0);
static BY_CHILD: AtomicU32 = AtomicU32::new(0);

fn main(_: &Args) -> i32 {
    let flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_DETACHED | SIGCHLD;
    let clone = Clone {
        parent_tid: BY_PARENT.as_ptr() as usize,
        child_tid: BY_CHILD.as_ptr() as usize,
        ..Clone::flags(flags)
    };
    // SAFETY: without CLONE_VM the child has its own copy of everything.
    let child = must(unsafe { clone.run(look, 0) }, "clone");
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("the child {status}");
    println!(
        "parent's word holds the child's id: {}",
        BY_PARENT.load(Relaxed) == child as u32
    );
    println!("child's word in the parent: {}", BY_CHILD.load(Relaxed));
    siblings();
    0
}

extern "C" fn look(_: usize) -> i32 {
    let own = sys::gettid() as u32;
    println!(
        "child's word holds its id: {}",
        BY_CHILD.load(Relaxed) == own
    );
    println!(
        "parent's word in the child's copy: {}",
        BY_PARENT.load(Relaxed) == own
    );
    0
}

/// With CLONE_PARENT the new task is a sibling, and not ours to wait for.
fn siblings() {
    let (output, input) = must(sys::pipe(0), "pipe");
    let parent = sys::getppid();
    let mut id = [0; 1];
    let argument = (parent as usize) << 32 | input as usize;
    // SAFETY: without CLONE_VM the child has its own copy of everything.
    must(
        unsafe { Clone::flags(CLONE_PARENT | SIGCHLD).run(compare_parent, argument) },
        "clone",
    );
    println!(
        "wait for a sibling: {:?}",
        task::wait(-1, WNOHANG).err().and_then(|e| e.name())
    );
    must(sys::read(output, &mut id), "read");
    println!("the sibling has our parent: {}", id == [1]);
}

extern "C" fn compare_parent(argument: usize) -> i32 {
    let (parent, fd) = ((argument >> 32) as i32, argument as u32 as i32);
    must(
        sys::write_all(fd, &[u8::from(sys::getppid() == parent)]),
        "write",
    );
    0
}
