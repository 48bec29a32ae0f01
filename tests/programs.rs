//! Every user program of ours, natively on Linux and in the guest: the same
//! output and the same exit status, on a pipe and on a terminal.

mod common;

use common::{Stdio, coe, embedded, judge_embedded, native, run_coe};

/// A test for each program with its arguments, on both kinds of stdout, and
/// what its output must contain so that two equal failures do not pass.
macro_rules! judge {
    ($($test:ident: $program:literal $args:expr, $status:literal, $says:literal;)*) => {
        /// The programs with a test.
        const JUDGED: &[&str] = &[$($program),*];

        $(
        mod $test {
            use super::*;

            #[test]
            fn on_a_pipe() {
                check(Stdio::Pipe);
            }

            #[test]
            fn on_a_terminal() {
                check(Stdio::Tty);
            }

            fn check(stdio: Stdio) {
                let args: &[&str] = &$args;
                let outcome = judge_embedded($program, args, stdio);
                let output = String::from_utf8_lossy(&outcome.output);
                assert_eq!(outcome.status, $status, "natively: {outcome:?}");
                assert!(output.contains($says), "natively, without {:?}: {outcome:?}", $says);
            }
        }
        )*
    };
}

judge! {
    bad_pointer: "bad-pointer" [], 0, "signal 11, code 2, its address is right: true";
    bad_pointer_kills: "bad-pointer" ["crash"], 139, "writing to address 8";
    buffer_copied: "buffer" [], 0, "parent's buffer: hello from parent";
    buffer_shared: "buffer" ["vm"], 0, "parent's buffer: hello from child";
    busy_two_tasks: "busy-two" [], 0, "5 rounds";
    busy_two_threads: "busy-two" ["threads"], 0, "5 rounds";
    cd_to: "cd-to" ["/dev"], 0, "";
    cd_to_nowhere: "cd-to" ["/no/such/folder"], 1, "ENOENT";
    clone_errors: "clone-errors" [], 0, "SIGHAND without VM: EINVAL";
    cow_fork: "cow-fork" ["3"], 0, "parent sees 1";
    cow_fork_many: "cow-fork" ["600"], 0, "child sees 600";
    exec_state: "exec-state" [], 0, "descriptor 4 is open: false";
    exit_code: "exit-code" ["7"], 7, "";
    exit_code_is_a_byte: "exit-code" ["511"], 255, "";
    external_cd: "external-cd" [], 0, "mother after a child that shares it: /dev";
    fd_share_copied: "fd-share" [], 0, "still open";
    fd_share_shared: "fd-share" ["files"], 0, "EBADF";
    fork_big: "fork-64m" ["16"], 0, "memory kept: true";
    hello: "hello" [], 0, "hello";
    hello_argument: "hello" ["a b", "c"], 0, "hello, a b";
    kill_self: "kill-self" ["15"], 143, "sending myself signal 15";
    kill_self_ignored: "kill-self" ["17"], 0, "survived";
    kill_self_hard: "kill-self" ["9"], 137, "sending myself signal 9";
    offsets: "offsets" [], 0, "appended, the offset is 12, the length 12";
    pipes: "pipes" [], 0, "200000 bytes came through, in order: true";
    registers: "registers" [], 0, "parent: registers kept in 20 of 20 rounds";
    settid: "settid" [], 0, "child's word holds its id: true";
    signals: "signals" [], 0, "without SA_ONSTACK: false";
    thread_exit: "thread-exit" [], 21, "another thread is still here";
    thread_exit_group: "thread-exit" ["group"], 22, "one thread ends them all";
    threads: "threads" [], 0, "4 threads counted to 4000";
    threads_many: "threads" ["16"], 0, "16 threads counted to 16000";
    vfork_exec: "vfork-exec" [], 0, "woke when the child had reached 9";
    wait_order: "wait-order" [], 0, "the released one came: true; it exited with 12";
}

/// A new program is judged here or by a row of the task model (see
/// task_model.rs), or it is here with the reason.
#[test]
fn no_program_is_forgotten() {
    let others = [
        "echo-stdin",   // judged below
        "init",         // part of every run
        "spin-forever", // never ends
        "again",        // runs another program over and over, for frames.rs
        "calls",        // asks for calls that are not there, for system_calls.rs
        "costs",        // what it says hangs on how fast the computer is
        "disk",         // wants a disk; disk.rs has QEMU as its judge
        "exhaust",      // wants allocations that fail, for exhaustion.rs
    ];
    let judged = common::rows::Rows::read().judged_programs();
    let forgotten: Vec<_> = coe::embedded::PROGRAMS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !JUDGED.contains(name) && !others.contains(name) && !judged.contains(*name))
        .collect();
    assert_eq!(forgotten, [""; 0]);
}

/// The same text typed at both: the line discipline echoes it, the program
/// writes it back, and Ctrl-D at the start of a line is the end.
#[test]
fn echo_stdin_of_what_is_typed() {
    let native = native(
        &embedded("echo-stdin"),
        &[],
        Stdio::Tty,
        b"one\ntwo x\x7Fy\n\x04",
    );
    let folder = tempfile::tempdir().expect("a folder for the scenario");
    let scenario = folder.path().join("echo.toml");
    let text = r#"
title = "What is typed comes back"
program = "echo-stdin"
stdio = "tty"
input = [{ at = 50_000_000, text = "one\ntwo x\u007Fy\n\u0004" }]
"#;
    std::fs::write(&scenario, text).expect("writing the scenario");
    let guest = run_coe(coe().args(["run", "--quiet"]).arg(&scenario));
    assert_eq!(
        lines(&guest.output),
        lines(&native.output),
        "guest (left) and native (right)"
    );
    assert_eq!((guest.status, native.status), (0, 0));
    assert!(
        native.output.ends_with(b"10 bytes\r\n"),
        "natively: {native:?}"
    );
}

/// The lines, sorted: whether the second line's echo comes before or after the
/// program's answer to the first depends on who types how fast.
fn lines(output: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = output
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| line.escape_ascii().to_string())
        .collect();
    lines.sort();
    lines
}
