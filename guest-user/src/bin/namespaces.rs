//! `namespaces WORD`: a child with a namespace of its own, and what it and its
//! parent see of each other. Run as root.
#![no_std]
#![no_main]

use core::ffi::CStr;
use core::fmt::{self, Write as _};

use guest_user::errno::Result;
use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::sys::{self, O_CLOEXEC, O_CREAT, O_RDONLY, O_WRONLY};
use guest_user::sys_ids::{
    self as ids, GETVAL, IPC_CREAT, IPC_RMID, Names, SAME, SETVAL, in_child, semctl, word,
};
use guest_user::task::{self, Clone};
use guest_user::{eprintln, println, program};
use linux_raw_sys::general::{
    self as linux, CLONE_FS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_SYSVSEM, CLONE_THREAD,
};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1).unwrap_or("") {
        "uts" => uts(),
        "ipc" => ipc(),
        "user" => user(),
        "user-map" => user_map(),
        word => {
            eprintln!("namespaces: {word}?");
            return 2;
        }
    }
    0
}

/// Clones with flags; the error, or the child's end after it has run.
fn run(flags: u32, entry: task::Entry, arg: usize) -> Result<()> {
    // SAFETY: without CLONE_VM the child has its own copy of this memory.
    let child = unsafe { Clone::flags(flags | SIGCHLD).run(entry, arg) }?;
    let (_, status) = task::wait(child, 0)?;
    if status.exited() != Some(0) {
        println!("the child {status}");
    }
    Ok(())
}

extern "C" fn nothing(_: usize) -> i32 {
    0
}

fn tell_names(who: &str) {
    let names = must(Names::get(), "uname");
    println!("{who}: host {}, domain {}", names.host(), names.domain());
}

extern "C" fn rename(depth: usize) -> i32 {
    let (host, domain) = match depth {
        0 => (&b"outer"[..], &b"first"[..]),
        _ => (&b"inner"[..], &b"second"[..]),
    };
    must(ids::sethostname(host), "sethostname");
    must(ids::setdomainname(domain), "setdomainname");
    if depth == 0 {
        must(run(CLONE_NEWUTS, rename, 1), "clone");
        must(run(0, rename_domain, 0), "clone");
    }
    tell_names(if depth == 0 {
        "the outer child"
    } else {
        "the inner child"
    });
    0
}

extern "C" fn rename_domain(_: usize) -> i32 {
    must(ids::setdomainname(b"shared"), "setdomainname");
    0
}

fn uts() {
    let before = must(Names::get(), "uname");
    must(run(CLONE_NEWUTS, rename, 0), "clone");
    let after = must(Names::get(), "uname");
    println!(
        "the parent's host is what it was: {}",
        before.host() == after.host()
    );
    println!("and its domain: {}", before.domain() == after.domain());
    println!(
        "a name that is too long: {}",
        word(&ids::sethostname(&[b'x'; 65]))
    );
    in_child(|| {
        must(ids::setuid(1000), "setuid");
        println!("another user: {}", word(&ids::sethostname(b"x")));
        println!(
            "and with CLONE_NEWUTS: {}",
            word(&run(CLONE_NEWUTS, nothing, 0))
        );
    });
}

const KEY: i32 = 0x636F_6522;

extern "C" fn own_set(id: usize) -> i32 {
    println!("the parent's key: {}", word(&ids::semget(KEY, 1, 0)));
    println!(
        "the parent's id: {}",
        word(&semctl(id as i32, 0, GETVAL, 0))
    );
    let own = must(ids::semget(KEY, 2, IPC_CREAT | 0o600), "semget");
    must(semctl(own, 1, SETVAL, 9), "SETVAL");
    println!(
        "a set of its own: {}",
        must(semctl(own, 1, GETVAL, 0), "GETVAL")
    );
    0
}

fn ipc() {
    let id = must(ids::semget(KEY, 1, IPC_CREAT | 0o600), "semget");
    must(semctl(id, 0, SETVAL, 3), "SETVAL");
    must(run(CLONE_NEWIPC, own_set, id as usize), "clone");
    println!(
        "the parent's set: {}",
        must(semctl(id, 0, GETVAL, 0), "GETVAL")
    );
    println!(
        "the child's second semaphore: {}",
        word(&semctl(id, 1, GETVAL, 0))
    );
    must(semctl(id, 0, IPC_RMID, 0), "IPC_RMID");
    let both = CLONE_NEWIPC | CLONE_SYSVSEM;
    println!(
        "CLONE_NEWIPC with CLONE_SYSVSEM: {}",
        word(&run(both, nothing, 0))
    );
    in_child(|| {
        must(ids::setuid(1000), "setuid");
        println!("another user: {}", word(&run(CLONE_NEWIPC, nothing, 0)));
    });
}

fn tell_ids(who: &str) {
    let ([uid, euid, ..], [gid, egid, ..]) = (ids::user_ids(), ids::group_ids());
    println!("{who}: user {uid} {euid}, group {gid} {egid}");
}

/// SETUID, SYS_ADMIN.
fn is_mighty() -> bool {
    let wanted = 1 << 7 | 1 << 21;
    must(ids::capabilities(), "capget").effective & wanted == wanted
}

