//! `clone-errors`: requests that clone turns down, each with Linux's error, and
//! nobody is created.
#![no_std]
#![no_main]

use guest_user::errno::Errno;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::task::{
    self, CLONE_FILES, CLONE_FS, CLONE_PARENT, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, Clone,
};
use guest_user::{println, program};

program!(main);

fn main(_: &Args) -> i32 {
    for (what, flags) in [
        ("SIGHAND without VM", CLONE_SIGHAND),
        ("THREAD without SIGHAND", CLONE_THREAD | CLONE_VM),
        (
            "THREAD and SIGHAND without VM",
            CLONE_THREAD | CLONE_SIGHAND,
        ),
        ("THREAD alone", CLONE_THREAD | CLONE_FS | CLONE_FILES),
    ] {
        // SAFETY: a child would run on a copy, and exit.
        let cloned = unsafe { Clone::flags(flags | SIGCHLD).run(run, 0) };
        report(what, cloned);
    }
    report(
        "clone3: PARENT with an exit signal",
        task::clone3(u64::from(CLONE_PARENT), u64::from(SIGCHLD)),
    );
    report("clone3: an exit signal that is none", task::clone3(0, 65));
    report(
        "clone3: exit signal among the flags",
        task::clone3(u64::from(SIGCHLD), 0),
    );
    report(
        "clone3: a flag that is none",
        task::clone3(1 << 40, u64::from(SIGCHLD)),
    );
    println!(
        "children to wait for: {:?}",
        task::wait(-1, 0).err().and_then(Errno::name)
    );
    0
}

extern "C" fn run(_: usize) -> i32 {
    1
}

fn report(what: &str, cloned: guest_user::errno::Result<i32>) {
    match cloned {
        Ok(0) => task::exit(1),
        Ok(_) => println!("{what}: a child"),
        Err(errno) => println!("{what}: {errno}"),
    }
}
