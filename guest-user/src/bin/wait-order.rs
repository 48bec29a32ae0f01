//! `wait-order`: children that end in an order of the parent's choice, and what
//! wait4 says before, meanwhile and afterwards.
#![no_std]
#![no_main]

use guest_user::errno::Result;
use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, Fd};
use guest_user::task::{self, __WALL, __WCLONE, Status, WNOHANG};
use guest_user::{println, program};

program!(main);

fn main(_: &Args) -> i32 {
    report("nobody there", task::wait(-1, 0));
    let children = [start(10), start(11), start(12)];
    report("nobody ended", task::wait(-1, WNOHANG));
    for (pid, gate) in [children[2], children[0], children[1]] {
        must(sys::close(gate), "close");
        let (waited, status) = must(task::wait(-1, 0), "wait");
        println!("the released one came: {}; it {status}", waited == pid);
    }
    report("all gone", task::wait(-1, 0));

    let (pid, gate) = start(20);
    must(sys::close(gate), "close");
    report("another's id", task::wait(sys::getpid(), 0));
    let (waited, status) = must(task::wait(pid, 0), "wait");
    println!("by id: {}; it {status}", waited == pid);
    without_signal();
    0
}

/// A child that waits until its gate is closed, and then exits with `status`.
fn start(status: i32) -> (i32, Fd) {
    let (output, input) = must(sys::pipe(0), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        // The other gates, and this one's own end, are inherited open: each
        // has to close when the parent closes it.
        for fd in (3..32).filter(|&fd| fd != output) {
            let _ = sys::close(fd);
        }
        must(sys::read(output, &mut [0; 1]), "read");
        task::exit(status);
    }
    must(sys::close(output), "close");
    (child, input)
}

/// A child without an exit signal is waited for with __WCLONE or __WALL only.
fn without_signal() {
    for options in [__WCLONE, __WALL] {
        let child = must(task::clone3(0, 0), "clone3");
        if child == 0 {
            task::exit(30);
        }
        report("plain wait", task::wait(-1, 0));
        let (waited, status) = must(task::wait(-1, options), "wait");
        println!("waited for as a clone: {}; it {status}", waited == child);
    }
}

fn report(when: &str, waited: Result<(i32, Status)>) {
    match waited {
        Ok((0, _)) => println!("{when}: nobody yet"),
        Ok((_, status)) => println!("{when}: somebody {status}"),
        Err(errno) => println!("{when}: {errno}"),
    }
}
