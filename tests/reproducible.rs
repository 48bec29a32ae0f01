//! The guests are the same bytes wherever they are built: their build script
//! runs on a copy of the sources in another folder, with an environment that
//! would change them if it were let through.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{root, succeed};

/// What the guests are built from; the host's crates are there because cargo
/// wants every member of the workspace.
const SOURCES: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo",
    "emu/coe",
    "emu/jit",
    "emu/machine",
    "emu/threaded",
    "guest-kernel",
    "guest-user",
];

#[test]
fn guests_are_the_same_in_another_folder() {
    let folder = tempfile::tempdir().expect("a folder to build in");
    let copy = folder.path().join("some where/else");
    for source in SOURCES {
        copy_all(&root().join(source), &copy.join(source));
    }
    // coe's manifest names its integration tests.
    copy_all(&root().join("tests"), &copy.join("tests"));

    let script = folder.path().join("build-script");
    succeed(
        Command::new("rustc")
            .current_dir(root())
            .args(["--edition", "2024", "--cfg", "unpacked", "-o"])
            .arg(&script)
            .arg("emu/coe/build.rs"),
    );
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("the output folder");
    succeed(
        Command::new(&script)
            .current_dir(copy.join("emu/coe"))
            .env("CARGO_MANIFEST_DIR", copy.join("emu/coe"))
            .env("OUT_DIR", &out)
            .env("TARGET", "another")
            .env("CARGO", env!("CARGO"))
            .env("RUSTC", "rustc")
            .env("RUSTFLAGS", "-Cdebuginfo=2 -Ctarget-cpu=x86-64-v3")
            .env("CARGO_PROFILE_GUEST_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "2"),
    );

    let guests = out.join("guests");
    same(&guests.join("kernel"), coe::embedded::KERNEL);
    for (name, bytes) in coe::embedded::PROGRAMS {
        same(&guests.join(name), bytes);
    }
}

fn same(built: &Path, embedded: &[u8]) {
    let built_bytes =
        fs::read(built).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    let differs = built_bytes
        .iter()
        .zip(embedded)
        .position(|(built, embedded)| built != embedded);
    assert_eq!(
        differs,
        None,
        "{} differs from the embedded one at this offset",
        built.display()
    );
    assert_eq!(
        built_bytes.len(),
        embedded.len(),
        "{} has another length",
        built.display()
    );
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder of the sources") {
            let entry = entry.expect("an entry");
            copy_all(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        let parent = to.parent().expect("a folder above");
        fs::create_dir_all(parent).expect("a folder");
        fs::copy(from, to).expect("a copy");
    }
}
