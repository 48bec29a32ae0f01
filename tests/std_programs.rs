//! A Rust program with the standard library, natively and in the guest.

mod common;

use std::process::Command;

use common::{Stdio, judge_file, root, succeed};

/// Compiled as everybody does it for this target: a static ELF that can lie at
/// any address, with musl.
#[test]
fn threads_and_a_channel() {
    let folder = tempfile::tempdir().expect("a folder for the program");
    let path = folder.path().join("std_threads");
    succeed(
        Command::new("rustc")
            .current_dir(root())
            .args([
                "--edition",
                "2024",
                "-O",
                "--target",
                "x86_64-unknown-linux-musl",
            ])
            .args(["-C", "linker=rust-lld", "-o"])
            .arg(&path)
            .arg("tests/rust/std_threads.rs"),
    );
    for stdio in [Stdio::Pipe, Stdio::Tty] {
        let outcome = judge_file(&path, &["one", "two"], stdio);
        let output = String::from_utf8_lossy(&outcome.output);
        assert_eq!(outcome.status, 3, "natively: {outcome:?}");
        assert!(
            output.contains("received [100, 100]"),
            "natively: {outcome:?}"
        );
    }
}
