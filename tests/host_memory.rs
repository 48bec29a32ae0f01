//! What a machine costs the host: a guest of 64 MiB that touches 8 of them takes
//! less than 40 MiB in all, coe itself and what its engines keep included.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The limit, in KiB.
const ALL: u64 = 40 << 10;

/// What of it may be allocated; the rest is coe's file and the host's libraries as
/// far as they are in use. Of an optimised coe that is less than 15 MiB, of one
/// for tests more.
const ALLOCATED: u64 = 25 << 10;

/// Writes to 8 MiB, forks, and ends.
const SCENARIO: &str = r#"
title = "Eight mebibytes"
program = { run = "fork-64m", args = ["8"] }
machine = { memory = "64MiB" }

[expect]
stdout = ["8 MiB forked; the child exited with 0; memory kept: true"]
"#;

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    /// The most that it has had of all.
    peak: u64,
    /// What it has allocated.
    allocated: u64,
}

/// None once the process has ended.
fn memory(child: &Child) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let figure = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    Some(Memory {
        peak: figure("VmHWM:")?,
        allocated: figure("RssAnon:")?,
    })
}

/// On every engine: the compiler's is the largest, and what people get.
#[test]
fn eight_of_64_mebibytes_cost_less_than_40() {
    for engine in ["reference", "threaded", "auto"] {
        let most = most(engine);
        println!("{engine}: at most, in KiB: {most:?}");
        assert!(
            most.allocated > 8 << 10,
            "{engine}: {most:?} cannot be right"
        );
        assert!(most.allocated < ALLOCATED, "{engine}: {most:?}");
        assert!(
            cfg!(debug_assertions) || most.peak < ALL,
            "{engine}: {most:?}"
        );
    }
}

/// What the scenario costs on this engine.
fn most(engine: &str) -> Memory {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = folder.path().join("eight.toml");
    fs::write(&scenario, SCENARIO).expect("the scenario can be written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_coe"))
        .args(["run", "--engine", engine])
        .arg(&scenario)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("coe starts");
    let mut most = Memory::default();
    let status = loop {
        // Both only grow once the images are loaded, so what is missed is what
        // the last moment added.
        let now = memory(&child).unwrap_or_default();
        most.peak = most.peak.max(now.peak);
        most.allocated = most.allocated.max(now.allocated);
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "{status}");
    most
}
