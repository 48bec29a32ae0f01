//! `coe trace`: filters and statistics.

mod common;

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::TempDir;

use common::{coe_in, folder, write};

/// A trace of three threads that wait for each other.
fn recorded() -> TempDir {
    let folder = folder();
    write(
        &folder,
        "s.toml",
        "title = \"t\"\nprogram = { run = \"threads\", args = [\"3\"] }\n[schedule]\nslice = 5_000\n",
    );
    let output = coe_in(folder.path(), &["record", "-q", "-o", "t.coe", "s.toml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    folder
}

fn trace(folder: &TempDir, args: &[&str]) -> (i32, String, String) {
    let output = coe_in(folder.path(), &[&["trace", "t.coe"], args].concat());
    let code = output.status.code().expect("coe is not killed");
    let text = |bytes| String::from_utf8(bytes).expect("coe writes text");
    (code, text(output.stdout), text(output.stderr))
}

/// The events that are left, as JSON.
fn events(folder: &TempDir, args: &[&str]) -> Vec<Value> {
    let (code, out, error) = trace(folder, &[&["--format", "jsonl"], args].concat());
    assert_eq!(code, 0, "{error}");
    let parse = |line| serde_json::from_str(line).expect("a line of JSON");
    out.lines().map(parse).collect()
}

fn values<'a>(events: &'a [Value], key: &str) -> BTreeSet<&'a str> {
    events
        .iter()
        .filter_map(|event| event[key].as_str())
        .collect()
}

#[test]
fn filters_leave_what_they_name_and_can_be_put_together() {
    let folder = recorded();
    let all = events(&folder, &[]);
    let calls = events(&folder, &["--syscall", "futex", "--syscall", "write"]);
    assert_eq!(
        values(&calls, "event"),
        BTreeSet::from(["sys_enter", "sys_exit"])
    );
    let named = |name: &str| {
        all.iter()
            .filter(|event| event["fields"]["nr"] == name)
            .count()
    };
    assert_eq!(calls.len(), named("futex") + named("write"));
    let cycle = |event: &Value| event["cycle"].as_u64().expect("a cycle");
    let (from, to) = (cycle(&all[all.len() / 3]), cycle(&all[all.len() / 2]));
    let range = ["--from", &from.to_string(), "--to", &to.to_string()];
    let within = events(&folder, &range);
    let expected = all
        .iter()
        .filter(|event| (from..=to).contains(&cycle(event)));
    assert!(within.len() > 10 && within.iter().eq(expected));
    let child = events(
        &folder,
        &[&range[..], &["--task", "main/1", "--syscall", "futex"]].concat(),
    );
    assert!(
        child
            .iter()
            .all(|event| event["by"] == "main/1" && (from..=to).contains(&cycle(event)))
    );
    assert!(events(&folder, &["--from", "99999999999"]).is_empty());
}

#[test]
fn a_system_call_that_does_not_exist_is_said() {
    let folder = recorded();
    let (code, _, error) = trace(&folder, &["--syscall", "futx"]);
    assert_eq!(code, 125);
    assert!(error.contains("there is no system call `futx`"), "{error}");
    assert!(error.contains("did you mean `futex`?"), "{error}");
    let (code, ..) = trace(&folder, &["--statistics", "--syscall", "futex"]);
    assert_eq!(code, 125, "statistics are about all calls");
}

#[test]
fn statistics_hold_the_time_of_each_task() {
    let folder = recorded();
    let (code, text, _) = trace(&folder, &["--statistics"]);
    assert_eq!(code, 0);
    for part in ["time (cycles)", "main/3 in futex", "\nfutex ", "2^"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let faults = text.split("page faults in").nth(1).expect("a table");
    let named = |line: &&str| !line.is_empty() && !line.starts_with("0x");
    assert!(
        faults.lines().skip(1).take(3).all(|line| named(&line)),
        "{text}"
    );
    let (_, json, _) = trace(&folder, &["--statistics", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let last = events(&folder, &[])
        .iter()
        .filter_map(|event| event["cycle"].as_u64())
        .max();
    let tasks = json["tasks"].as_array().expect("tasks");
    let ran = |task: &Value| task["user"].as_u64().unwrap() + task["kernel"].as_u64().unwrap();
    let sum: u64 = tasks.iter().map(ran).sum();
    assert_eq!(Some(sum), last, "one CPU: every cycle is some task's");
    let child = tasks
        .iter()
        .find(|task| task["task"] == "main/1")
        .expect("a thread");
    assert!(child["user"].as_u64() > Some(10_000), "{child}");
    let (_, few, _) = trace(
        &folder,
        &["--statistics", "--task", "main/1", "--format", "json"],
    );
    let few: Value = serde_json::from_str(&few).expect("JSON");
    assert_eq!(few["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(&few["tasks"][0], child);
}

#[test]
fn code_addresses_are_named_for_people() {
    let folder = recorded();
    let (_, text, _) = trace(&folder, &["--event", "page_fault", "--task", "main"]);
    let places = text
        .lines()
        .filter(|line| line.contains("> error="))
        .count();
    assert!(places > 20, "{text}");
    let names = |name: &str| text.contains(&format!("<{name}+0x"));
    assert!(
        names("_start") || names("main") || names("memset") || names("memcpy"),
        "{text}"
    );
}
