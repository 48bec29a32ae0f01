//! `semaphores WORD`: System V semaphores, what waits for them, and what is
//! taken back at a task's end.
#![no_std]
#![no_main]

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::sys_ids::{
    self as ids, GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_CREAT, IPC_EXCL, IPC_NOWAIT,
    IPC_PRIVATE, IPC_RMID, Operation, SEM_UNDO, SETALL, SETVAL, in_child, semctl, semop, word,
};
use guest_user::task::{self, CLONE_SYSVSEM, CLONE_VM, Clone};
use guest_user::{eprintln, println, program, sys};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1).unwrap_or("") {
        "errors" => errors(),
        "operations" => operations(),
        "waiting" => waiting(),
        "undo" => undo(),
        "sysvsem" => sysvsem(),
        word => {
            eprintln!("semaphores: {word}?");
            return 2;
        }
    }
    0
}

fn make(count: i32) -> i32 {
    must(ids::semget(IPC_PRIVATE, count, 0o600), "semget")
}

fn value(id: i32, number: i32) -> usize {
    must(semctl(id, number, GETVAL, 0), "GETVAL")
}

fn remove(id: i32) {
    must(semctl(id, 0, IPC_RMID, 0), "IPC_RMID");
}

const KEY: i32 = 0x636F_6521;

fn errors() {
    println!("no set with the key: {}", word(&ids::semget(KEY, 1, 0)));
    println!("no semaphores: {}", word(&ids::semget(KEY, 0, IPC_CREAT)));
    println!("too many: {}", word(&ids::semget(KEY, 32001, IPC_CREAT)));
    let id = must(ids::semget(KEY, 2, IPC_CREAT | IPC_EXCL | 0o600), "semget");
    println!(
        "again: {}",
        word(&ids::semget(KEY, 2, IPC_CREAT | IPC_EXCL))
    );
    println!(
        "found: {}",
        ids::semget(KEY, 2, 0).is_ok_and(|other| other == id)
    );
    println!("more than it has: {}", word(&ids::semget(KEY, 3, 0)));
    println!("no operations: {}", word(&semop(id, &[])));
    println!(
        "a semaphore too far: {}",
        word(&semop(id, &[Operation(2, 1, 0)]))
    );
    println!(
        "too many operations: {}",
        word(&semop(id, &[Operation(0, 0, 0); 501]))
    );
    println!(
        "not now: {}",
        word(&semop(id, &[Operation(0, -1, IPC_NOWAIT)]))
    );
    println!(
        "too late: {}",
        word(&ids::semtimedop(id, &[Operation(0, -1, 0)], 20))
    );
    println!("too high: {}", word(&semctl(id, 0, SETVAL, 32768)));
    must(semctl(id, 0, SETVAL, 32767), "SETVAL");
    println!("one more: {}", word(&semop(id, &[Operation(0, 1, 0)])));
    println!("a command that is none: {}", word(&semctl(id, 0, 99, 0)));
    in_child(|| {
        must(ids::setuid(1000), "setuid");
        println!("another's: {}", word(&semop(id, &[Operation(0, -1, 0)])));
        println!("to read: {}", word(&semctl(id, 0, GETVAL, 0)));
        println!("to remove: {}", word(&semctl(id, 0, IPC_RMID, 0)));
    });
    remove(id);
    println!("removed: {}", word(&semop(id, &[Operation(0, 1, 0)])));
}

/// All of a call's operations happen, or none.
fn operations() {
    let id = make(3);
    must(ids::semctl_all(id, SETALL, &mut [1, 2, 3]), "SETALL");
    let all = || {
        let mut values = [0; 3];
        must(ids::semctl_all(id, GETALL, &mut values), "GETALL");
        values
    };
    println!("values {:?}", all());
    let both = [
        Operation(0, -1, IPC_NOWAIT),
        Operation(1, 5, 0),
        Operation(2, -4, IPC_NOWAIT),
    ];
    println!("the last cannot: {}", word(&semop(id, &both)));
    println!("values {:?}", all());
    let twice = [
        Operation(0, -1, 0),
        Operation(0, 0, IPC_NOWAIT),
        Operation(0, 7, 0),
    ];
    must(semop(id, &twice), "semop");
    println!("down to zero and up: {:?}", all());
    println!(
        "by this task: {}",
        semctl(id, 0, GETPID, 0) == Ok(sys::getpid() as usize)
    );
    println!(
        "zero, but not now: {}",
        word(&semop(id, &[Operation(0, 0, IPC_NOWAIT)]))
    );
    remove(id);
}

