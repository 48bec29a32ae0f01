//! `channels`: event counters, named pipes, select, and moving bytes between
//! descriptors, one part for each word.
#![no_std]
#![no_main]

use core::ffi::CStr;

use guest_user::errno::Result;
use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, Fd, O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, call};
use guest_user::sys_fs::{on_fd, on_path, select, sendfile, show, show_number, unlink};
use guest_user::{eprintln, println, program, task};
use linux_raw_sys::general as nr;

program!(main);

const NONBLOCK: u32 = nr::O_NONBLOCK;

fn main(args: &Args) -> i32 {
    let work: fn() = match args.get(1).map(CStr::to_bytes) {
        Some(b"eventfd") => eventfd,
        Some(b"fifo") => fifo,
        Some(b"select") => selects,
        Some(b"sendfile") => sendfiles,
        Some(b"splice") => splices,
        Some(b"vectors") => vectors,
        _ => {
            eprintln!("channels eventfd|fifo|select|sendfile|splice|vectors");
            return 2;
        }
    };
    work();
    0
}

/// Runs in a child; gives its number.
fn child(work: impl FnOnce()) -> i32 {
    let child = must(task::fork(), "fork");
    if child == 0 {
        work();
        task::exit(0);
    }
    child
}

fn wait(child: i32) {
    must(task::wait(child, 0), "wait");
}

fn add(fd: Fd, value: u64) -> Result<usize> {
    sys::write(fd, &value.to_le_bytes())
}

fn take(fd: Fd) -> Result<u64> {
    let mut bytes = [0; 8];
    sys::read(fd, &mut bytes).map(|_| u64::from_le_bytes(bytes))
}

fn ready(fd: Fd) -> (bool, bool) {
    let mut fds = [sys::poll_entry(fd, nr::POLLIN | nr::POLLOUT)];
    must(sys::poll(&mut fds, 0), "poll");
    let events = fds[0].revents as u32;
    (events & nr::POLLIN != 0, events & nr::POLLOUT != 0)
}

fn eventfd() {
    let make = |count: u32, flags: u32| {
        on_fd(nr::__NR_eventfd2, count as Fd, [flags as usize, 0, 0, 0]).map(|fd| fd as Fd)
    };
    let fd = must(make(3, nr::EFD_NONBLOCK), "eventfd");
    println!("ready to read and write: {:?}", ready(fd));
    show_number("read", take(fd));
    println!("ready to read and write: {:?}", ready(fd));
    show_number("read again", take(fd));
    must(add(fd, 4), "write");
    must(add(fd, 5), "write");
    show_number("the sum", take(fd));
    show("the most", add(fd, u64::MAX - 1));
    println!("ready to read and write: {:?}", ready(fd));
    show("one more", add(fd, 1));
    show("what cannot be", add(fd, u64::MAX));
    show_number("read", take(fd));
    show("four bytes", sys::write(fd, &[1; 4]));
    show("read of four bytes", sys::read(fd, &mut [0; 4]));
    show("lseek", sys::seek(fd, 0, sys::SEEK_SET));
    let semaphore = must(make(2, nr::EFD_SEMAPHORE | nr::EFD_NONBLOCK), "eventfd");
    show_number("one of two", take(semaphore));
    show_number("the other", take(semaphore));
    show_number("no third", take(semaphore));
    let waits = must(make(0, 0), "eventfd");
    let other = child(|| {
        show_number("the child has waited for", take(waits));
    });
    must(sys::sleep_ms(5), "sleep");
    println!("the parent writes");
    must(add(waits, 7), "write");
    wait(other);
    show("no such flag", make(0, 2));
}

const FIFO: &CStr = c"fifo.tmp";

