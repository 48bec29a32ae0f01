//! `proc-files maps|fd|links|directories|denied`: what /proc tells of a task's
//! memory, descriptors and places, and whom it tells that.
#![no_std]
#![no_main]

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;

use guest_user::errno::Result;
use guest_user::map::{PAGE, Pages};
use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, O_APPEND, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY};
use guest_user::sys_fs::{lstat, mkdir, readlink, rmdir, unlink};
use guest_user::sys_ids::{in_child, setresuid};
use guest_user::sys_pids::Gate;
use guest_user::sys_proc::{Contents, count, lists, names, protect, write_file};
use guest_user::task;
use guest_user::{path, println, program};

program!(main);

const PROT_READ: u32 = 1;

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("maps") => maps(),
        Some("fd") => descriptors(),
        Some("links") => links(),
        Some("directories") => directories(),
        Some("denied") => denied(),
        _ => {
            println!("proc-files maps|fd|links|directories|denied");
            return 2;
        }
    }
    0
}

/// The rights and the name of the area that holds an address.
fn area(address: usize, told: impl FnOnce(&str, &str)) {
    let maps = must(Contents::of(c"/proc/self/maps"), "maps");
    for line in maps.text().lines() {
        let mut words = line.split_ascii_whitespace();
        let (range, rights) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (start, end) = range.split_once('-').unwrap_or_default();
        let number = |text| usize::from_str_radix(text, 16).unwrap_or(0);
        if (number(start)..number(end)).contains(&address) {
            return told(rights, words.nth(3).unwrap_or("none"));
        }
    }
    told("nothing", "none");
}

fn maps() {
    let show = |what: &str, address: usize| {
        area(address, |rights, name| {
            println!("{what}: {rights}, name {name}")
        });
    };
    let pages = must(Pages::private(3), "mmap");
    let middle = pages.base() + PAGE;
    pages.word(1).store(1, Relaxed);
    show("new memory", middle);
    must(protect(middle, PAGE, PROT_READ), "mprotect");
    show("its middle page, protected", middle);
    show("its first page", pages.base());
    let local = 0_u8;
    show("a local variable", &raw const local as usize);
    area(main as fn(&Args) -> i32 as usize, |rights, name| {
        println!(
            "a function: {rights}, name ends in /proc-files: {}",
            name.ends_with("/proc-files")
        );
    });
    let shared = must(Pages::shared(1), "mmap");
    area(shared.base(), |rights, _| {
        println!("shared memory: {rights}")
    });
    let before = guest_user::map::set_break(0);
    let _ = guest_user::map::set_break(before + 4 * PAGE);
    show("the heap", before + PAGE);
    let status = must(Contents::of(c"/proc/self/status"), "status");
    let kib = |name: &str| -> u64 {
        let words = status.field(name).split(' ').next();
        words.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    println!(
        "more mapped than there: {}",
        kib("VmSize") > kib("VmRSS") && kib("VmRSS") > 0
    );
}

fn target(path: &CStr, told: impl FnOnce(Result<&str>)) {
    let mut text = [0; 256];
    told(readlink(path, &mut text));
}

const FILE: &CStr = c"proc-files.txt";

fn descriptors() {
    let file = must(
        sys::open(FILE, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600),
        "open",
    );
    must(sys::write(file, b"contents"), "write");
    let link = path!("/proc/self/fd/{file}");
    println!("listed: {}", must(lists(c"/proc/self/fd", file), "fd"));
    target(link.get(), |text| {
        println!(
            "leads to the file: {}",
            text.is_ok_and(|text| text.ends_with("/proc-files.txt"))
        );
    });
    let rights = must(lstat(link.get()), "lstat").st_mode;
    println!("link's mode: {rights:o}");
    let again = must(sys::open(link.get(), O_RDONLY, 0), "open");
    let contents = must(Contents::behind(again), "read");
    println!(
        "opened through the link, from the beginning: {}",
        contents.text()
    );
    let info = must(
        Contents::of(path!("/proc/self/fdinfo/{file}").get()),
        "fdinfo",
    );
    println!(
        "fdinfo: pos {}, flags {}",
        info.field("pos"),
        info.field("flags")
    );
    must(unlink(FILE), "unlink");
    target(link.get(), |text| {
        println!(
            "deleted: {}",
            text.is_ok_and(|text| text.ends_with("/proc-files.txt (deleted)"))
        );
    });
    must(sys::close(file), "close");
    target(link.get(), |text| println!("closed: {}", said(text)));
    pipe();
}

fn pipe() {
    let (output, input) = must(sys::pipe(0), "pipe");
    target(path!("/proc/self/fd/{output}").get(), |text| {
        println!(
            "a pipe: {}",
            text.is_ok_and(|text| text.starts_with("pipe:["))
        );
    });
    let again = must(
        sys::open(path!("/proc/self/fd/{input}").get(), O_WRONLY, 0),
        "open",
    );
    must(sys::close(input), "close");
    must(sys::write(again, b"through the link"), "write");
    must(sys::close(again), "close");
    println!("read: {}", must(Contents::behind(output), "read").text());
}

fn links() {
    must(mkdir(c"proc-files.dir", 0o700), "mkdir");
    must(sys::chdir(c"proc-files.dir"), "chdir");
    target(c"/proc/self/cwd", |text| {
        println!(
            "cwd moves: {}",
            text.is_ok_and(|text| text.ends_with("/proc-files.dir"))
        );
    });
    let (gate, away) = (must(Gate::new(), "pipe"), must(Gate::new(), "pipe"));
    let child = must(task::fork(), "fork");
    if child == 0 {
        must(sys::chdir(c"/"), "chdir");
        away.open();
        gate.pass();
        task::exit(0);
    }
    away.pass();
    target(path!("/proc/{child}/cwd").get(), |text| {
        println!("the child's: {text:?}")
    });
    must(sys::chdir(path!("/proc/{child}/cwd").get()), "chdir");
    let mut text = [0; 256];
    println!(
        "through the link: {}",
        must(sys::getcwd(&mut text), "getcwd")
    );
    must(sys::chdir(c"/proc/self/cwd"), "chdir");
    gate.open();
    must(task::wait(child, 0), "wait");
    must(sys::chdir(c"/proc/self/fd/.."), "chdir");
    let here = must(sys::getcwd(&mut text), "getcwd");
    let number = here
        .strip_prefix("/proc/")
        .and_then(|text| text.parse().ok());
    println!(
        "above fd lies its task's directory: {}",
        number == Some(sys::getpid())
    );
    target(c"/proc/self/root", |text| println!("root: {text:?}"));
    must(sys::chdir(c"/proc/self/cwd/../sys/kernel"), "chdir");
    println!("and beside it: {}", must(sys::getcwd(&mut text), "getcwd"));
}

/// What came of looking.
fn said<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "seen",
        Err(errno) => errno.name().unwrap_or("another error"),
    }
}

