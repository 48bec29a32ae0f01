//! The same kernel ELF on a computer that we did not write: every scenario
//! under `scenarios/seeds` says the same on QEMU's console as on coe's.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{coe, has, root, run_coe, wait};

#[test]
fn every_seed_scenario_says_the_same_on_qemu() {
    if !has("qemu-system-x86_64", "qemu-system-x86") {
        return;
    }
    let scenarios = seeds(&root().join("scenarios/seeds"));
    assert!(!scenarios.is_empty(), "there are no scenarios to judge");
    let failures: Vec<String> = scenarios
        .iter()
        .filter_map(|path| judge(path).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn seeds(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    found.sort();
    found
}

fn judge(scenario: &Path) -> Result<(), String> {
    let ours = run_coe(coe().args(["run", "--quiet"]).arg(scenario));
    let images = tempfile::tempdir().expect("a folder for the images");
    let wrote = run_coe(
        coe()
            .arg("images")
            .arg("--out")
            .arg(images.path())
            .arg(scenario),
    );
    assert_eq!(wrote.status, 0, "coe images {}", scenario.display());

    let console = images.path().join("console");
    let mut qemu = Command::new(images.path().join("run-qemu.sh"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&console).expect("a file for the console"))
        .spawn()
        .expect("QEMU starts");
    let status = wait(&mut qemu, "QEMU");
    let theirs = fs::read(&console).expect("the console");

    // Seven bits of the status survive QEMU's debug exit.
    let same_status = status
        .code()
        .is_some_and(|code| code & 0x7F == ours.status & 0x7F);
    if theirs == ours.output && same_status {
        return Ok(());
    }
    Err(format!(
        "{}:\ncoe: {ours:?}QEMU: {status}\n{}",
        scenario.display(),
        theirs.escape_ascii()
    ))
}