fn fifo() {
    show(
        "mknod",
        on_path(nr::__NR_mknod, FIFO, [(nr::S_IFIFO | 0o600) as usize, 0, 0]),
    );
    show("nobody reads", sys::open(FIFO, O_WRONLY | NONBLOCK, 0));
    let idle = must(sys::open(FIFO, O_RDONLY | NONBLOCK, 0), "open");
    show_number("nobody writes", sys::read(idle, &mut [0; 1]));
    let writer = must(sys::open(FIFO, O_WRONLY | NONBLOCK, 0), "open");
    show_number("nothing there", sys::read(idle, &mut [0; 1]));
    must(sys::close(writer), "close");
    must(sys::close(idle), "close");
    let reader = child(|| {
        let fd = must(sys::open(FIFO, O_RDONLY, 0), "open");
        println!("child: opened when a writer came");
        let mut bytes = [0; 16];
        let len = must(sys::read(fd, &mut bytes), "read");
        let text = core::str::from_utf8(bytes.get(..len).unwrap_or_default());
        println!("child: read {:?}", text.unwrap_or("?"));
        show_number("child: at the end", sys::read(fd, &mut bytes));
    });
    must(sys::sleep_ms(5), "sleep");
    println!("the parent opens to write");
    let fd = must(sys::open(FIFO, O_WRONLY, 0), "open");
    must(sys::sleep_ms(5), "sleep");
    must(sys::write_all(fd, b"through"), "write");
    must(sys::close(fd), "close");
    wait(reader);
    let both = must(sys::open(FIFO, O_RDWR, 0), "open");
    must(sys::write_all(both, b"own"), "write");
    show_number("both ends", sys::read(both, &mut [0; 8]));
    must(unlink(FIFO), "unlink");
}

fn selects() {
    let (read, write) = must(sys::pipe(0), "pipe");
    let tell = |what: &str, result: Result<(usize, u64, u64)>| match result {
        Ok((count, reads, writes)) => {
            let (reads, writes) = (reads >> read & 1, writes >> write & 1);
            println!("{what}: {count}, to read {reads}, to write {writes}");
        }
        Err(errno) => println!("{what}: {errno}"),
    };
    tell("an empty pipe", select(1 << read, 1 << write, 0));
    must(sys::write_all(write, b"x"), "write");
    tell("with a byte", select(1 << read, 1 << write, 1000));
    tell("only to read", select(1 << read, 0, 1000));
    must(sys::read(read, &mut [0; 1]), "read");
    tell("after 2 ms", select(1 << read, 0, 2000));
    let other = child(|| {
        must(sys::sleep_ms(5), "sleep");
        must(sys::write_all(write, b"y"), "write");
    });
    tell("when a child has written", select(1 << read, 0, 1_000_000));
    wait(other);
    must(sys::read(read, &mut [0; 1]), "read");
    must(sys::close(write), "close");
    tell("without a writer", select(1 << read, 0, 1000));
    tell("no descriptor", select(1 << 40, 0, 1000));
    tell("a negative time", select(1 << read, 0, -1));
}

const FILE: &CStr = c"channels.tmp";

fn make_file(text: &[u8]) -> Fd {
    let fd = must(sys::open(FILE, O_RDWR | O_CREAT | O_TRUNC, 0o600), "open");
    must(sys::write_all(fd, text), "write");
    must(sys::seek(fd, 0, sys::SEEK_SET), "lseek");
    fd
}

fn position(fd: Fd) -> u64 {
    must(sys::seek(fd, 0, sys::SEEK_CUR), "lseek")
}

/// What is in a pipe now.
fn drain(fd: Fd) {
    let mut bytes = [0; 32];
    let len = must(sys::read(fd, &mut bytes), "read");
    let text = core::str::from_utf8(bytes.get(..len).unwrap_or_default());
    println!("came out: {:?}", text.unwrap_or("?"));
}

fn sendfiles() {
    let file = make_file(b"0123456789");
    let (read, write) = must(sys::pipe(NONBLOCK), "pipe");
    show_number("from its offset", sendfile(write, file, None, 4));
    println!("the offset moved to {}", position(file));
    drain(read);
    let mut at = 7;
    show_number(
        "from an offset of ours",
        sendfile(write, file, Some(&mut at), 100),
    );
    println!("ours moved to {at}, its own stayed at {}", position(file));
    drain(read);
    show_number("at the end", sendfile(write, file, Some(&mut at), 100));
    show("from a pipe", sendfile(file, read, None, 1));
    show("to the end that reads", sendfile(read, file, None, 1));
    let other = must(
        sys::open(c"channels.out", O_RDWR | O_CREAT | O_TRUNC, 0o600),
        "open",
    );
    let mut at = 0;
    show_number("to a file", sendfile(other, file, Some(&mut at), 10));
    println!("its offset moved to {}", position(other));
    let append = must(sys::open(c"channels.out", O_WRONLY | O_APPEND, 0), "open");
    show("to what appends", sendfile(append, file, None, 1));
    let copy = |from: Fd, at: u64, to: Fd, there: u64, len: usize| {
        let (mut at, mut there) = (at, there);
        let args = [
            from as isize as usize,
            &raw mut at as usize,
            to as isize as usize,
            &raw mut there as usize,
            len,
            0,
        ];
        // SAFETY: the kernel reads and writes the two offsets.
        unsafe { call(nr::__NR_copy_file_range, args) }
    };
    show_number("copy_file_range", copy(file, 2, other, 20, 3));
    must(sys::seek(other, 20, sys::SEEK_SET), "lseek");
    drain(other);
    show("onto itself", copy(file, 0, file, 1, 3));
    show_number("beside itself", copy(file, 0, file, 3, 3));
    show("from a pipe", copy(read, 0, other, 0, 1));
    must(unlink(FILE), "unlink");
    must(unlink(c"channels.out"), "unlink");
}

