//! The command line as a whole: bad input with its message and exit code,
//! recording, replaying and damaged traces.

mod common;
mod tiny;

use std::fs;
use std::path::Path;

use coe::engine::Kind;
use coe::images::{Chooser, Setup};
use coe::replay::{self, ReplayError};
use coe::run;
use coe::scenario::Hardware;
use coe::trace::{Item, Record, Trace, Writer};
use machine::Input;

use common::{coe_in, folder, write};

/// Runs `coe` and wants this exit code, these words on stderr, and no panic of its own.
fn complains(folder: &Path, args: &[&str], code: i32, words: &[&str]) -> String {
    let output = coe_in(folder, args);
    let said = String::from_utf8(output.stderr).expect("stderr is text");
    assert_eq!(output.status.code(), Some(code), "coe {args:?}: {said}");
    for word in words {
        assert!(
            said.contains(word),
            "coe {args:?} does not say {word:?}:\n{said}"
        );
    }
    assert!(!said.contains("panicked at"), "coe {args:?}: {said}");
    said
}

fn scenario(program: &str, lines: &str) -> String {
    format!("title = \"A test\"\nprogram = \"{program}\"\n{lines}\n")
}

#[test]
fn a_wrong_key_is_shown_at_its_place() {
    let folder = folder();
    write(
        &folder,
        "s.toml",
        scenario("hello", "machin = { memory = \"64MiB\" }"),
    );
    let said = complains(
        folder.path(),
        &["run", "s.toml"],
        126,
        &[
            "unknown key `machin`",
            "s.toml:3:1",
            "did you mean `machine`?",
        ],
    );
    assert!(
        said.contains("machin = { memory"),
        "the line itself is shown:\n{said}"
    );
}

#[test]
fn broken_toml_is_shown_at_its_place() {
    let folder = folder();
    write(&folder, "s.toml", "title = \"x\"\nprogram = [\n");
    complains(
        folder.path(),
        &["run", "s.toml"],
        126,
        &["this is not TOML", "s.toml:"],
    );
    write(&folder, "binary.toml", [0xFF, 0xFE]);
    complains(
        folder.path(),
        &["run", "binary.toml"],
        126,
        &["is not text"],
    );
}

#[test]
fn what_is_missing_is_said() {
    let folder = folder();
    complains(
        folder.path(),
        &["run", "none.toml"],
        127,
        &["there is no file none.toml"],
    );
    complains(
        folder.path(),
        &["run", "./none"],
        127,
        &["there is no file ./none"],
    );
    complains(
        folder.path(),
        &["run", "cow-frok"],
        127,
        &["no embedded program `cow-frok`", "did you mean `cow-fork`?"],
    );
    write(&folder, "prog", "");
    complains(folder.path(), &["run", "prog"], 127, &["write ./prog"]);
    write(&folder, "s.toml", scenario("./gone", ""));
    complains(
        folder.path(),
        &["run", "s.toml"],
        127,
        &["there is no file", "gone", "s.toml:2:11"],
    );
    complains(
        folder.path(),
        &["run", "--with", "gone.txt", "hello"],
        127,
        &["gone.txt"],
    );
    complains(
        folder.path(),
        &["test", "nowhere"],
        127,
        &["there is no file nowhere"],
    );
    complains(
        folder.path(),
        &["test", "--filter", "zzz", "."],
        127,
        &["no scenario"],
    );
}

