//! `pipes`: more than a pipe holds goes through it, its end is seen, and a
//! writer without a reader gets SIGPIPE, or EPIPE if it ignores that.
#![no_std]
#![no_main]

use guest_user::out::must;
use guest_user::signal::{self, Action, SIGPIPE};
use guest_user::start::Args;
use guest_user::sys::{self, Fd};
use guest_user::{println, program, task};

program!(main);

const BYTES: usize = 200_000;

fn main(_: &Args) -> i32 {
    carry_a_lot();
    without_reader(false);
    without_reader(true);
    0
}

fn carry_a_lot() {
    let (output, input) = must(sys::pipe(0), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        must(sys::close(output), "close");
        write_pattern(input);
        task::exit(0);
    }
    must(sys::close(input), "close");
    let (count, right) = read_pattern(output);
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("{count} bytes came through, in order: {right}; the writer {status}");
    must(sys::close(output), "close");
}

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

fn write_pattern(fd: Fd) {
    let mut at = 0;
    while at < BYTES {
        let mut chunk = [0; 1000];
        for (offset, byte) in chunk.iter_mut().enumerate() {
            *byte = pattern(at + offset);
        }
        must(sys::write_all(fd, &chunk), "write");
        at += chunk.len();
    }
}

fn read_pattern(fd: Fd) -> (usize, bool) {
    let (mut at, mut right) = (0, true);
    loop {
        let mut chunk = [0; 777];
        let count = must(sys::read(fd, &mut chunk), "read");
        if count == 0 {
            return (at, right);
        }
        for byte in chunk.iter().take(count) {
            right &= *byte == pattern(at);
            at += 1;
        }
    }
}

fn without_reader(ignore: bool) {
    let (output, input) = must(sys::pipe(0), "pipe");
    must(sys::close(output), "close");
    let child = must(task::fork(), "fork");
    if child == 0 {
        if ignore {
            must(signal::set_action(SIGPIPE, &Action::IGNORE), "sigaction");
        }
        match sys::write(input, b"nobody") {
            Ok(count) => println!("wrote {count} bytes to nobody"),
            Err(errno) => println!("write: {errno}"),
        }
        task::exit(0);
    }
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("without a reader, SIGPIPE ignored {ignore}: the writer {status}");
    must(sys::close(input), "close");
}
