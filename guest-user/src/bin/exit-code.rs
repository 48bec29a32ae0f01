//! `exit-code [N]`: exits with N.
#![no_std]
#![no_main]

use guest_user::program;
use guest_user::start::Args;

program!(main);

fn main(args: &Args) -> i32 {
    args.number(1, 0) as i32
}
