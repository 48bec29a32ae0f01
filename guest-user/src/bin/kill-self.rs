//! `kill-self [SIGNAL]`: sends itself a signal, SIGTERM unless given.
#![no_std]
#![no_main]

use guest_user::out::must;
use guest_user::signal::{self, SIGTERM};
use guest_user::start::Args;
use guest_user::{println, program, sys};

program!(main);

fn main(args: &Args) -> i32 {
    let number = args.number(1, SIGTERM as usize) as u32;
    println!("sending myself signal {number}");
    must(signal::kill(sys::getpid(), number), "kill");
    println!("survived signal {number}");
    0
}
