//! `exec-state`: what exec keeps and what it resets: ignored signals stay
//! ignored, caught ones are default again, descriptors close if they say so,
//! the mask and the working directory stay.
#![no_std]
#![no_main]

use core::ffi::c_void;

use guest_user::out::must;
use guest_user::signal::{self, Action, Info, SIG_BLOCK, SIGTERM, SIGUSR1, SIGUSR2};
use guest_user::start::Args;
use guest_user::sys::{self, O_CLOEXEC, O_RDONLY};
use guest_user::{eprintln, println, program, task};

program!(main);

extern "C" fn nothing(_: i32, _: *const Info, _: *mut c_void) {}

fn main(args: &Args) -> i32 {
    match (args.number(1, 0), args.number(2, 0)) {
        (0, _) => before(args),
        (kept, closed) => after(kept as i32, closed as i32),
    }
}

fn before(args: &Args) -> i32 {
    must(signal::set_action(SIGUSR1, &Action::IGNORE), "sigaction");
    must(
        signal::set_action(SIGUSR2, &Action::handler(nothing, 0)),
        "sigaction",
    );
    must(
        signal::change_mask(SIG_BLOCK, signal::bit(SIGTERM)),
        "sigprocmask",
    );
    must(sys::chdir(c"/dev"), "chdir");
    let kept = must(sys::open(c"/dev/null", O_RDONLY, 0), "open");
    let closed = must(sys::open(c"/dev/null", O_RDONLY | O_CLOEXEC, 0), "open");
    let late = must(sys::dup(kept), "dup");
    must(sys::set_descriptor_flags(late, 1), "fcntl");
    println!(
        "before: close-on-exec is {:?} {:?} {:?}",
        sys::descriptor_flags(kept).ok(),
        sys::descriptor_flags(closed).ok(),
        sys::descriptor_flags(late).ok()
    );
    if (kept, closed, late) != (3, 4, 5) {
        println!("descriptors are not the lowest free ones");
    }
    let mut path = [0; 256];
    let Some(path) = args.beside("exec-state", &mut path) else {
        return 1;
    };
    let errno = task::exec(path, &[path, c"3", c"4"], args.environment());
    eprintln!("{path:?}: {errno}");
    1
}

fn after(kept: i32, closed: i32) -> i32 {
    let ignored = must(signal::set_action(SIGUSR1, &Action::DEFAULT), "sigaction");
    let caught = must(signal::set_action(SIGUSR2, &Action::DEFAULT), "sigaction");
    println!("ignored stays ignored: {}", ignored.is_ignore());
    println!("caught is default again: {}", caught.is_default());
    println!(
        "mask: {:#x}",
        must(signal::change_mask(SIG_BLOCK, 0), "sigprocmask")
    );
    for fd in [kept, closed, closed + 1] {
        println!(
            "descriptor {fd} is open: {}",
            sys::descriptor_flags(fd).is_ok()
        );
    }
    let mut buffer = [0; 64];
    println!(
        "working directory: {}",
        must(sys::getcwd(&mut buffer), "getcwd")
    );
    0
}