#[test]
fn programs_that_cannot_run_say_what_to_do() {
    let folder = folder();
    let (_, hello) = coe::embedded::PROGRAMS
        .iter()
        .find(|(name, _)| *name == "hello")
        .expect("hello is embedded");
    write(&folder, "cut", &hello[..hello.len() / 2]);
    complains(
        folder.path(),
        &["run", "./cut"],
        126,
        &["is cut off", "copy or build the file again"],
    );
    let mut arm = hello.to_vec();
    arm[18] = 183;
    write(&folder, "arm", arm);
    complains(
        folder.path(),
        &["run", "./arm"],
        126,
        &["AArch64", "x86-64"],
    );
    write(&folder, "script", "#!/bin/sh\necho\n");
    complains(folder.path(), &["run", "./script"], 126, &["is a script"]);
    // The test itself is a program that is linked dynamically, if anything is.
    let own = std::env::current_exe().expect("the test's own path");
    let dynamic = fs::read(&own)
        .expect("the test's own bytes")
        .windows(9)
        .any(|w| w == b"/ld-linux");
    if dynamic {
        let own = own.to_str().expect("a path that is text");
        complains(
            folder.path(),
            &["run", own],
            126,
            &["linked dynamically", "link it statically"],
        );
        write(&folder, "s.toml", scenario(own, ""));
        complains(
            folder.path(),
            &["run", "s.toml"],
            126,
            &["linked dynamically", "s.toml:2:11"],
        );
    }
}

#[test]
fn memory_has_its_limits() {
    let folder = folder();
    write(
        &folder,
        "s.toml",
        scenario("hello", "[machine]\nmemory = \"8MiB\""),
    );
    complains(
        folder.path(),
        &["run", "s.toml"],
        126,
        &[
            "`memory` cannot be \"8MiB\"",
            "at least 16MiB",
            "s.toml:4:10",
        ],
    );
    complains(
        folder.path(),
        &["run", "--memory", "8MiB", "hello"],
        126,
        &["too small"],
    );
    complains(
        folder.path(),
        &["run", "--memory", "64", "hello"],
        126,
        &["expected"],
    );
}

#[test]
fn wrong_usage_has_its_own_code() {
    let folder = folder();
    complains(folder.path(), &[], 125, &["Usage"]);
    complains(folder.path(), &["fly"], 125, &["fly"]);
    complains(folder.path(), &["run"], 125, &["SCENARIO|PROGRAM"]);
    complains(folder.path(), &["run", "--with"], 125, &["--with"]);
    complains(
        folder.path(),
        &["run", "--stdio", "file", "hello"],
        125,
        &["tty or pipe"],
    );
    complains(
        folder.path(),
        &["run", "--slice", "0", "hello"],
        125,
        &["--slice"],
    );
    write(&folder, "s.toml", scenario("hello", ""));
    complains(
        folder.path(),
        &["run", "--seed", "3", "s.toml"],
        125,
        &["--seed cannot be given beside a scenario"],
    );
    let help = coe_in(folder.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).expect("help is text");
    assert!(
        help.contains("Exit codes:") && help.contains("  124    the limit of cycles was reached"),
        "{help}"
    );
}

#[test]
fn kernels_that_are_none_are_refused() {
    let folder = folder();
    write(&folder, "text", "hello");
    complains(
        folder.path(),
        &["boot", "text"],
        126,
        &["the machine cannot start"],
    );
    complains(
        folder.path(),
        &["boot", "none"],
        127,
        &["there is no file none"],
    );
    let mut no_note = tiny::kernel(tiny::EXIT);
    let at = no_note
        .windows(4)
        .position(|bytes| bytes == b"Xen\0")
        .expect("a note");
    no_note[at] = b'Y';
    write(&folder, "no-note", no_note);
    complains(folder.path(), &["boot", "no-note"], 126, &["PVH"]);
}

#[test]
fn a_booted_kernel_speaks_and_exits() {
    let folder = folder();
    write(&folder, "kernel", tiny::kernel(tiny::EXIT));
    let output = coe_in(folder.path(), &["boot", "kernel"]);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(output.stdout, b"hi");
    let said = String::from_utf8(output.stderr).expect("stderr is text");
    assert!(said.contains("exit 5") && said.contains("digest"), "{said}");
    let quiet = coe_in(folder.path(), &["boot", "--quiet", "kernel"]);
    assert!(quiet.stderr.is_empty() && quiet.status.code() == Some(5));
}

