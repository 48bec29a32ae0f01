//! Principle 1: the same scenario gives the same bytes, whoever runs it.
//!
//! A trace holds every event with its cycle and a digest of the whole machine
//! at regular intervals and at the end, so equal traces mean equal machines at
//! each of those points. The traces of a debug build, a release build and an
//! aarch64 build (under qemu-user) of coe are compared byte for byte.

use std::path::{Path, PathBuf};
use std::process::Command;

mod common;

/// Scenarios that between them fork, copy pages, share descriptors, run threads
/// and are preempted; small, since the aarch64 build is itself emulated.
const SCENARIOS: [&str; 3] = ["cow-fork", "threads", "busy-two"];

/// One build of coe and how to start it.
struct Build {
    name: &'static str,
    coe: PathBuf,
    runner: Option<&'static str>,
}

impl Build {
    /// The build under test: with debug assertions and overflow checks.
    fn debug() -> Self {
        Build {
            name: "debug",
            coe: PathBuf::from(env!("CARGO_BIN_EXE_coe")),
            runner: None,
        }
    }

    /// An optimised build, in the target folder that `cargo run --release` uses too.
    fn release(
        name: &'static str,
        args: &[&str],
        under: &str,
        runner: Option<&'static str>,
    ) -> Self {
        let target_dir = target_dir();
        common::succeed(
            Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "--release", "-p", "coe"])
                .args(args)
                .arg("--target-dir")
                .arg(&target_dir)
                .current_dir(common::root()),
        );
        Build {
            name,
            coe: target_dir.join(under).join("coe"),
            runner,
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
    let builds = [
        Build::debug(),
        Build::release("release", &[], "release", None),
        Build::release(
            "aarch64",
            &["--target", "aarch64-unknown-linux-musl"],
            "aarch64-unknown-linux-musl/release",
            Some("qemu-aarch64-static"),
        ),
    ];
    for scenario in SCENARIOS {
        assert_same(scenario, &builds);
    }
}
