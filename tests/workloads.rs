//! The bench's kernel computes the same on every engine and on QEMU.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use common::workloads;
use common::{coe, has, run_coe, wait};

/// A little of everything; numbers above those of loops that repeat.
const LINE: &str = "alu=1 sieve=1 chase=1 strings=2 loops=2 calls=1 sha256=1 doubles=1 mix=3 \
    many=2 syscall=100 fault=1000 cr3=50 int80=100 ipi=50 port=100 cold=300 patched=200 timer=20";

static KERNEL: LazyLock<PathBuf> =
    LazyLock::new(|| workloads::build(Path::new(env!("CARGO_TARGET_TMPDIR"))));

fn on_coe() -> String {
    let mut boot = coe();
    boot.args(["boot", "--quiet", "--append", LINE])
        .arg(&*KERNEL);
    let ran = run_coe(&mut boot);
    assert_eq!(ran.status, 0, "{ran:?}");
    String::from_utf8(ran.output).expect("the kernel writes ASCII")
}

fn on_qemu() -> String {
    let console = tempfile::NamedTempFile::new().expect("a file for the console");
    let mut qemu = Command::new("qemu-system-x86_64")
        .args([
            "-machine", "pc", "-cpu", "max", "-m", "64M", "-append", LINE,
        ])
        .args(["-display", "none", "-monitor", "none", "-no-reboot"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .arg("-serial")
        .arg(format!("file:{}", console.path().display()))
        .arg("-kernel")
        .arg(&*KERNEL)
        .stdin(Stdio::null())
        .spawn()
        .expect("QEMU starts");
    wait(&mut qemu, "QEMU");
    std::fs::read_to_string(console.path()).expect("the console")
}

#[test]
fn workloads_compute_the_same_on_qemu() {
    if !has("qemu-system-x86_64", "qemu-system-x86") || !has("gcc", "gcc") {
        return;
    }
    let (ours, theirs) = (on_coe(), on_qemu());
    assert_eq!(ours, theirs);
    assert!(
        ours.ends_with("end\n") && ours.lines().count() == 20,
        "{ours}"
    );
}