/// Lets a child wait, and goes on when the set says that it does.
fn waiter(id: i32, operation: Operation, who: &str) -> i32 {
    let child = must(task::fork(), "fork");
    if child == 0 {
        let result = semop(id, &[operation]);
        println!("{who}: {}", word(&result));
        task::exit(0);
    }
    child
}

fn until(id: i32, command: u32, count: usize) {
    while must(semctl(id, 0, command, 0), "semctl") != count {
        sys::sched_yield();
    }
}

fn wait(child: i32) {
    must(task::wait(child, 0), "wait");
}

/// Who waits is woken when it can go on, in the order of arrival.
fn waiting() {
    let id = make(1);
    let two = waiter(id, Operation(0, -2, 0), "the one that wants two");
    until(id, GETNCNT, 1);
    let one = waiter(id, Operation(0, -1, 0), "the one that wants one");
    until(id, GETNCNT, 2);
    must(semop(id, &[Operation(0, 1, 0)]), "semop");
    wait(one);
    println!(
        "value {}, waiting {}",
        value(id, 0),
        must(semctl(id, 0, GETNCNT, 0), "GETNCNT")
    );
    must(semop(id, &[Operation(0, 2, 0)]), "semop");
    wait(two);
    println!("value {}", value(id, 0));
    must(semctl(id, 0, SETVAL, 1), "SETVAL");
    let zero = waiter(id, Operation(0, 0, 0), "the one that wants zero");
    until(id, GETZCNT, 1);
    must(semop(id, &[Operation(0, -1, 0)]), "semop");
    wait(zero);
    let late = waiter(id, Operation(0, -1, 0), "the one whose set is removed");
    until(id, GETNCNT, 1);
    remove(id);
    wait(late);
}

/// A task's end takes back what it did with SEM_UNDO.
fn undo() {
    let id = make(2);
    must(ids::semctl_all(id, SETALL, &mut [3, 0]), "SETALL");
    in_child(|| {
        let down = [Operation(0, -1, SEM_UNDO), Operation(1, 2, SEM_UNDO)];
        must(semop(id, &down), "semop");
        must(semop(id, &[Operation(0, -1, 0)]), "semop");
        println!("in the child: {} {}", value(id, 0), value(id, 1));
    });
    println!("after its end: {} {}", value(id, 0), value(id, 1));
    in_child(|| {
        must(semop(id, &[Operation(0, -2, SEM_UNDO)]), "semop");
        must(semctl(id, 0, SETVAL, 7), "SETVAL");
    });
    println!("after a SETVAL: {}", value(id, 0));
    in_child(|| {
        must(semop(id, &[Operation(0, -1, SEM_UNDO)]), "semop");
        in_child(|| println!("a grandchild sees {}", value(id, 0)));
        println!("whose end takes nothing back: {}", value(id, 0));
    });
    println!("after both: {}", value(id, 0));
    must(semctl(id, 0, SETVAL, 0), "SETVAL");
    let holder = must(task::fork(), "fork");
    if holder == 0 {
        must(
            semop(id, &[Operation(0, 1, 0), Operation(0, -1, SEM_UNDO)]),
            "semop",
        );
        until(id, GETNCNT, 1);
        task::exit(0);
    }
    must(semop(id, &[Operation(0, -1, 0)]), "semop");
    println!("woken by another's end");
    wait(holder);
    remove(id);
}

extern "C" fn take_one(id: usize) -> i32 {
    i32::from(semop(id as i32, &[Operation(0, -1, SEM_UNDO)]).is_err())
}

fn run_taker(id: i32, flags: u32) {
    let stack = must(Stack::new(64 * 1024), "stack");
    // SAFETY: the child has a stack of its own, and we wait until it is gone.
    let child =
        unsafe { Clone::on_stack(SIGCHLD | CLONE_VM | flags, &stack).run(take_one, id as usize) };
    wait(must(child, "clone"));
}

/// With CLONE_SYSVSEM only the end of the last sharer takes back.
fn sysvsem() {
    let id = make(1);
    must(semctl(id, 0, SETVAL, 5), "SETVAL");
    in_child(|| {
        run_taker(id, 0);
        println!("a child with a list of its own has ended: {}", value(id, 0));
        run_taker(id, CLONE_SYSVSEM);
        println!("a child that shares the list has ended: {}", value(id, 0));
        run_taker(id, CLONE_SYSVSEM);
        println!("and another: {}", value(id, 0));
    });
    println!("the last sharer has ended: {}", value(id, 0));
    remove(id);
}
