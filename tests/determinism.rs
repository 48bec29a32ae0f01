//! Principle 1: the same scenario gives the same bytes, whoever runs it.
//!
//! A trace holds every event with its cycle and a digest of the whole machine
//! at regular intervals and at the end, so equal traces mean equal machines at
//! each of those points. Two builds of coe are compared byte for byte that share
//! as little as can be: the one under test, for this host and with the checks of
//! a debug build, and one for aarch64 (under qemu-user), without those checks and
//! optimised otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

mod common;

/// Scenarios that between them fork, copy pages, share descriptors, run threads
/// and are preempted; small, since the aarch64 build is itself emulated.
const SCENARIOS: [&str; 3] = ["cow-fork", "threads", "busy-two"];

/// What the other build is built with, beside its architecture. The profile has
/// the name of the build under test, so that cargo finds the procedural macros
/// that it has built already; crates that are not ours compute little of a run,
/// but for what every byte of a trace or a digest goes through.
const SETTINGS: [&str; 11] = [
    "opt-level=1",
    "debug=false",
    "debug-assertions=false",
    "overflow-checks=false",
    "codegen-units=16",
    "incremental=false",
    "package.'*'.opt-level=0",
    // With handlers called from a loop.
    "package.threaded.opt-level=1",
    "package.xxhash-rust.opt-level=3",
    "package.lz4_flex.opt-level=3",
    "package.crc32c.opt-level=3",
];
const TRIPLE: &str = "aarch64-unknown-linux-musl";

/// One build of coe and how to start it.
struct Build {
    name: &'static str,
    coe: PathBuf,
    runner: Option<&'static str>,
}

impl Build {
    /// The build under test: with debug assertions and overflow checks.
    fn under_test() -> Self {
        Build {
            name: "tested",
            coe: PathBuf::from(env!("CARGO_BIN_EXE_coe")),
            runner: None,
        }
    }

    /// The other one, in the target folder of the build under test.
    fn aarch64() -> Self {
        let target_dir = target_dir();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--locked", "-p", "coe"])
            .args(["--target", TRIPLE, "--target-dir"])
            .arg(&target_dir)
            .current_dir(common::root());
        for setting in SETTINGS {
            cargo.args(["--config", &format!("profile.dev.{setting}")]);
        }
        common::succeed(&mut cargo);
        Build {
            name: "aarch64",
            coe: target_dir.join(TRIPLE).join("debug/coe"),
            runner: Some("qemu-aarch64-static"),
        }
    }

    /// The bytes of the trace that this build records of a scenario.
    fn record(&self, scenario: &str, dir: &Path) -> Vec<u8> {
        let trace = dir.join(format!("{}-{scenario}.coe", self.name));
        let mut command = match self.runner {
            Some(runner) => {
                let mut command = Command::new(runner);
                command.arg(&self.coe);
                command
            }
            None => Command::new(&self.coe),
        };
        let output = command
            .arg("record")
            .arg(format!("scenarios/seeds/{scenario}.toml"))
            .arg("-o")
            .arg(&trace)
            .current_dir(common::root())
            .output()
            .expect("coe starts");
        assert!(
            output.status.success(),
            "{} coe record {scenario}: {}\n{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::read(&trace).expect("the trace was written")
    }
}

/// The target folder of the build under test.
fn target_dir() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent()
        .expect("cargo's temporary folder lies in the target folder")
        .to_owned()
}

fn assert_same(scenario: &str, builds: &[Build]) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let first = builds[0].record(scenario, dir.path());
    let again = builds[0].record(scenario, dir.path());
    assert!(
        first == again,
        "{scenario}: two runs of the {} build differ",
        builds[0].name
    );
    for other in &builds[1..] {
        let trace = other.record(scenario, dir.path());
        assert!(
            first == trace,
            "{scenario}: the trace of the {} build differs from that of the {} build",
            other.name,
            builds[0].name
        );
    }
}

#[test]
fn one_trace_over_runs_builds_and_hosts() {
    if !common::has("qemu-aarch64-static", "qemu-user-static") {
        return;
    }
    let builds = [Build::under_test(), Build::aarch64()];
    for scenario in SCENARIOS {
        assert_same(scenario, &builds);
    }
}
