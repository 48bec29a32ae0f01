//! A kernel and programs of one's own: `--kernel`, `--programs`, `--kernel-option`
//! and a scenario's `[kernel] options`.

use std::fs;
use std::process::Output;

mod common;
mod tiny;

use common::{coe, embedded};

fn run(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = coe().args(args).output().expect("coe starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().expect("it exits"), text(stdout), text(stderr))
}

#[test]
fn a_kernel_of_ones_own_runs_instead() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("kernel");
    fs::write(&kernel, tiny::kernel(tiny::EXIT)).unwrap();
    let (_, stdout, stderr) = run(&["run", "--kernel", kernel.to_str().unwrap(), "hello"]);
    assert_eq!(stdout, "hi", "{stderr}");
}

#[test]
fn what_is_no_kernel_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("kernel");
    fs::write(&kernel, "no ELF").unwrap();
    let kernel = kernel.to_str().unwrap();
    assert_eq!(run(&["run", "--kernel", kernel, "hello"]).0, 126);
    assert_eq!(run(&["run", "--kernel", "/no/such", "hello"]).0, 127);
}

#[test]
fn programs_of_ones_own_come_before_embedded_ones() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(embedded("exit-code"), folder.path().join("hello")).unwrap();
    fs::copy(embedded("exit-code"), folder.path().join("mine")).unwrap();
    let programs = folder.path().to_str().unwrap();
    for name in ["hello", "mine"] {
        let (status, _, stderr) = run(&["run", "--programs", programs, name, "7"]);
        assert_eq!(status, 7, "{stderr}");
    }
    assert_eq!(
        run(&["run", "--programs", "/no/such/folder", "hello"]).0,
        127
    );
    assert_eq!(run(&["run", "mine"]).0, 127);
}

#[test]
fn an_option_that_the_kernel_does_not_know_ends_it_with_its_name() {
    let (status, stdout, stderr) = run(&["run", "--kernel-option", "no_such=thing", "hello"]);
    assert_eq!(status, 121, "{stdout}{stderr}");
    let said = format!("{stdout}{stderr}");
    assert!(said.contains("unknown word: no_such=thing"), "{said}");
    // An ordinary kernel has no deliberate faults.
    assert_eq!(run(&["run", "--kernel-option", "mutant=x", "hello"]).0, 121);
    assert_eq!(run(&["run", "--kernel-option", "a b", "hello"]).0, 125);
}

#[test]
fn a_scenarios_kernel_options_are_checked_where_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let scenario = |option: &str| {
        let text =
            format!("title = \"t\"\nprogram = \"hello\"\n[kernel]\noptions = [\"{option}\"]\n");
        fs::write(&path, text).unwrap();
        run(&["run", path.to_str().unwrap()])
    };
    assert_eq!(scenario("clone_stopped=on").0, 0);
    let (status, _, stderr) = scenario("clone_stoped=on");
    assert_eq!(status, 126);
    assert!(stderr.contains("x.toml:4:12"), "{stderr}");
    assert!(stderr.contains("clone_stopped=on|off"), "{stderr}");
    assert_eq!(scenario("mutant=x").0, 126);
}
