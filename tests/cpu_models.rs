//! The models of the CPU as a program sees them: what CPUID announces runs, and what it does not
//! announce is an illegal instruction.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{has, root, run_coe, succeed};
use tempfile::TempDir;

/// `tests/c/cpu_models.c` as a static program; none if there is no compiler.
fn program(folder: &TempDir) -> Option<PathBuf> {
    if !has("gcc", "gcc (and libc6-dev)") {
        return None;
    }
    let path = folder.path().join("cpu_models");
    let source = root().join("tests/c/cpu_models.c");
    succeed(
        Command::new("gcc")
            .args(["-O1", "-Wall", "-Werror", "-static", "-o"])
            .args([&path, &source]),
    );
    Some(path)
}

/// What the program writes on this model.
fn lines(program: &Path, options: &[&str], args: &[&str]) -> Vec<String> {
    let mut command = common::coe();
    command.args(["run", "--quiet", "--stdio", "pipe"]);
    command.args(options).arg(program).args(args);
    let outcome = run_coe(&mut command);
    assert_eq!(outcome.status, 0, "{options:?}");
    let output = String::from_utf8(outcome.output).expect("text");
    output.lines().map(str::to_owned).collect()
}

/// The sets that are announced and run; there may be none that is only one of both.
fn sets(program: &Path, model: &str) -> Vec<String> {
    let lines = lines(program, &["--cpu", model], &[]);
    let half = |line: &&String| line.contains(": only");
    assert_eq!(lines.iter().find(half), None, "{model}");
    let name = |line: &String| line.strip_suffix(": announced").map(str::to_owned);
    lines.iter().filter_map(name).collect()
}

const V2: [&str; 7] = [
    "sse3", "ssse3", "cx16", "sse4.1", "sse4.2", "popcnt", "lahf",
];

/// What the third model must have on top; the sets that other changes complete join by themselves.
const V3: &str =
    "fma f16c pclmulqdq movbe aes osxsave avx rdrand bmi1 avx2 bmi2 rdseed adx sha lzcnt tzcnt";

#[test]
fn what_is_announced_runs_and_nothing_else_does() {
    let folder = tempfile::tempdir().expect("a folder for the program");
    let Some(program) = program(&folder) else {
        return;
    };
    assert_eq!(sets(&program, "v1"), [""; 0]);
    assert_eq!(sets(&program, "v2"), V2);
    let third = sets(&program, "v3");
    for name in V2.into_iter().chain(V3.split(' ')) {
        assert!(third.iter().any(|set| set == name), "{name}: {third:?}");
    }
}

/// RDRAND and RDSEED draw from the seed: another seed, other numbers.
#[test]
fn random_numbers_belong_to_the_seed() {
    let folder = tempfile::tempdir().expect("a folder for the program");
    let Some(program) = program(&folder) else {
        return;
    };
    let numbers = |seed| lines(&program, &["--cpu", "v3", "--seed", seed], &["numbers"]);
    let first = numbers("1");
    assert_eq!(first, numbers("1"));
    assert_ne!(first, numbers("2"));
    // No zero, which is what the program writes if there was no number.
    let line = first.concat();
    assert!(line.split(' ').all(|number| number != "0"), "{line}");
}

/// The trace's header names the CPU: a replay on another one would not come to the same digests.
#[test]
fn a_recording_is_replayed_on_its_own_cpu() {
    let folder = tempfile::tempdir().expect("a folder for the program");
    let Some(program) = program(&folder) else {
        return;
    };
    let trace = folder.path().join("v3.coe");
    let options = ["record", "--quiet", "--cpu", "v3", "-o"];
    succeed(common::coe().args(options).args([&trace, &program]));
    succeed(common::coe().arg("replay").arg(&trace));
}
