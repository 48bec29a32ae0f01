//! Kernels that are not ours, on a computer that we did not write and on coe:
//! both say the same. They use what an ordinary PC has: `clockwork` (32-bit)
//! the two 8259As, the 8254, the CMOS clock and the keyboard controller's reset;
//! `longhouse` (64-bit) APICs that the 8254 measures, ACPI's tables and soft off.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{coe, folder, has, root, succeed, wait};
use tempfile::TempDir;

const COMMAND_LINE: &str = "any words = will do";

#[test]
fn a_32_bit_kernel_with_the_old_timer_and_interrupt_controllers() {
    let typed = "echo hello there\nadd 40 2\nsleep 5\nfoo\nreboot\n";
    judge("clockwork", &["-m32"], typed);
}

#[test]
fn a_64_bit_kernel_with_tenants() {
    judge("longhouse", &["-m64", "-mno-red-zone"], "");
}

/// Both run the kernel to its end, and all that it says is the same and right.
fn judge(name: &str, flags: &[&str], typed: &str) {
    if !has("qemu-system-x86_64", "qemu-system-x86") || !has("gcc", "gcc") {
        return;
    }
    let out = folder();
    let kernel = build(&out, name, flags);
    let ours = on_coe(&kernel, typed);
    let theirs = on_qemu(&kernel, typed);
    assert_eq!(ours, theirs, "{name}: coe on the left, QEMU on the right");
    assert!(!ours.contains(": NO"), "{name}:\n{ours}");
    println!("{name}: {} lines", ours.lines().count());
}

/// Compiles each source by itself and links them as the kernel's script says.
fn build(out: &TempDir, name: &str, flags: &[&str]) -> PathBuf {
    let sources = root().join("tests/kernels").join(name);
    let mut objects = Vec::new();
    for source in ["start.S", "kernel.c", "tenants.c"] {
        let path = sources.join(source);
        if !path.exists() {
            continue;
        }
        let stem = path.file_stem().expect("a source has a name");
        let object = out.path().join(stem).with_extension("o");
        // What runs at the top of the address space is told so; only tenants
        // use floating point.
        let place: &[&str] = match (source, flags) {
            ("kernel.c", ["-m64", ..]) => &["-mcmodel=kernel", "-mgeneral-regs-only"],
            _ => &[],
        };
        succeed(
            Command::new("gcc")
                .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"])
                .args(["-ffreestanding", "-fno-pic", "-fno-stack-protector"])
                .args(["-fcf-protection=none", "-fno-asynchronous-unwind-tables"])
                .args(flags)
                .args(place)
                .arg("-c")
                .arg(path)
                .arg("-o")
                .arg(&object),
        );
        objects.push(object);
    }
    let kernel = out.path().join(name);
    let script = sources.join("link.ld");
    succeed(
        Command::new("gcc")
            .args(flags)
            .args(["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"])
            .args(["-Wl,-z,noexecstack", "-Wl,--no-warn-rwx-segments"])
            .arg(format!("-Wl,-T,{}", script.display()))
            .arg("-o")
            .arg(&kernel)
            .args(objects),
    );
    kernel
}

fn on_coe(kernel: &Path, typed: &str) -> String {
    let mut boot = coe();
    boot.args(["boot", "--quiet", "-i", "--cycles", "20000000000"])
        .args(["--append", COMMAND_LINE])
        .arg(kernel);
    said("coe", feed(&mut boot, typed))
}

/// Its instructions are its clock, so that a busy host changes nothing.
fn on_qemu(kernel: &Path, typed: &str) -> String {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-machine", "pc,hpet=off", "-cpu", "max", "-m", "64M"])
        .args(["-icount", "shift=1,sleep=off"])
        .args(["-rtc", "base=2000-01-01,clock=vm"])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
        .args(["-no-reboot", "-append", COMMAND_LINE, "-kernel"])
        .arg(kernel);
    said("QEMU", feed(&mut qemu, typed))
}

/// Runs a command that is typed at, with some patience.
fn feed(command: &mut Command, typed: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the computer starts");
    let mut stdin = child.stdin.take().expect("a pipe to it");
    stdin.write_all(typed.as_bytes()).expect("typing");
    drop(stdin);
    // All that the kernels say fits into a pipe.
    wait(&mut child, "the computer");
    child.wait_with_output().expect("what it said")
}

fn said(who: &str, output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let console = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{who}: {}\n{errors}\n{console}",
        output.status
    );
    console
}
