//! `spin-forever`: never ends.
#![no_std]
#![no_main]

use guest_user::start::Args;
use guest_user::{println, program};

program!(main);

fn main(_: &Args) -> i32 {
    println!("spinning");
    loop {
        core::hint::spin_loop();
    }
}