#[test]
fn machines_that_stop_say_how() {
    let folder = folder();
    write(&folder, "triple", tiny::kernel(tiny::TRIPLE_FAULT));
    complains(
        folder.path(),
        &["boot", "triple"],
        120,
        &["triple fault", "0x100000"],
    );
    write(&folder, "asleep", tiny::kernel(tiny::ASLEEP));
    complains(
        folder.path(),
        &["boot", "asleep"],
        120,
        &["asleep for ever"],
    );
    write(&folder, "loop", tiny::kernel(tiny::FOREVER));
    complains(
        folder.path(),
        &["boot", "--cycles", "1000000", "loop"],
        124,
        &["limit of 1000000 cycles", "--cycles"],
    );
}

/// A run of a small kernel that echoes what is typed, with one byte typed.
fn echo() -> Setup {
    Setup {
        title: "echo".to_owned(),
        scenario: String::new(),
        hardware: Hardware::default(),
        kernel: tiny::kernel(tiny::ECHO).into(),
        initrd: None,
        cmdline: String::new(),
        disk: None,
        inputs: vec![(20_000, Input::Console(b'q'))],
        live: false,
        chooser: Chooser::Defaults,
        limit: 100_000_000,
        engine: Kind::default(),
    }
}

fn record(setup: &Setup, path: &Path) -> run::Finished {
    let mut writer = Writer::create(path, setup).expect("a trace can be started");
    let finished = run::run(setup, &mut [&mut writer]).expect("the machine boots");
    writer.finish(&finished).expect("a trace can be ended");
    finished
}

#[test]
fn recording_twice_gives_the_same_bytes_and_they_replay() {
    let folder = folder();
    let [a, b] = ["a.coe", "b.coe"].map(|name| folder.path().join(name));
    let finished = record(&echo(), &a);
    assert_eq!(finished.ending, run::Ending::Status(b'q'));
    record(&echo(), &b);
    assert_eq!(fs::read(&a).expect("a"), fs::read(&b).expect("b"));
    let trace = Trace::open(&a).expect("the trace opens");
    // This kernel is not the one in coe: only the trace has it.
    assert_ne!(*trace.kernel, *coe::embedded::KERNEL);
    let replayed = replay::replay(&trace, None, &mut []).expect("it replays");
    assert_eq!((replayed.whole, replayed.finished), (true, finished));
    let output = coe_in(folder.path(), &["replay", "a.coe"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), b"q".as_slice())
    );
}

#[test]
fn a_replay_stops_where_it_is_told() {
    let folder = folder();
    let path = folder.path().join("a.coe");
    let whole = record(&echo(), &path);
    let trace = Trace::open(&path).expect("the trace opens");
    let replayed = replay::replay(&trace, Some(10_000), &mut []).expect("it replays");
    assert!(!replayed.whole, "{replayed:?}");
    let finished = replayed.finished;
    assert!((10_000..11_000).contains(&finished.cycle), "{finished:?}");
    assert_ne!(finished.digest, whole.digest);
}

#[test]
fn one_input_moved_by_a_cycle_is_a_divergence() {
    let folder = folder();
    let path = folder.path().join("a.coe");
    record(&echo(), &path);
    for moved in [19_999, 20_001] {
        let mut trace = Trace::open(&path).expect("the trace opens");
        trace.header.inputs[0].0 = moved;
        let error = replay::replay(&trace, None, &mut []).expect_err("it cannot replay");
        let coe::Error::Replay(ReplayError::Diverged(divergence)) = error else {
            panic!("{error}")
        };
        assert!(
            divergence.digests_part.is_some() || divergence.recorded.is_some(),
            "{divergence}"
        );
        assert!(
            divergence.to_string().contains("last common event"),
            "{divergence}"
        );
    }
}

#[test]
fn another_answer_from_the_outside_names_both_events() {
    let folder = folder();
    let path = folder.path().join("a.coe");
    record(&echo(), &path);
    let mut trace = Trace::open(&path).expect("the trace opens");
    trace.header.inputs[0].1 = Input::Console(b'z');
    let error = replay::replay(&trace, None, &mut []).expect_err("it cannot replay");
    let said = error.to_string();
    assert!(
        said.contains("recorded next:") && said.contains("text=q"),
        "{said}"
    );
    assert!(
        said.contains("replayed next:") && said.contains("text=z"),
        "{said}"
    );
}

