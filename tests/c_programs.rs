//! C programs against the two C libraries that people link statically, natively
//! and in the guest.

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{Outcome, Stdio, has, judge_file, judge_file_on_v3, root, succeed};
use tempfile::TempDir;

/// A compiler with its library, and the package that it comes from.
#[derive(Clone, Copy)]
struct Compiler {
    tool: &'static str,
    package: &'static str,
}

const MUSL: Compiler = Compiler {
    tool: "musl-gcc",
    package: "musl-tools",
};
const GLIBC: Compiler = Compiler {
    tool: "gcc",
    package: "gcc (and libc6-dev)",
};

/// A compiled program, in a folder that goes with it.
struct Program {
    path: PathBuf,
    _folder: TempDir,
}

/// Compiles `tests/c/NAME.c` as static ELF; nothing if the compiler is missing.
fn compile(compiler: Compiler, name: &str, flags: &[&str]) -> Option<Program> {
    if !has(compiler.tool, compiler.package) {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder for the program");
    let path = folder.path().join(name);
    succeed(
        Command::new(compiler.tool)
            .args(["-O1", "-Wall", "-Werror", "-pthread"])
            .args(flags)
            .arg("-o")
            .arg(&path)
            .arg(root().join("tests/c").join(format!("{name}.c")))
            .arg("-lm"),
    );
    Some(Program {
        path,
        _folder: folder,
    })
}

fn judge(program: &Program, args: &[&str], stdio: Stdio, says: &str) {
    let outcome: Outcome = judge_file(&program.path, args, stdio);
    let output = String::from_utf8_lossy(&outcome.output);
    assert!(
        output.contains(says),
        "natively, without {says:?}: {outcome:?}"
    );
}

fn fd_share(compiler: Compiler, flags: &[&str]) {
    let Some(program) = compile(compiler, "fd_share", flags) else {
        return;
    };
    for stdio in [Stdio::Pipe, Stdio::Tty] {
        judge(&program, &[], stdio, "still open");
        judge(
            &program,
            &["files"],
            stdio,
            "child closed our file descriptor",
        );
    }
}

fn buffer(compiler: Compiler, flags: &[&str]) {
    let Some(program) = compile(compiler, "buffer", flags) else {
        return;
    };
    for stdio in [Stdio::Pipe, Stdio::Tty] {
        judge(&program, &[], stdio, "buffer: hello from parent");
        judge(&program, &["vm"], stdio, "buffer: hello from child");
    }
}

fn doubles(compiler: Compiler) {
    let Some(program) = compile(compiler, "doubles", &["-static"]) else {
        return;
    };
    judge(&program, &[], Stdio::Pipe, "0x1.5555555555555p-2");
}

/// Whether the judge has what the third level announces.
fn host_is_v3() -> bool {
    let there = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
    if !there {
        eprintln!("not judged: the host has no AVX2 or FMA");
    }
    there
}

fn judge_on_v3(program: &Program, says: &str) {
    let outcome = judge_file_on_v3(&program.path, &[], Stdio::Pipe);
    let output = String::from_utf8_lossy(&outcome.output);
    assert!(
        output.contains(says),
        "natively, without {says:?}: {outcome:?}"
    );
}

fn vectors(compiler: Compiler) {
    let program = compile(compiler, "vectors", &["-static", "-mavx2"]);
    if let Some(program) = program.filter(|_| host_is_v3()) {
        judge_on_v3(&program, "two processes: 1 1");
    }
}

fn threads(compiler: Compiler) {
    let Some(program) = compile(compiler, "threads", &["-static"]) else {
        return;
    };
    for stdio in [Stdio::Pipe, Stdio::Tty] {
        judge(
            &program,
            &[],
            stdio,
            "counted to 2000; the first thread's own is -1",
        );
    }
}

fn files(compiler: Compiler) {
    let Some(program) = compile(compiler, "files", &["-static"]) else {
        return;
    };
    let last_line = "rmdir(folder)                                                0";
    judge(&program, &[], Stdio::Pipe, last_line);
}

fn pipes(compiler: Compiler) {
    let Some(program) = compile(compiler, "pipes", &["-static"]) else {
        return;
    };
    judge(&program, &[], Stdio::Pipe, "pieces 400 torn 0");
}

fn handlers(compiler: Compiler) {
    let Some(program) = compile(compiler, "handlers", &["-static"]) else {
        return;
    };
    judge(&program, &[], Stdio::Pipe, "real-time signals queue: 3");
}

fn endings(compiler: Compiler) {
    let Some(program) = compile(compiler, "endings", &["-static"]) else {
        return;
    };
    judge(&program, &[], Stdio::Pipe, "exec by a thread: exit 6");
}

fn futexes(compiler: Compiler) {
    let Some(program) = compile(compiler, "futexes", &["-static"]) else {
        return;
    };
    judge(&program, &[], Stdio::Pipe, "sum 800");
}

fn rseq(compiler: Compiler) {
    let Some(program) = compile(compiler, "rseq", &["-static"]) else {
        return;
    };
    let says = "the handler saw the abort address";
    judge(&program, &[], Stdio::Pipe, says);
}

/// Signals, codes and addresses of instructions that cannot go on.
fn faults(compiler: Compiler) {
    let Some(program) = compile(compiler, "faults", &["-static"]) else {
        return;
    };
    judge(
        &program,
        &[],
        Stdio::Pipe,
        "a bottomless stack           status 0xb",
    );
}

/// Mappings, the heap, files as memory, bad pointers.
fn memory(compiler: Compiler) {
    let Some(program) = compile(compiler, "memory", &["-static"]) else {
        return;
    };
    judge(
        &program,
        &[],
        Stdio::Pipe,
        "after the child's writes: shared hEXlo, own Jello",
    );
}

/// clone, clone3 and wait in all their forms.
fn clone_flags(compiler: Compiler) {
    let Some(program) = compile(compiler, "clone_flags", &["-static"]) else {
        return;
    };
    judge(&program, &[], Stdio::Pipe, "and got SIGCHLD: 1");
}

#[test]
fn faults_with_musl() {
    faults(MUSL);
}

#[test]
fn faults_with_glibc() {
    faults(GLIBC);
}

#[test]
fn memory_with_musl() {
    memory(MUSL);
}

#[test]
fn memory_with_glibc() {
    memory(GLIBC);
}

#[test]
fn clone_flags_with_musl() {
    clone_flags(MUSL);
}

#[test]
fn clone_flags_with_glibc() {
    clone_flags(GLIBC);
}

#[test]
fn fd_share_with_musl() {
    fd_share(MUSL, &["-static"]);
}

#[test]
fn fd_share_with_glibc() {
    fd_share(GLIBC, &["-static"]);
}

#[test]
fn fd_share_with_glibc_at_any_address() {
    fd_share(GLIBC, &["-static-pie", "-fPIE"]);
}

#[test]
fn buffer_with_musl() {
    buffer(MUSL, &["-static"]);
}

#[test]
fn buffer_with_glibc() {
    buffer(GLIBC, &["-static"]);
}

#[test]
fn buffer_with_glibc_at_any_address() {
    buffer(GLIBC, &["-static-pie", "-fPIE"]);
}

#[test]
fn doubles_with_musl() {
    doubles(MUSL);
}

#[test]
fn doubles_with_glibc() {
    doubles(GLIBC);
}

#[test]
fn threads_with_musl() {
    threads(MUSL);
}

#[test]
fn threads_with_glibc() {
    threads(GLIBC);
}

#[test]
fn files_with_musl() {
    files(MUSL);
}

#[test]
fn files_with_glibc() {
    files(GLIBC);
}

#[test]
fn pipes_with_musl() {
    pipes(MUSL);
}

#[test]
fn pipes_with_glibc() {
    pipes(GLIBC);
}

#[test]
fn handlers_with_musl() {
    handlers(MUSL);
}

#[test]
fn handlers_with_glibc() {
    handlers(GLIBC);
}

#[test]
fn endings_with_musl() {
    endings(MUSL);
}

#[test]
fn endings_with_glibc() {
    endings(GLIBC);
}

#[test]
fn futexes_with_musl() {
    futexes(MUSL);
}

#[test]
fn futexes_with_glibc() {
    futexes(GLIBC);
}

#[test]
fn rseq_with_musl() {
    rseq(MUSL);
}

#[test]
fn rseq_with_glibc() {
    rseq(GLIBC);
}

#[test]
fn vectors_with_musl() {
    vectors(MUSL);
}

#[test]
fn vectors_with_glibc() {
    vectors(GLIBC);
}

/// glibc picks its AVX2 and FMA variants by CPUID.
#[test]
fn what_glibc_picks_on_v3() {
    let program = compile(GLIBC, "ifuncs", &["-static", "-fno-builtin"]);
    if let Some(program) = program.filter(|_| host_is_v3()) {
        judge_on_v3(&program, "avx2 1 fma 1");
    }
}
