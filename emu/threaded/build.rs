//! Chooses the dispatcher: handlers can call one another only where such calls become jumps.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(threaded_loop)");
    if env::var("OPT_LEVEL").is_ok_and(|level| level == "0" || level == "1") {
        println!("cargo::rustc-cfg=threaded_loop");
    }
}
