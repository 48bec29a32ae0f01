//! Scenarios with the real kernel: goldens, recording, replaying elsewhere.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use coe::replay;
use coe::trace::Trace;
use tempfile::TempDir;

use common::{coe_in, folder, root, write};

/// Runs `coe`, wants this exit code and no panic of its own; stdout and stderr.
fn wants(folder: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = coe_in(folder, args);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "coe {args:?}\n{stdout}\n{stderr}"
    );
    assert!(!stderr.contains("panicked at"), "coe {args:?}: {stderr}");
    (stdout, stderr)
}

const COW_FORK: &str = "title = \"A test\"\nprogram = { run = \"cow-fork\", args = [\"2\"] }\n";

#[test]
fn every_scenario_is_as_expected() {
    let (stdout, _) = wants(&root(), &["test", "scenarios"], 0);
    assert!(
        stdout.contains("pass    scenarios/seeds/cow-fork.toml"),
        "{stdout}"
    );
}

#[test]
fn a_golden_is_blessed_then_kept_and_its_first_difference_shown() {
    let folder = folder();
    for level in ["outcome", "order", "exact"] {
        write(
            &folder,
            "s.toml",
            format!("{COW_FORK}golden = \"{level}\"\n"),
        );
        let (stdout, _) = wants(folder.path(), &["test", "s.toml"], 123);
        assert!(stdout.contains("there is no s.golden yet"), "{stdout}");
        let (stdout, _) = wants(folder.path(), &["test", "--bless", "s.toml"], 0);
        assert!(stdout.contains("blessed s.toml"), "{stdout}");
        wants(folder.path(), &["test", "s.toml"], 0);
        let path = folder.path().join("s.golden");
        let golden = fs::read_to_string(&path).expect("the golden");
        write(
            &folder,
            "s.golden",
            golden.replace("child sees 2", "child sees 7"),
        );
        let (stdout, _) = wants(folder.path(), &["test", "s.toml"], 123);
        assert!(
            stdout.contains("- | child sees 7") && stdout.contains("+ | child sees 2"),
            "{stdout}"
        );
        assert!(stdout.contains("coe test --bless s.toml"), "{stdout}");
        fs::remove_file(path).expect("the golden goes");
    }
}

#[test]
fn what_is_not_expected_fails_and_is_never_blessed() {
    let folder = folder();
    let expect = "golden = \"order\"\n[expect]\nexit = 3\nstdout = [\"child sees 2\"]\ncounters = { forks = 2 }\norder = [\"sched_process_fork child=main/2\"]\n";
    write(&folder, "s.toml", format!("{COW_FORK}{expect}"));
    for args in [
        ["test", "s.toml"].as_slice(),
        &["test", "--bless", "s.toml"],
    ] {
        let (stdout, _) = wants(folder.path(), args, 123);
        for said in [
            "ended with: exit 0, expected: exit 3",
            "line 2 of the console is \"parent sees 1\", expected nothing more",
            "counter forks is 1, expected 2",
            "order: no event `sched_process_fork child=main/2`",
        ] {
            assert!(stdout.contains(said), "{said}\n{stdout}");
        }
        assert!(!folder.path().join("s.golden").exists());
    }
}

#[test]
fn a_guest_that_never_ends_meets_its_limit() {
    let folder = folder();
    write(
        &folder,
        "s.toml",
        "title = \"t\"\nprogram = \"spin-forever\"\nlimits = { cycles = 3_000_000 }\n",
    );
    let (stdout, stderr) = wants(folder.path(), &["run", "s.toml"], 124);
    assert_eq!(stdout, "spinning\r\n");
    assert!(
        stderr.contains("limit of 3000000 cycles") && stderr.contains("limits.cycles"),
        "{stderr}"
    );
}

#[test]
fn a_kernel_that_panics_says_why() {
    let folder = folder();
    wants(folder.path(), &["images", "--out", "guest"], 0);
    // Without an initrd there is no first program.
    let (stdout, stderr) = wants(folder.path(), &["boot", "guest/kernel.elf"], 121);
    assert!(
        stderr.contains("the kernel panicked: ") && stderr.contains("init"),
        "{stderr}"
    );
    assert!(stdout.contains("kernel panic: "), "{stdout}");
}

