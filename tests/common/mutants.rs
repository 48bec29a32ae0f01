//! The kernel with its test switches: the same sources as the embedded one, with
//! another feature and another profile, and so with all of its code elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::root;

/// Where it lies: built here, unless `COE_MUTANTS_KERNEL` names it.
pub(crate) fn kernel() -> PathBuf {
    std::env::var_os("COE_MUTANTS_KERNEL").map_or_else(build, PathBuf::from)
}

/// Builds it as coe's build script builds the ordinary one, but in a hurry.
fn build() -> PathBuf {
    const TARGET: &str = "x86_64-unknown-none";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    let mut cargo = Command::new(env!("CARGO"));
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        let keep = ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_BUILD_JOBS"].contains(&&*name);
        if name.starts_with("CARGO") && !keep || name.starts_with("RUSTC") || name == "RUSTFLAGS" {
            cargo.env_remove(&key);
        }
    }
    cargo
        .current_dir(root())
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Crelocation-model=static\x1f-Clinker=rust-lld",
        )
        .envs([
            ("CARGO_PROFILE_GUEST_LTO", "off"),
            ("CARGO_PROFILE_GUEST_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_GUEST_INCREMENTAL", "true"),
        ])
        .args(["build", "--locked", "--quiet", "--package", "guest-kernel"])
        .args(["--features", "mutants", "--profile", "guest"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&folder);
    super::succeed(&mut cargo);
    folder.join(TARGET).join("guest/kernel")
}
