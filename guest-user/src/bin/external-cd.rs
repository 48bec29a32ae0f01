//! `external-cd`: a program that only calls chdir changes its mother's folder,
//! because the two share their file-system context, across exec.
#![no_std]
#![no_main]

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::task::{self, CLONE_FS, CLONE_VM, Clone};
use guest_user::{eprintln, println, program, sys};

program!(main);

fn main(args: &Args) -> i32 {
    must(sys::chdir(c"/"), "chdir");
    report("before");
    run_cd(args, CLONE_VM);
    report("after a child with a folder of its own");
    run_cd(args, CLONE_VM | CLONE_FS);
    report("after a child that shares it");
    0
}

/// Clones a child that execs `cd-to /dev`, and waits for it.
fn run_cd(args: &Args, flags: u32) {
    let stack = must(Stack::new(64 * 1024), "stack");
    let argument: *const Args = args;
    // SAFETY: the child has a stack of its own, and we wait until it is gone.
    let child = unsafe { Clone::on_stack(SIGCHLD | flags, &stack).run(exec_cd, argument as usize) };
    let (_, status) = must(task::wait(must(child, "clone"), 0), "wait");
    if status.exited() != Some(0) {
        println!("cd-to {status}");
    }
}

extern "C" fn exec_cd(args: usize) -> i32 {
    // SAFETY: the mother passes her arguments and waits meanwhile.
    let args = unsafe { &*(args as *const Args) };
    let mut path = [0; 256];
    let Some(path) = args.beside("cd-to", &mut path) else {
        return 1;
    };
    let errno = task::exec(path, &[c"cd-to", c"/dev"], args.environment());
    eprintln!("{path:?}: {errno}");
    127
}

fn report(when: &str) {
    let mut buffer = [0; 256];
    println!(
        "mother {when}: {}",
        must(sys::getcwd(&mut buffer), "getcwd")
    );
}