#[test]
fn another_kernel_in_the_trace_is_a_divergence() {
    let folder = folder();
    let path = folder.path().join("a.coe");
    record(&echo(), &path);
    let mut trace = Trace::open(&path).expect("the trace opens");
    trace.kernel = tiny::kernel(tiny::EXIT).into();
    let error = replay::replay(&trace, None, &mut []).expect_err("it cannot replay");
    assert_eq!(error.exit_code() as u8, 122, "{error}");
}

#[test]
fn damaged_traces_are_refused_with_what_to_do() {
    let folder = folder();
    let path = folder.path().join("a.coe");
    record(&echo(), &path);
    let good = fs::read(&path).expect("the trace");
    write(&folder, "cut.coe", &good[..good.len() - 5]);
    complains(
        folder.path(),
        &["replay", "cut.coe"],
        126,
        &["cut off", "record again"],
    );
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    write(&folder, "flipped.coe", flipped);
    complains(
        folder.path(),
        &["replay", "flipped.coe"],
        126,
        &["damaged", "checksum"],
    );
    complains(folder.path(), &["trace", "flipped.coe"], 126, &["damaged"]);
    let mut newer = good.clone();
    newer[8] = 9;
    write(&folder, "newer.coe", newer);
    complains(folder.path(), &["replay", "newer.coe"], 126, &["damaged"]);
    write(&folder, "other.coe", "hello");
    complains(
        folder.path(),
        &["replay", "other.coe"],
        126,
        &["not a trace", "coe record"],
    );
    complains(
        folder.path(),
        &["replay", "none.coe"],
        127,
        &["there is no file"],
    );
}

#[test]
fn a_cut_trace_shows_what_it_has() {
    let folder = folder();
    let path = folder.path().join("a.coe");
    record(&echo(), &path);
    let good = fs::read(&path).expect("the trace");
    write(&folder, "cut.coe", &good[..good.len() - 5]);
    let output = coe_in(folder.path(), &["trace", "cut.coe"]);
    let shown = String::from_utf8(output.stdout).expect("text");
    assert!(
        shown.contains("console text=\"q\"") && shown.contains("input text=q"),
        "{shown}"
    );
    assert_eq!(output.status.code(), Some(126));
}

#[test]
fn digests_are_taken_from_power_on_to_the_end() {
    let folder = folder();
    let path = folder.path().join("a.coe");
    let setup = Setup {
        kernel: tiny::kernel(tiny::FOREVER).into(),
        limit: 12_000_000,
        ..echo()
    };
    let finished = record(&setup, &path);
    let trace = Trace::open(&path).expect("the trace opens");
    let cycles: Vec<u64> = trace
        .items()
        .filter_map(|item| match item.expect("a whole trace") {
            Item::Record(Record::Digest { cycle, .. }) => Some(cycle / 1_000_000),
            _ => None,
        })
        .collect();
    assert_eq!(cycles, [0, 5, 10, 12]);
    assert_eq!(finished.ending, run::Ending::Limit(12_000_000));
    replay::replay(&trace, None, &mut []).expect("a run that was cut by its limit replays too");
}

#[test]
fn a_trace_is_shown_as_text_and_as_json() {
    let folder = folder();
    record(&echo(), &folder.path().join("a.coe"));
    complains(
        folder.path(),
        &["trace", "a.coe", "--event", "consol"],
        125,
        &["no event `consol`", "did you mean `console`?"],
    );
    let text = String::from_utf8(coe_in(folder.path(), &["trace", "a.coe"]).stdout).expect("text");
    assert!(text.starts_with("# echo\n"), "{text}");
    assert!(text.contains("] console text=\"q\""), "{text}");
    let json = coe_in(
        folder.path(),
        &["trace", "a.coe", "--format", "jsonl", "--event", "input"],
    )
    .stdout;
    let json = String::from_utf8(json).expect("text");
    assert_eq!(json.lines().count(), 1, "{json}");
    assert!(
        json.contains("\"event\":\"input\"") && json.contains("\"text\":\"q\""),
        "{json}"
    );
}
