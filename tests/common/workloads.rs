//! Builds the kernel in `tests/kernels/workloads`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What every source is compiled with: plain code, as kernels and programs have
/// it, and the same on every day.
const FLAGS: &[&str] = &[
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fno-pic",
    "-mno-red-zone",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-fno-tree-vectorize",
    "-fno-tree-slp-vectorize",
    "-fno-tree-loop-distribute-patterns",
];

/// Sources of integers only.
const INTEGERS: &[&str] = &[
    "start.S",
    "main.c",
    "integers.c",
    "sha256.c",
    "mix.c",
    "many.c",
    "system.c",
    "handlers.S",
];

/// Compiles and links it with gcc in this folder.
///
/// # Panics
/// If that does not work.
pub(crate) fn build(folder: &Path) -> PathBuf {
    let kernel = folder.join("workloads");
    let doubles = folder.join("workloads-doubles.o");
    succeed(
        Command::new("gcc")
            .args(FLAGS)
            .args(["-c", "-o"])
            .arg(&doubles)
            .arg(sources().join("doubles.c")),
    );
    succeed(
        Command::new("gcc")
            .args(FLAGS)
            .args(["-mgeneral-regs-only", "-nostdlib", "-static", "-no-pie"])
            .args(["-Wl,--build-id=none", "-Wl,-z,noexecstack"])
            .arg("-Wl,--no-warn-rwx-segments")
            .arg(format!("-Wl,-T,{}", sources().join("link.ld").display()))
            .arg("-o")
            .arg(&kernel)
            .args(INTEGERS.iter().map(|name| sources().join(name)))
            .arg(&doubles),
    );
    kernel
}

/// The sector that a computer without a loader for ELF files boots, and the
/// kernel as it lies in memory.
///
/// # Panics
/// If they cannot be made.
#[allow(dead_code, reason = "tests boot the ELF file")]
pub(crate) fn flat(folder: &Path, kernel: &Path) -> (Vec<u8>, Vec<u8>) {
    let (boot, image) = (folder.join("boot"), folder.join("image"));
    succeed(
        Command::new("gcc")
            .args(["-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x7c00"])
            .args(["-Wl,--oformat=binary", "-Wl,-e,boot", "-Wl,--build-id=none"])
            .arg("-o")
            .arg(&boot)
            .arg(sources().join("disk.S")),
    );
    succeed(
        Command::new("objcopy")
            .args(["-O", "binary"])
            .args([kernel, &image]),
    );
    let read = |path: &Path| std::fs::read(path).expect("what was made");
    (read(&boot), read(&image))
}

fn sources() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("tests/kernels/workloads")
}

fn succeed(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
