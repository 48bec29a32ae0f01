//! The disk: the same kernel and the same image on a computer that we did not
//! write, and a trace that has all of it inside.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{coe, has, root, run_coe, wait};

fn scenario(name: &str) -> std::path::PathBuf {
    root().join("scenarios/disk").join(name)
}

/// Runs a scenario on coe and on QEMU's `microvm`: the console says the same,
/// and the same bytes are on the disk afterwards.
fn judge(name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = folder.path().join("ours.img");
    let console = run_coe(
        coe()
            .args(["run", "--quiet", "--disk-out"])
            .arg(&ours)
            .arg(scenario(name)),
    );
    let images = folder.path().join("images");
    let wrote = run_coe(
        coe()
            .arg("images")
            .arg("--out")
            .arg(&images)
            .arg(scenario(name)),
    );
    assert_eq!(wrote.status, 0, "coe images {name}");
    let theirs = folder.path().join("console");
    let mut qemu = Command::new(images.join("run-qemu.sh"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&theirs).expect("a file for the console"))
        .spawn()
        .expect("QEMU starts");
    let status = wait(&mut qemu, "QEMU");
    assert_eq!(status.code(), Some(console.status), "{name}");
    let read = |path: &Path| fs::read(path).expect("what was written");
    assert_eq!(
        read(&theirs).escape_ascii().to_string(),
        console.output.escape_ascii().to_string(),
        "{name}"
    );
    assert!(
        read(&ours) == read(&images.join("disk.img")),
        "{name}: other bytes are on QEMU's disk"
    );
}

#[test]
fn the_disk_is_the_same_on_qemu() {
    if !has("qemu-system-x86_64", "qemu-system-x86") {
        return;
    }
    for name in ["rw.toml", "age.toml", "last-close.toml", "sync.toml"] {
        judge(name);
    }
}

#[test]
fn a_trace_has_the_disk_inside_and_the_image_stays_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("hello.img");
    let before = fs::read(scenario("hello.img")).expect("the image");
    fs::write(&image, &before).expect("a copy of it");
    let here = folder.path().join("rw.toml");
    fs::copy(scenario("rw.toml"), &here).expect("a copy of the scenario");
    let traces = ["one.coe", "two.coe"].map(|name| folder.path().join(name));
    for trace in &traces {
        let recorded = run_coe(coe().arg("record").arg(&here).arg("-o").arg(trace));
        assert_eq!(recorded.status, 0);
    }
    assert!(fs::read(&image).expect("the image") == before);
    let [one, two] = traces.map(|trace| fs::read(trace).expect("a trace"));
    assert!(one == two, "recording twice gives the same bytes");
    fs::remove_file(&image).expect("the image goes");
    fs::remove_file(&here).expect("the scenario goes");
    let replayed = run_coe(
        coe()
            .args(["replay", "--quiet"])
            .arg(folder.path().join("one.coe")),
    );
    assert_eq!(replayed.status, 0);
}
