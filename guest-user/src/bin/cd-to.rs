//! `cd-to FOLDER`: changes its working directory and does nothing else.
#![no_std]
#![no_main]

use guest_user::start::Args;
use guest_user::{eprintln, program, sys};

program!(main);

fn main(args: &Args) -> i32 {
    let folder = args.get(1).unwrap_or(c"/");
    match sys::chdir(folder) {
        Ok(()) => 0,
        Err(errno) => {
            eprintln!("cd-to: {folder:?}: {errno}");
            1
        }
    }
}
