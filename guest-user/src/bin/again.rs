//! `again N PROGRAM ARGS...`: runs a program of this folder N times, one after
//! another. What the kernel keeps must not grow with N.
#![no_std]
#![no_main]

use guest_user::out::must;
use guest_user::start::Args;
use guest_user::task::{self, Status};
use guest_user::{println, program};

program!(main);

fn main(args: &Args) -> i32 {
    let mut path = [0; 256];
    let found = args.text(2).and_then(|name| args.beside(name, &mut path));
    let Some(program) = found else {
        println!("again N PROGRAM ARGS...");
        return 2;
    };
    let mut words = [c""; 16];
    let mut count = 0;
    while let (Some(word), Some(place)) = (args.get(2 + count), words.get_mut(count)) {
        *place = word;
        count += 1;
    }
    for _ in 0..args.number(1, 1) {
        let child = must(task::fork(), "fork");
        if child == 0 {
            let words = words.get(..count).unwrap_or_default();
            let errno = task::exec(program, words, args.environment());
            println!("{errno}");
            task::exit(1);
        }
        let (_, status) = must(task::wait(child, 0), "wait");
        if status != Status(0) {
            println!("the program {status}");
            return 1;
        }
    }
    0
}
