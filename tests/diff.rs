//! `coe diff`: recordings, runs of today, scenarios and goldens held against
//! each other.

mod common;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use common::{coe_in, embedded, folder, root, write};

/// Runs `coe diff` in a folder: exit code, stdout and stderr.
fn diff(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = coe_in(folder, &[&["diff"], args].concat());
    let code = output.status.code().expect("coe is not killed");
    let text = |bytes| String::from_utf8(bytes).expect("coe writes text");
    (code, text(output.stdout), text(output.stderr))
}

/// What `coe diff` says in a folder, with this exit code.
fn says(folder: &TempDir, args: &[&str], code: i32) -> String {
    let (found, out, error) = diff(folder.path(), args);
    assert_eq!(found, code, "coe diff {args:?}: {out}\n{error}");
    out
}

fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

fn record(folder: &TempDir, trace: &str, what: &[&str]) {
    let output = coe_in(
        folder.path(),
        &[&["record", "-q", "-o", trace], what].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn threads(seed: u64) -> String {
    format!(
        "title = \"t\"\nprogram = {{ run = \"threads\", args = [\"3\"] }}\nmachine = {{ seed = {seed} }}\n[schedule]\npolicy = \"random\"\nslice = 5_000\n"
    )
}

#[test]
fn the_run_of_today_is_the_recorded_one_while_nothing_changes() {
    let folder = folder();
    write(&folder, "s.toml", threads(42));
    record(&folder, "t.coe", &["s.toml"]);
    let same = ["events in the same order", "phases costs the same"];
    holds(&says(&folder, &["t.coe", "--run", "--cycles"], 0), &same);
    holds(&says(&folder, &["t.coe", "s.toml", "--cycles"], 0), &same);
    // Without a scenario the trace itself tells who answered.
    let program = ["--policy", "random", "--seed", "42", "threads", "3"];
    record(&folder, "p.coe", &program);
    holds(&says(&folder, &["p.coe", "--run", "--cycles"], 0), &same);
}

#[test]
fn another_order_is_told_as_an_order() {
    let folder = folder();
    write(&folder, "a.toml", threads(42));
    write(&folder, "b.toml", threads(99));
    let text = says(&folder, &["a.toml", "b.toml"], 123);
    holds(
        &text,
        &[
            "first difference, after ",
            "from here main/2 runs before main/3 in B; in A it is the other way round",
            "they come together again with `",
            "tasks:\n",
        ],
    );
    let json = says(&folder, &["a.toml", "b.toml", "--format", "json"], 123);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let verdict = &json["places"][0]["verdict"];
    assert_eq!(
        (&verdict["kind"], &verdict["first"]),
        (&"order".into(), &"main/2".into())
    );
    assert_eq!(json["same"], false);
    assert_eq!(json["a"]["events"].as_u64().map(|n| n > 100), Some(true));
}

#[test]
fn the_recorded_order_is_followed_if_that_is_wanted() {
    let folder = folder();
    write(&folder, "s.toml", threads(42));
    record(&folder, "t.coe", &["s.toml"]);
    let args = ["t.coe", "--run", "--same-order"];
    holds(&says(&folder, &args, 0), &["in the same order"]);
    // What does not fit is said; the draw from the seed fits whatever runs.
    fs::create_dir(folder.path().join("mine")).expect("a folder");
    fs::copy(embedded("hello"), folder.path().join("mine/threads")).expect("a copy");
    let other = ["t.coe", "--run", "--programs", "mine"];
    let (code, _, error) = diff(folder.path(), &other);
    assert_eq!(
        (code, error.contains("does not fit")),
        (123, false),
        "{error}"
    );
    let (code, _, error) = diff(folder.path(), &[&other[..], &["--same-order"]].concat());
    assert_eq!(
        (code, error.contains("does not fit")),
        (123, true),
        "{error}"
    );
    let (code, _, error) = diff(folder.path(), &["t.coe", "s.toml", "--same-order"]);
    assert_eq!(code, 125, "{error}");
}

/// A word that the kernel only reads: the same order, at another cost.
const WORD: [&str; 2] = ["--kernel-option", "clone_stopped=off"];

#[test]
fn another_cost_is_no_difference_unless_cycles_count() {
    let folder = folder();
    write(&folder, "s.toml", "title = \"t\"\nprogram = \"hello\"\n");
    record(&folder, "t.coe", &["s.toml"]);
    let args = ["t.coe", "--run", WORD[0], WORD[1]];
    let text = says(&folder, &args, 0);
    holds(
        &text,
        &["in the same order", "cycles: B needs +", "power-on -> "],
    );
    says(&folder, &[&args[..], &["--cycles"]].concat(), 123);
}

#[test]
fn another_program_under_the_same_name_does_something_else() {
    let folder = folder();
    record(&folder, "t.coe", &["hello"]);
    fs::create_dir(folder.path().join("mine")).expect("a folder");
    fs::copy(embedded("threads"), folder.path().join("mine/hello")).expect("a copy");
    let text = says(&folder, &["t.coe", "--run", "--programs", "mine"], 123);
    holds(
        &text,
        &[
            "first difference",
            "the console differs from line 1:\n  A hello",
        ],
    );
}

#[test]
fn goldens_are_sides_too() {
    let seeds = root().join("scenarios/seeds");
    let (code, text, error) = diff(&seeds, &["threads.golden", "threads.toml"]);
    assert_eq!(code, 0, "{text}{error}");
    holds(&text, &["in the same order"]);
    assert!(
        !text.contains("cycles: "),
        "an order golden has no cycles:\n{text}"
    );
    let (code, text, error) = diff(&seeds, &["hello.golden", "hello.toml", "--cycles"]);
    assert_eq!(code, 0, "{text}{error}");
    holds(&text, &["phases costs the same"]);
    let (code, text, _) = diff(&seeds, &["threads.golden", "hello.golden"]);
    assert_eq!(code, 123);
    holds(&text, &["the console differs from line 1"]);
    let (code, _, error) = diff(&seeds, &["threads.golden", "--run"]);
    assert_eq!(code, 125);
    holds(
        &error,
        &["a golden does not say what to run", "threads.toml"],
    );
}

#[test]
fn a_recording_that_was_killed_differs_by_its_end() {
    let folder = folder();
    record(&folder, "t.coe", &["hello"]);
    let bytes = fs::read(folder.path().join("t.coe")).expect("a trace");
    write(&folder, "cut.coe", &bytes[..bytes.len() - 5]);
    let text = says(&folder, &["t.coe", "cut.coe"], 123);
    holds(
        &text,
        &["the runs end differently:\n  A exit 0\n  B the trace is cut off"],
    );
}

#[test]
fn all_events_and_addresses_count_if_they_are_wanted() {
    let folder = folder();
    write(&folder, "s.toml", "title = \"t\"\nprogram = \"hello\"\n");
    record(&folder, "t.coe", &["s.toml"]);
    let count = |args: &[&str]| {
        let json = says(
            &folder,
            &[&["t.coe", "--run", "--format", "json"], args].concat(),
            0,
        );
        let json: Value = serde_json::from_str(&json).expect("JSON");
        json["a"]["events"].as_u64().expect("a number")
    };
    let few = count(&[]);
    assert_eq!(count(&["--addresses"]), few);
    assert!(count(&["--all-events", "--addresses"]) > 3 * few);
    let (code, ..) = diff(folder.path(), &["t.coe"]);
    assert_eq!(code, 125, "B is missing");
}

#[test]
fn what_was_typed_is_typed_again() {
    let folder = folder();
    let typed = write(&folder, "typed", "hello\n");
    let mut record = common::coe();
    record.current_dir(folder.path());
    record.args(["record", "-i", "-q", "-o", "t.coe", "echo-stdin"]);
    record.stdin(fs::File::open(typed).expect("a file"));
    let output = record.output().expect("coe can be started");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(shown.matches("hello").count(), 2, "{output:?}");
    holds(
        &says(&folder, &["t.coe", "--run", "--cycles"], 0),
        &["in the same order"],
    );
}
