//! `calls NUMBER...`: makes each of these system calls without arguments, and
//! tells those that did not say that there is no such call.
#![no_std]
#![no_main]

use guest_user::start::Args;
use guest_user::{println, program, sys};

program!(main);

fn main(args: &Args) -> i32 {
    let mut asked = 0;
    let mut there = 0;
    while let Some(text) = args.text(asked + 1) {
        asked += 1;
        let Ok(number) = text.parse() else {
            println!("{text} is no number");
            return 2;
        };
        // SAFETY: only calls that this kernel does not have are asked for; one
        // that it does have gets no address of this program.
        match unsafe { sys::call(number, [0; 6]) } {
            Err(errno) if errno.name() == Some("ENOSYS") => {}
            Err(errno) => {
                there += 1;
                println!("{number}: {errno}");
            }
            Ok(value) => {
                there += 1;
                println!("{number}: {value}");
            }
        }
    }
    println!("{asked} calls, of which {there} are there");
    0
}