const FILE: &CStr = c"namespaces.file";

extern "C" fn as_nobody(_: usize) -> i32 {
    tell_ids("in the namespace");
    println!("all capabilities: {}", is_mighty());
    println!("setuid(0): {}", word(&ids::setuid(0)));
    println!("setgroups: {}", word(&ids::setgroups(&[])));
    println!("the parent's host name: {}", word(&ids::sethostname(b"x")));
    let chown = ids::path_call(linux::__NR_chown, FILE, SAME, SAME);
    println!("chown that changes nothing: {}", word(&chown));
    println!("a group's file: {}", word(&sys::open(FILE, O_WRONLY, 0)));
    println!("a UTS namespace: {}", word(&run(CLONE_NEWUTS, name_it, 0)));
    println!(
        "both at once: {}",
        word(&run(CLONE_NEWUSER | CLONE_NEWUTS, name_it, 0))
    );
    0
}

extern "C" fn name_it(_: usize) -> i32 {
    println!("a host name of its own: {}", word(&ids::sethostname(b"x")));
    0
}

fn user() {
    let fd = must(sys::open(FILE, O_WRONLY | O_CREAT, 0o460), "open");
    must(sys::close(fd), "close");
    must(ids::path_call(linux::__NR_chown, FILE, 1000, SAME), "chown");
    println!(
        "with CLONE_FS: {}",
        word(&run(CLONE_NEWUSER | CLONE_FS, nothing, 0))
    );
    let with = CLONE_NEWUSER | CLONE_THREAD | linux::CLONE_VM | linux::CLONE_SIGHAND;
    println!("with CLONE_THREAD: {}", word(&run(with, nothing, 0)));
    must(run(CLONE_NEWUSER, as_nobody, 0), "clone");
    in_child(|| {
        must(ids::setresgid(1000, 1000, 1000), "setresgid");
        must(ids::setuid(1000), "setuid");
        println!("1000 has capabilities: {}", is_mighty());
        let both = CLONE_NEWUSER | CLONE_NEWUTS;
        println!("a UTS namespace: {}", word(&run(CLONE_NEWUTS, nothing, 0)));
        println!("with a user namespace: {}", word(&run(both, name_it, 0)));
    });
    tell_ids("the parent");
    must(ids::path_call(linux::__NR_unlink, FILE, 0, 0), "unlink");
}

/// Text in a buffer, with a NUL behind it.
struct Path {
    bytes: [u8; 64],
    len: usize,
}

impl fmt::Write for Path {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

fn write_proc(pid: i32, file: &str, text: &[u8]) -> Result<()> {
    let mut path = Path {
        bytes: [0; 64],
        len: 0,
    };
    // It fits.
    let _ = write!(path, "/proc/{pid}/{file}");
    let path = CStr::from_bytes_until_nul(&path.bytes).unwrap_or(c"");
    let fd = sys::open(path, O_WRONLY | O_CLOEXEC, 0)?;
    let written = sys::write_all(fd, text);
    sys::close(fd)?;
    written
}

fn show_proc(file: &CStr) {
    let fd = must(sys::open(file, O_RDONLY, 0), "proc");
    let mut bytes = [0; 128];
    let count = must(sys::read(fd, &mut bytes), "read");
    let text = core::str::from_utf8(bytes.get(..count).unwrap_or_default()).unwrap_or("?");
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next().unwrap_or("");
    println!("{file:?}: {} {} {}", next(), next(), next());
    must(sys::close(fd), "close");
}

extern "C" fn mapped(gate: usize) -> i32 {
    // The parent has written the maps when it has written this.
    must(sys::read(gate as i32, &mut [0]), "read");
    tell_ids("mapped");
    println!("setuid(6): {}", word(&ids::setuid(6)));
    println!("setresuid(5, 5, 5): {}", word(&ids::setresuid(5, 5, 5)));
    tell_ids("in the map");
    println!("setgroups: {}", word(&ids::setgroups(&[])));
    show_proc(c"/proc/self/uid_map");
    show_proc(c"/proc/self/gid_map");
    show_proc(c"/proc/self/setgroups");
    0
}

/// Maps that the parent writes give the child ids.
fn user_map() {
    let (gate, open) = must(sys::pipe(O_CLOEXEC), "pipe");
    // SAFETY: without CLONE_VM the child has its own copy of this memory.
    let child = unsafe { Clone::flags(CLONE_NEWUSER | SIGCHLD).run(mapped, gate as usize) };
    let child = must(child, "clone");
    let write = |file, text: &str| write_proc(child, file, text.as_bytes());
    println!("no map: {}", word(&write("uid_map", "0 0")));
    println!(
        "two that meet: {}",
        word(&write("uid_map", "0 0 2\n1 10 1\n"))
    );
    println!("a map: {}", word(&write("uid_map", "0 0 1\n5 1000 1\n")));
    println!("another: {}", word(&write("uid_map", "0 0 1\n")));
    println!("no groups to set: {}", word(&write("setgroups", "deny")));
    println!("groups: {}", word(&write("gid_map", "0 0 1\n")));
    println!("groups to set: {}", word(&write("setgroups", "allow")));
    must(sys::write_all(open, b"!"), "write");
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("the child {status}");
}
