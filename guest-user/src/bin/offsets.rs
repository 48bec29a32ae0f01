//! `offsets`: duplicated and inherited descriptors share one offset, separately
//! opened ones do not, and O_APPEND writes at the end whatever the offset is.
#![no_std]
#![no_main]

use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, Fd, O_APPEND, O_CREAT, O_RDWR, O_TRUNC, SEEK_CUR, SEEK_END, SEEK_SET};
use guest_user::{println, program, task};

program!(main);

const FILE: &core::ffi::CStr = c"offsets.tmp";

fn main(_: &Args) -> i32 {
    let fd = must(sys::open(FILE, O_RDWR | O_CREAT | O_TRUNC, 0o600), "open");
    let same = must(sys::dup(fd), "dup");
    let other = must(sys::open(FILE, O_RDWR, 0), "open");
    must(sys::write_all(fd, b"0123456789"), "write");
    println!("after a write of 10: {} {} {}", at(fd), at(same), at(other));
    must(sys::seek(same, 4, SEEK_SET), "lseek");
    println!(
        "after a seek in the copy: {} {} {}",
        at(fd),
        at(same),
        at(other)
    );

    let child = must(task::fork(), "fork");
    if child == 0 {
        must(sys::read(fd, &mut [0; 3]), "read");
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    println!(
        "after the child's read of 3: {} {} {}",
        at(fd),
        at(same),
        at(other)
    );

    let end = must(sys::open(FILE, O_RDWR | O_APPEND, 0), "open");
    must(sys::seek(end, 0, SEEK_SET), "lseek");
    must(sys::write_all(end, b"ab"), "write");
    println!(
        "appended, the offset is {}, the length {}",
        at(end),
        length(other)
    );
    must(sys::seek(other, 20, SEEK_SET), "lseek");
    must(sys::write_all(other, b"z"), "write");
    must(sys::seek(other, 0, SEEK_SET), "lseek");
    let mut bytes = [1; 32];
    let count = must(sys::read(other, &mut bytes), "read");
    println!(
        "{:?}",
        core::str::from_utf8(bytes.get(..count).unwrap_or_default()).unwrap_or("?")
    );
    println!(
        "a seek before the start: {:?}",
        sys::seek(fd, -1, SEEK_SET).err().and_then(|e| e.name())
    );
    0
}

fn at(fd: Fd) -> u64 {
    must(sys::seek(fd, 0, SEEK_CUR), "lseek")
}

fn length(fd: Fd) -> u64 {
    let was = at(fd);
    let length = must(sys::seek(fd, 0, SEEK_END), "lseek");
    must(sys::seek(fd, was as i64, SEEK_SET), "lseek");
    length
}