#[test]
fn a_killed_program_gives_the_shells_status() {
    let folder = folder();
    wants(folder.path(), &["run", "kill-self"], 128 + 15);
    wants(folder.path(), &["run", "exit-code", "200"], 200);
}

#[test]
fn stdout_is_what_was_asked_for() {
    let folder = folder();
    let (tty, _) = wants(folder.path(), &["run", "--quiet", "hello", "you"], 0);
    let (pipe, _) = wants(
        folder.path(),
        &["run", "--quiet", "--stdio", "pipe", "hello", "you"],
        0,
    );
    assert_eq!(
        (tty.as_str(), pipe.as_str()),
        ("hello, you\r\n", "hello, you\n")
    );
}

/// A scenario with a program and input of its own, recorded; then both are gone.
fn recorded_echo(folder: &TempDir) -> PathBuf {
    let (_, echo) = coe::embedded::PROGRAMS
        .iter()
        .find(|(name, _)| *name == "echo-stdin")
        .expect("echo-stdin is embedded");
    let program = write(folder, "echo", echo);
    let scenario = write(
        folder,
        "s.toml",
        "title = \"t\"\nprogram = \"./echo\"\ninput = [{ at = 5_000_000, text = \"a\\n\\u0004\" }]\n",
    );
    for trace in ["a.coe", "b.coe"] {
        let (stdout, _) = wants(folder.path(), &["record", "s.toml", "-o", trace], 0);
        assert_eq!(stdout, "a\r\na\r\n2 bytes\r\n");
    }
    fs::remove_file(program).expect("the program goes");
    fs::remove_file(scenario).expect("the scenario goes");
    folder.path().join("a.coe")
}

#[test]
fn a_trace_replays_without_its_scenario_and_program() {
    let folder = folder();
    let trace = recorded_echo(&folder);
    let other = folder.path().join("b.coe");
    assert_eq!(fs::read(&trace).expect("a"), fs::read(other).expect("b"));
    let (stdout, stderr) = wants(folder.path(), &["replay", "a.coe"], 0);
    assert_eq!(stdout, "a\r\na\r\n2 bytes\r\n");
    assert!(stderr.contains("replayed to the end: exit 0"), "{stderr}");
    let (_, stderr) = wants(folder.path(), &["replay", "--to", "1000000", "a.coe"], 0);
    assert!(stderr.contains("as far as asked"), "{stderr}");
}

#[test]
fn a_trace_diverges_if_an_input_moves_by_a_cycle() {
    let folder = folder();
    let path = recorded_echo(&folder);
    for (input, by) in [(0, 1), (1, 1), (2, 1), (0, -1), (2, -1)] {
        let mut trace = Trace::open(&path).expect("the trace opens");
        let at = &mut trace.header.inputs[input].0;
        *at = at.strict_add_signed(by);
        let error = replay::replay(&trace, None, &mut []).expect_err("it cannot replay");
        assert_eq!(error.exit_code() as u8, 122, "{error}");
    }
}

#[test]
fn a_seed_draws_one_order_and_another_seed_another() {
    let folder = folder();
    let order = |seed: u64| {
        write(
            &folder,
            "s.toml",
            format!(
                "title = \"t\"\nprogram = {{ run = \"threads\", args = [\"4\"] }}\nmachine = {{ seed = {seed} }}\n[schedule]\npolicy = \"random\"\nslice = 2_000\n"
            ),
        );
        wants(folder.path(), &["record", "-q", "s.toml", "-o", "t.coe"], 0);
        let (switches, _) = wants(
            folder.path(),
            &[
                "trace",
                "t.coe",
                "--event",
                "sched_switch",
                "--format",
                "jsonl",
            ],
            0,
        );
        switches
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                line["fields"]["next"].as_str().expect("a name").to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    let orders: std::collections::BTreeSet<_> = (1..6).map(order).collect();
    assert!(orders.len() > 1, "five seeds draw the same order");
}