/// What cannot be done in there.
fn directories() {
    let show = |what: &str, result: Result<()>| match result {
        Ok(()) => println!("{what}: done"),
        Err(errno) => println!("{what}: {errno}"),
    };
    show("mkdir", mkdir(c"/proc/new", 0o755));
    show(
        "create",
        sys::open(c"/proc/new", O_WRONLY | O_CREAT, 0o644).map(drop),
    );
    show("unlink", unlink(c"/proc/version"));
    show("rmdir", rmdir(c"/proc/self/fd"));
    show("write", write_file(c"/proc/version", b"x"));
    show(
        "no such task",
        Contents::of(c"/proc/999999999/status").map(drop),
    );
    show("no such number", Contents::of(c"/proc/01/status").map(drop));
    show(
        "no such file",
        Contents::of(c"/proc/self/nothing").map(drop),
    );
    let mut whole = true;
    let mut files = 0;
    must(
        names(c"/proc/self/fdinfo", |name| {
            whole &= name.parse::<u32>().is_ok();
            files += 1;
        }),
        "fdinfo",
    );
    println!(
        "fdinfo lists numbers only: {whole}, as many as fd: {}",
        files == must(count(c"/proc/self/fd"), "fd")
    );
    let limits = must(Contents::of(c"/proc/self/limits"), "limits");
    println!(
        "{}",
        limits.text().lines().next().unwrap_or_default().trim_end()
    );
    let kind = must(Contents::of(c"/proc/sys/kernel/ostype"), "ostype");
    println!("ostype: {}", kind.text().trim_end());
    let maps = must(Contents::of(c"/proc/filesystems"), "filesystems");
    println!("tmpfs is known: {}", maps.text().contains("nodev\ttmpfs"));
}

/// Another user's task keeps some things to itself.
fn denied() {
    let gate = must(Gate::new(), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        gate.pass();
        task::exit(0);
    }
    in_child(|| {
        must(setresuid(1000, 1000, 1000), "setresuid");
        for name in ["status", "stat", "cmdline", "maps", "environ", "fdinfo/0"] {
            let result = Contents::of(path!("/proc/{child}/{name}").get());
            println!("{name}: {}", said(result));
        }
        for name in ["exe", "cwd", "fd/0"] {
            target(path!("/proc/{child}/{name}").get(), |text| {
                println!("{name}: {}", said(text));
            });
        }
        println!("fd: {}", said(count(path!("/proc/{child}/fd").get())));
    });
    gate.open();
    must(task::wait(child, 0), "wait");
}
