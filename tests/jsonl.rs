//! `coe trace --format jsonl` against its published schema.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{coe_in, folder, python, root, write};
use serde_json::{Value, json};

/// Scenarios that have most of the events between them.
const SCENARIOS: [&str; 6] = [
    "console/echo.toml",
    "disk/sync.toml",
    "futex/boost.toml",
    "seeds/cow-fork.toml",
    "seeds/threads.toml",
    "signals/faults.toml",
];

/// What one `coe` prints.
fn printed(arguments: &[&str]) -> String {
    let output = coe_in(&root(), arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "coe {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_published_schema_is_the_one_that_coe_prints() {
    let published = fs::read_to_string(root().join("docs/trace.schema.json"));
    assert!(
        published.expect("the schema") == printed(&["schema"]),
        "coe schema >docs/trace.schema.json, and look at git diff"
    );
}

#[test]
fn real_traces_are_as_the_schema_says_and_others_are_not() {
    let folder = folder();
    let trace = folder.path().join("a.coe");
    let trace = trace.to_str().expect("a path in UTF-8");
    let mut lines = String::new();
    for scenario in SCENARIOS {
        let scenario = format!("scenarios/{scenario}");
        printed(&["record", "-q", &scenario, "-o", trace]);
        let shown = printed(&["trace", trace, "--format", "jsonl"]);
        lines.push_str(&distinct(&shown));
    }
    let wrong: String = wrong().iter().map(|value| format!("{value}\n")).collect();
    let files = [
        root().join("docs/trace.schema.json"),
        write(&folder, "lines.jsonl", &lines),
        write(&folder, "wrong.jsonl", wrong),
    ];
    if let Some(said) = python::judge("schema.py", &[&files[0], &files[1], &files[2]]) {
        assert!(said.contains("wrong lines were refused"), "{said}");
    }
}

/// The lines that differ in more than numbers: the judge is not fast.
fn distinct(lines: &str) -> String {
    let mut seen = BTreeSet::new();
    let shape = |line: &str| line.replace(|c: char| c.is_ascii_digit(), "");
    let lines = lines.split_inclusive('\n');
    lines.filter(|line| seen.insert(shape(line))).collect()
}

/// A valid line, changed in one way each.
fn wrong() -> Vec<Value> {
    let good = json!({
        "cycle": 1, "cpu": 0, "retired": 1, "user": 0, "retired_user": 0, "by": "main",
        "event": "sched_switch",
        "fields": { "prev": "main", "prev_state": "R", "next": "idle", "cr3": "0x1000" },
    });
    let with = |pointer: &str, value: Value| {
        let mut line = good.clone();
        *line.pointer_mut(pointer).expect("a place in the line") = value;
        line
    };
    let mut further = good.clone();
    further["fields"]["more"] = json!("x");
    vec![
        with("/event", json!("sched_swich")),
        with("/event", json!("page_fault")),
        with("/fields/prev_state", json!("Q")),
        with("/fields/cr3", json!(4096)),
        with("/fields/cr3", json!("4096")),
        with("/cycle", json!(-1)),
        with("/fields", json!({ "prev": "main" })),
        further,
    ]
}
