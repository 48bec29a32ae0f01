//! Principle 1: the same scenario gives the same bytes, whoever runs it.
//!
//! A trace holds every event with its cycle and a digest of the whole machine
//! at regular intervals and at the end, so equal traces mean equal machines at
//! each of those points. The traces of a debug build, an optimised build and an
//! aarch64 build (under qemu-user) of coe are compared byte for byte.

use std::path::{Path, PathBuf};
use std::process::Command;

mod common;

/// Scenarios that between them fork, copy pages, share descriptors, run threads
/// and are preempted; small, since the aarch64 build is itself emulated.
const SCENARIOS: [&str; 3] = ["cow-fork", "threads", "busy-two"];

/// The profile of the other builds: without a debug build's checks, optimised
/// otherwise than the build under test, and built soon.
const PROFILE: &str = "judge";
const SETTINGS: [&str; 6] = [
    "inherits='release'",
    "opt-level=1",
    "lto=false",
    "debug=false",
    "codegen-units=16",
    "incremental=false",
];

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

    /// An optimised build in the target folder of the build under test, for
    /// the host unless a triple is given.
    fn judge(
        name: &'static str,
        triple: Option<&'static str>,
        runner: Option<&'static str>,
    ) -> Self {
        let target_dir = target_dir();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--locked", "-p", "coe"])
            .args(["--profile", PROFILE, "--target-dir"])
            .arg(&target_dir)
            .current_dir(common::root());
        for setting in SETTINGS {
            cargo.args(["--config", &format!("profile.{PROFILE}.{setting}")]);
        }
        if let Some(triple) = triple {
            cargo.args(["--target", triple]);
        }
        common::succeed(&mut cargo);
        let folder = target_dir.join(triple.unwrap_or_default()).join(PROFILE);
        Build {
            name,
            coe: folder.join("coe"),
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
        Build::judge("optimised", None, None),
        Build::judge(
            "aarch64",
            Some("aarch64-unknown-linux-musl"),
            Some("qemu-aarch64-static"),
        ),
    ];
    for scenario in SCENARIOS {
        assert_same(scenario, &builds);
    }
}
