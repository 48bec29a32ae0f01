//! The system half of the CPU on a computer that we did not write: the program
//! in `tests/bare_metal` says the same on QEMU as on coe, one line a case, but
//! for the lines in `differs.toml`, each with the manual's word on who is right.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde::Deserialize;
use tempfile::TempDir;

use common::{coe, has, root, run_coe, succeed, wait};

/// Cases on which the two are known to differ.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Differs {
    #[serde(default)]
    line: Vec<Difference>,
}

/// One such case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// The line up to its last colon. A `*` stands for anything, also below.
    case: String,
    /// What follows there on coe.
    coe: String,
    /// What follows there on QEMU.
    qemu: String,
    /// Who says that coe is right: volume and section of the manual.
    #[allow(dead_code, reason = "it is there for the reader")]
    manual: String,
}

/// Whether a text is of this form: `*` stands for anything.
fn matches(form: &str, text: &str) -> bool {
    match form.split_once('*') {
        None => form == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            let mut cuts = (0..=tail.len()).filter(|&at| tail.is_char_boundary(at));
            cuts.any(|at| matches(rest, &tail[at..]))
        }),
    }
}

static DIFFERS: LazyLock<Vec<Difference>> = LazyLock::new(|| {
    let path = folder().join("differs.toml");
    let text = fs::read_to_string(&path).expect("the list of differences");
    let differs: Differs = toml::from_str(&text).expect("differs.toml is in order");
    differs.line
});

/// The program, made once for all tests.
static PROGRAM: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let out = tempfile::tempdir().expect("a folder for the program");
    let program = out.path().join("bare");
    let mut sources: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the program's sources")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "c" || e == "S"))
        .collect();
    sources.sort();
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"])
        .args(["-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone"])
        .args(["-mgeneral-regs-only", "-fno-stack-protector"])
        .args(["-fcf-protection=none", "-nostdlib", "-static"])
        .args(["-Wl,--build-id=none", "-Wl,-z,noexecstack"])
        .arg("-Wl,--no-warn-rwx-segments")
        .arg(format!("-Wl,-T,{}", folder().join("link.ld").display()))
        .arg("-o")
        .arg(&program)
        .args(sources);
    succeed(&mut gcc);
    (out, program)
});

fn folder() -> PathBuf {
    root().join("tests/bare_metal")
}

/// Runs one family of cases on both and compares line by line.
fn judge(family: &str) {
    if !has("qemu-system-x86_64", "qemu-system-x86") || !has("gcc", "gcc") {
        return;
    }
    let ours = on_coe(&PROGRAM.1, family);
    let theirs = on_qemu(&PROGRAM.1, family);
    let mut wrong = compare(&ours, &theirs);
    let (ours, theirs) = (ours.lines().count(), theirs.lines().count());
    if ours != theirs {
        wrong.push(format!("coe says {ours} lines, QEMU {theirs}"));
    }
    assert!(wrong.is_empty(), "{family}:\n{}", wrong.join("\n"));
    println!("{family}: {ours} lines");
}

fn on_coe(program: &Path, family: &str) -> String {
    let mut boot = coe();
    boot.args([
        "boot",
        "--quiet",
        "--cycles",
        "2000000000",
        "--append",
        family,
    ])
    .arg(program);
    let ran = run_coe(&mut boot);
    text(ran.output)
}

fn on_qemu(program: &Path, family: &str) -> String {
    let out = tempfile::tempdir().expect("a folder for the console");
    let console = out.path().join("console");
    let mut qemu = Command::new("qemu-system-x86_64")
        .args([
            "-machine", "pc", "-cpu", "max", "-m", "64M", "-append", family,
        ])
        .args(["-display", "none", "-monitor", "none", "-no-reboot"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-kernel")
        .arg(program)
        .stdin(Stdio::null())
        .spawn()
        .expect("QEMU starts");
    wait(&mut qemu, "QEMU");
    text(fs::read(&console).expect("the console"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the program writes ASCII")
}

/// What is wrong: lines that differ and are not listed, or not as they are
/// listed, and what is listed and does not differ.
fn compare(ours: &str, theirs: &str) -> Vec<String> {
    let lines: Vec<(&str, &str)> = ours.lines().zip(theirs.lines()).collect();
    let unlisted = lines
        .iter()
        .filter_map(|(our, their)| complaint(our, their))
        .take(20);
    let stale = DIFFERS.iter().filter(|line| {
        let mut about = lines
            .iter()
            .filter(|(our, _)| matches(&line.case, split(our).0))
            .peekable();
        about.peek().is_some() && about.all(|(our, their)| our == their)
    });
    let stale = stale.map(|line| format!("listed, but equal: {}", line.case));
    unlisted.chain(stale).collect()
}

/// A line's case and what became of it.
fn split(line: &str) -> (&str, &str) {
    line.rsplit_once(": ").unwrap_or((line, ""))
}

fn complaint(our: &str, their: &str) -> Option<String> {
    if our == their {
        return None;
    }
    let ((case, ours), (other, theirs)) = (split(our), split(their));
    let is_listed = |line: &&Difference| {
        let answers = matches(&line.coe, ours) && matches(&line.qemu, theirs);
        matches(&line.case, case) && answers
    };
    let listed = case == other && DIFFERS.iter().any(|line| is_listed(&line));
    (!listed).then(|| format!("coe:  {our}\nQEMU: {their}"))
}

#[test]
fn pages() {
    judge("paging");
}

#[test]
fn faults() {
    judge("faults");
}

#[test]
fn segments() {
    judge("segments");
}

#[test]
fn debugging() {
    judge("debug");
}

#[test]
fn interrupts() {
    judge("interrupts");
}

#[test]
fn modes() {
    judge("modes");
}

#[test]
fn control_registers() {
    judge("control");
}

/// Both stop there: coe by name, QEMU by the reset that `-no-reboot` turns into its end.
#[test]
fn a_triple_fault() {
    judge("triple");
}

#[test]
fn a_star_in_the_list_stands_for_anything() {
    assert!(matches("* level=0 *", "PDE with bit 51 level=0 read"));
    assert!(!matches("* level=0 *", "PDE with bit 51 level=3 read"));
    assert!(matches("done", "done") && !matches("done", "done "));
}
