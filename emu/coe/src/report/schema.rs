//! What a line of `coe trace --format jsonl` may look like: a JSON Schema, made
//! from the vocabulary of events.

use abi::choice::ChoiceKind;
use abi::event::{EventId, FaultKind, FieldKind, FieldSpec, FrameKind, TaskState};
use serde_json::{Map, Value, json};

/// The schema, in the version of 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut events: Vec<Value> = EventId::ALL
        .iter()
        .map(|id| event(id.name(), id.spec().fields.iter().map(field)))
        .collect();
    events.extend(others());
    let count = |what: &str| json!({ "type": "integer", "minimum": 0, "description": what });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An event of a coe trace",
        "description": "One line of `coe trace --format jsonl`. All fields of an event are strings, in the words of the vocabulary.",
        "type": "object",
        "properties": {
            "cycle": count("cycles since power-on; one is a nanosecond of the guest"),
            "cpu": count("the CPU"),
            "retired": count("instructions that this CPU has retired"),
            "user": count("cycles that this CPU has spent in user mode"),
            "retired_user": count("instructions that this CPU has retired in user mode"),
            "by": { "type": "string", "description": "the task that ran" },
            "event": { "type": "string", "description": "the event's name" },
            "fields": { "type": "object", "description": "the event's fields" },
        },
        "required": ["cycle", "cpu", "retired", "user", "retired_user", "by", "event", "fields"],
        "additionalProperties": false,
        "oneOf": events,
    })
}

/// Events that are not the kernel's own.
fn others() -> Vec<Value> {
    let text = || value("text; bytes that are no UTF-8 are replaced", None);
    let kinds = ChoiceKind::ALL.map(ChoiceKind::name).join("|");
    let answer = "a task's name, or a number";
    vec![
        event(
            "choice",
            [
                (
                    "kind",
                    value("what was asked", Some(format!("^({kinds})$"))),
                ),
                (
                    "candidates",
                    value("the answers that there are, with commas between them", None),
                ),
                ("default", value(answer, None)),
                ("answer", value(answer, None)),
            ],
        ),
        event("console", [("text", text())]),
        event("input", [("text", text())]),
        event("input", [("interrupt", word("an interrupt vector", HEX))]),
        event("unknown_event", [("id", word("its number", NUMBER))]),
    ]
}

const HEX: &str = "^0x[0-9a-f]+$";
const NUMBER: &str = "^[0-9]+$";

/// One event's part of the schema: its name, and all its fields.
fn event<'a>(name: &str, fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let properties: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let required: Vec<_> = properties.keys().cloned().collect();
    json!({
        "properties": {
            "event": { "const": name },
            "fields": {
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            },
        },
    })
}

fn field(field: &FieldSpec) -> (&'static str, Value) {
    let value = match field.kind {
        FieldKind::Task => value("a task's name", None),
        FieldKind::Int => word("a decimal number", "^-?[0-9]+$"),
        FieldKind::Hex => word("a hexadecimal number", HEX),
        FieldKind::Syscall => word("a system call's name, or its number", "^[a-z0-9_]+$"),
        FieldKind::Result => word(
            "a number, an address, a task's name, or an error's name with a minus",
            "^(-?[0-9]+|0x[0-9a-f]+|-E[A-Z0-9]+|[^-0-9].*)$",
        ),
        FieldKind::CloneFlags => word(
            "flags of clone and the exit signal, with | between them",
            "^[A-Z0-9_a-fx]+([|][A-Z0-9_a-fx]+)*$",
        ),
        FieldKind::Signal => word("a signal's name, or its number", "^(SIG[A-Z0-9]+|[0-9]+)$"),
        FieldKind::State => words("the state in which a task leaves", |raw| {
            TaskState::from_raw(raw).map(TaskState::name)
        }),
        FieldKind::Fault => words("what was done about a fault", |raw| {
            FaultKind::from_raw(raw).map(FaultKind::name)
        }),
        FieldKind::Frame => words("what a frame is for", |raw| {
            FrameKind::from_raw(raw).map(FrameKind::name)
        }),
        FieldKind::WaitStatus => word(
            "an exit status, or the signal that ended it",
            "^([0-9]+|SIG[A-Z0-9]+|[0-9]+)([+]core)?$",
        ),
        FieldKind::Text => value("text; bytes that are no UTF-8 are replaced", None),
    };
    (field.name, value)
}

/// One of the words for numbers from 0 on, or a number that has none.
fn words(what: &str, name: impl Fn(u64) -> Option<&'static str>) -> Value {
    let words: Vec<_> = (0..).map_while(name).collect();
    value(what, Some(format!("^({}|-?[0-9]+)$", words.join("|"))))
}

fn word(what: &str, pattern: &str) -> Value {
    value(what, Some(pattern.to_owned()))
}

fn value(what: &str, pattern: Option<String>) -> Value {
    let mut value = json!({ "type": "string", "description": what });
    if let Some(pattern) = pattern {
        value["pattern"] = pattern.into();
    }
    value
}
