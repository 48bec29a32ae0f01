//! `hello [NAME]`: says hello.
#![no_std]
#![no_main]

use guest_user::start::Args;
use guest_user::{println, program};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some(name) => println!("hello, {name}"),
        None => println!("hello"),
    }
    0
}
