//! The task model, row by row: each row of `docs/rows/*.toml` has a scenario
//! that shows it, a deliberate fault of the kernel with which that scenario's
//! expectations fail, and a program that says the same on Linux.
//!
//! `COE_BLESS_DOCS=1` writes docs/task-model.md again. `COE_MUTANTS_KERNEL`
//! names a kernel that was built with `--features mutants` already.

mod common;
#[path = "task_model/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coe::scenario::{self, Scenario};

use common::rows::{Judge, Row, Rows};
use common::{Stdio, coe, embedded, native, root, run_coe};

/// `coe test`: an expectation or a golden differs.
const FAILED: i32 = 123;

/// How a golden's difference begins; everything else that `coe test` says
/// beside a failed scenario is an expectation.
const ABOUT_GOLDENS: [&str; 2] = [".golden differs: ", ".golden yet; look at the run"];

#[test]
fn each_row_is_complete() {
    Rows::complete();
}

#[test]
fn the_page_is_what_the_rows_say() {
    let path = root().join("docs/task-model.md");
    let page = table::page(&Rows::read());
    if std::env::var_os("COE_BLESS_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, &page).expect("the page can be written");
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    let line = stands.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        stands == page,
        "docs/task-model.md is not what docs/rows say, first at {line:?}; \
         COE_BLESS_DOCS=1 cargo test -p coe --test task_model writes it again"
    );
}

#[test]
fn each_fault_breaks_its_row() {
    let rows = Rows::complete().rows;
    let scenarios: BTreeSet<&str> = rows.iter().map(|row| row.scenario.as_str()).collect();
    let sound = run_coe(test_command().args(&scenarios));
    let said = String::from_utf8_lossy(&sound.output).into_owned();
    assert_eq!(sound.status, 0, "without any fault:\n{said}");
    let survivors = each(&rows, |row| {
        let outcome = run_coe(
            test_command()
                .arg("--kernel-option")
                .arg(format!("mutant={}", row.mutant))
                .arg(&row.scenario),
        );
        complain_about_fault(
            row,
            outcome.status,
            &String::from_utf8_lossy(&outcome.output),
        )
    });
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

/// Why this run with the row's fault proves nothing, if it does not.
fn complain_about_fault(row: &Row, status: i32, said: &str) -> Option<String> {
    let expectations = said
        .lines()
        .filter(|line| line.starts_with("        ") && !line.starts_with("         "))
        .filter(|line| !ABOUT_GOLDENS.iter().any(|words| line.contains(words)))
        .filter(|line| !line.trim_start().starts_with("if this is meant: "));
    let what = if said.contains("the kernel panicked") {
        "brings the kernel down, which breaks everything and so proves nothing"
    } else if status == FAILED && expectations.count() > 0 {
        return None;
    } else {
        "does not break what the scenario expects"
    };
    Some(format!(
        "{}: mutant `{}` {what}:\n{said}",
        row.place(),
        row.mutant
    ))
}

#[test]
fn linux_says_the_same() {
    let rows = Rows::complete().rows;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let different = each(&rows, |row| {
        let Some(Judge::Linux(program, args)) = row.judge() else {
            return None;
        };
        if row.root && !is_root {
            eprintln!("skipped, since only root may: {}", row.place());
            return None;
        }
        differs_from_linux(row, program, args)
    });
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn differs_from_linux(row: &Row, program: &str, args: &[String]) -> Option<String> {
    let scenario = row.load();
    let stdio = match scenario.stdio {
        scenario::Stdio::Pipe => Stdio::Pipe,
        scenario::Stdio::Tty => Stdio::Tty,
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let typed = typed(&scenario);
    let linux = native(&embedded(program), &args, stdio, &typed);
    let guest = run_coe(
        coe()
            .args(["run", "--quiet", "--kernel"])
            .arg(&*KERNEL)
            .arg(row.path()),
    );
    (guest != linux).then(|| format!("{}:\nguest: {guest:?}Linux: {linux:?}", row.place()))
}

/// What the scenario types, without its times.
fn typed(scenario: &Scenario) -> Vec<u8> {
    let texts = scenario.input.iter().map(|typed| typed.text.as_bytes());
    texts.collect::<Vec<_>>().concat()
}

/// `coe test` on the kernel that can have faults.
fn test_command() -> Command {
    let mut command = coe();
    command
        .current_dir(root())
        .arg("test")
        .arg("--kernel")
        .arg(&*KERNEL);
    command
}

/// Does this with every row, as many at a time as there are CPUs; what it
/// complains about, in the order of the rows.
fn each(rows: &[Row], work: impl Fn(&Row) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut complaints = Vec::new();
        while let Some((at, row)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            rows.get(at).map(|row| (at, row))
        } {
            complaints.extend(work(row).map(|complaint| (at, complaint)));
        }
        complaints
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut complaints: Vec<(usize, String)> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let ended = running
            .into_iter()
            .map(|one| one.join().expect("a worker ends"));
        ended.flatten().collect()
    });
    complaints.sort();
    complaints
        .into_iter()
        .map(|(_, complaint)| complaint)
        .collect()
}

/// The kernel with its test switches.
static KERNEL: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::var_os("COE_MUTANTS_KERNEL").map_or_else(build_kernel, PathBuf::from)
});

/// Builds it as coe's build script builds the ordinary one, but in a hurry.
fn build_kernel() -> PathBuf {
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
    common::succeed(&mut cargo);
    folder.join(TARGET).join("guest/kernel")
}
