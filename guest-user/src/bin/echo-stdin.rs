//! `echo-stdin`: writes what it reads, until the end of its input.
#![no_std]
#![no_main]

use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, STDIN, STDOUT};
use guest_user::{println, program};

program!(main);

fn main(_: &Args) -> i32 {
    let mut bytes = [0; 1024];
    let mut total = 0;
    loop {
        let count = must(sys::read(STDIN, &mut bytes), "read");
        if count == 0 {
            break;
        }
        must(
            sys::write_all(STDOUT, bytes.get(..count).unwrap_or_default()),
            "write",
        );
        total += count;
    }
    println!("{total} bytes");
    0
}