fn splices() {
    let splice = |from: Fd, to: Fd, len: usize, flags: u32| {
        let args = [
            from as isize as usize,
            0,
            to as isize as usize,
            0,
            len,
            flags as usize,
        ];
        // SAFETY: no offsets are given, so no memory is touched.
        unsafe { call(nr::__NR_splice, args) }
    };
    let tee =
        |from: Fd, to: Fd, len: usize| on_fd(nr::__NR_tee, from, [to as isize as usize, len, 0, 0]);
    let file = make_file(b"");
    let (read, write) = must(sys::pipe(0), "pipe");
    let (second, second_write) = must(sys::pipe(0), "pipe");
    must(sys::write_all(write, b"0123456789"), "write");
    show_number("tee", tee(read, second_write, 4));
    drain(second);
    show_number("pipe to pipe", splice(read, second_write, 4, 0));
    drain(second);
    show_number("pipe to file", splice(read, file, 100, 0));
    println!("the file's offset is {}", position(file));
    let now = nr::SPLICE_F_NONBLOCK;
    show("an empty pipe", splice(read, file, 100, now));
    must(sys::seek(file, 0, sys::SEEK_SET), "lseek");
    show_number("file to pipe", splice(file, write, 3, 0));
    drain(read);
    show_number("file to pipe at the end", splice(file, write, 100, 0));
    drain(read);
    show_number("nothing more", splice(file, write, 100, 0));
    show("file to file", splice(file, file, 1, 0));
    show("a pipe to itself", splice(read, write, 1, 0));
    show("the wrong ends", splice(write, read, 1, 0));
    show("tee from a file", tee(file, write, 1));
    let other = child(|| {
        show_number(
            "the child has waited and moved",
            splice(read, second_write, 10, 0),
        );
    });
    must(sys::sleep_ms(5), "sleep");
    println!("the parent writes");
    must(sys::write_all(write, b"late"), "write");
    wait(other);
    drain(second);
    must(sys::close(write), "close");
    show_number("without a writer", splice(read, second_write, 10, 0));
    must(unlink(FILE), "unlink");
}

fn vectors() {
    let file = make_file(b"0123456789");
    let (mut first, mut second) = ([b'.'; 3], [b'.'; 4]);
    let pieces = [
        [first.as_mut_ptr() as usize, first.len()],
        [second.as_mut_ptr() as usize, second.len()],
    ];
    let vector = |nr: u32, fd: Fd, at: usize, flags: usize| {
        let args = [
            fd as isize as usize,
            pieces.as_ptr() as usize,
            2,
            at,
            0,
            flags,
        ];
        // SAFETY: the two arrays are as long as the pieces say.
        unsafe { call(nr, args) }
    };
    let text = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != b'.').count();
    show_number("preadv", vector(nr::__NR_preadv, file, 5, 0));
    println!("the offset stayed at {}", position(file));
    println!("came: {} and {} bytes", text(&first), text(&second));
    show_number(
        "preadv2 at the offset",
        vector(nr::__NR_preadv2, file, usize::MAX, 0),
    );
    println!("the offset moved to {}", position(file));
    show_number("pwritev", vector(nr::__NR_pwritev, file, 8, 0));
    show_number("the length", sys::seek(file, 0, sys::SEEK_END));
    show(
        "before the start",
        vector(nr::__NR_preadv, file, usize::MAX, 0),
    );
    show("no such flag", vector(nr::__NR_pwritev2, file, 0, 0x4000));
    let (read, _) = must(sys::pipe(0), "pipe");
    show("of a pipe", vector(nr::__NR_preadv, read, 0, 0));
    must(unlink(FILE), "unlink");
}
