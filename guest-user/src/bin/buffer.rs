//! `buffer [vm]`: does a child that writes to memory write to its parent's?
//!
//! The buffer program of the slides: with CLONE_VM (argument `vm`) the two
//! share one address space, without it the child writes to a copy.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::task::{self, CLONE_VM, Clone};
use guest_user::{println, program};

program!(main);

/// Text in memory that two tasks may both reach.
struct Buffer(UnsafeCell<[u8; 100]>);

impl Buffer {
    fn write(&self, text: &str) {
        // SAFETY: one task at a time uses the buffer: the parent waits for the child.
        let bytes = unsafe { &mut *self.0.get() };
        bytes.fill(0);
        for (place, byte) in bytes.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
    }

    fn text(&self) -> &str {
        // SAFETY: as above.
        let bytes = unsafe { &*self.0.get() };
        let len = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        core::str::from_utf8(bytes.get(..len).unwrap_or_default()).unwrap_or("not a text")
    }
}

fn main(args: &Args) -> i32 {
    let mut flags = SIGCHLD;
    if args.text(1) == Some("vm") {
        flags |= CLONE_VM;
    }
    let buffer = Buffer(UnsafeCell::new([0; 100]));
    buffer.write("hello from parent");
    let stack = must(Stack::new(64 * 1024), "stack");
    let address = &raw const buffer as usize;
    // SAFETY: the child has a stack of its own; we wait for its end, and the
    // buffer lives until then.
    let child = must(
        unsafe { Clone::on_stack(flags, &stack).run(overwrite, address) },
        "clone",
    );
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("the child {status}; parent's buffer: {}", buffer.text());
    0
}

extern "C" fn overwrite(buffer: usize) -> i32 {
    // SAFETY: the parent passes the address of its buffer and waits meanwhile.
    let buffer = unsafe { &*(buffer as *const Buffer) };
    println!("child sees: {}", buffer.text());
    buffer.write("hello from child");
    0
}
