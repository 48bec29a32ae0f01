//! `bad-pointer [crash]`: a bad address in a system call is EFAULT, in the
//! program it is SIGSEGV with the address, and without a handler that kills.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::{self, Action, Info, SIGSEGV};
use guest_user::start::Args;
use guest_user::sys::{self, STDOUT};
use guest_user::{println, program, task};

program!(main);

/// The address that the handler shall be told.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_fault(signal: i32, info: *const Info, _: *mut c_void) {
    // SAFETY: the kernel passes the signal's information.
    let info = unsafe { &*info };
    let right = info.address == EXPECTED.load(Relaxed);
    println!(
        "signal {signal}, code {}, its address is right: {right}",
        info.code
    );
    task::exit(5);
}

fn main(args: &Args) -> i32 {
    let stack = must(Stack::new(4096), "stack");
    let guard = stack.base() - 8;
    if args.text(1) == Some("crash") {
        println!("writing to address 8");
        touch(8);
    }
    for (what, address) in [("null", 0), ("guard page", guard), ("kernel", 1 << 63)] {
        let errno = sys::write_from_address(STDOUT, address, 1)
            .err()
            .and_then(|e| e.name());
        println!("write from {what}: {errno:?}");
    }
    must(
        signal::set_action(SIGSEGV, &Action::handler(on_fault, 0)),
        "sigaction",
    );
    for address in [8, guard, main as *const () as usize] {
        let child = must(task::fork(), "fork");
        if child == 0 {
            EXPECTED.store(address, Relaxed);
            touch(address);
        }
        let (_, status) = must(task::wait(child, 0), "wait");
        println!("the child {status}");
    }
    0
}

fn touch(address: usize) -> ! {
    // SAFETY: meant to fault; nothing of ours lies at the addresses above, or
    // they may not be written.
    unsafe { core::arch::asm!("mov byte ptr [{}], 1", in(reg) address) };
    println!("no fault");
    task::exit(1)
}
