//! A comparison for scripts.

use serde_json::{Value, json};

use super::{Comparison, Cycles, Place, Side, Step, Verdict};

/// The whole comparison as one JSON object.
#[must_use]
pub fn write(a: &Side, b: &Side, comparison: &Comparison) -> Value {
    let places = comparison
        .places
        .iter()
        .map(|place| self::place(a, b, place));
    let tasks = comparison.tasks.iter().map(|change| {
        json!({
            "task": change.task,
            "both": change.both,
            "moved": change.moved,
            "only_a": change.only_a,
            "only_b": change.only_b,
        })
    });
    json!({
        "same": comparison.same(),
        "a": side(a),
        "b": side(b),
        "common": comparison.common,
        "places": places.collect::<Vec<_>>(),
        "tasks": tasks.collect::<Vec<_>>(),
        "console": comparison.console.as_ref().map(|change| {
            json!({ "line": change.line, "a": change.a, "b": change.b })
        }),
        "endings": comparison.endings.as_ref().map(|(a, b)| json!({ "a": a, "b": b })),
        "cycles": comparison.cycles.as_ref().map(cycles),
    })
}

fn side(side: &Side) -> Value {
    json!({
        "name": side.name,
        "kernel": side.kernel,
        "events": side.steps.len(),
        "cycles": side.counted.map(|counted| counted.cycles),
        "instructions": side.counted.map(|counted| counted.retired),
        "ending": side.ending,
    })
}

fn place(a: &Side, b: &Side, place: &Place) -> Value {
    let steps = |side: &Side, range: &std::ops::Range<usize>| -> Vec<Value> {
        let steps = side.steps[range.clone()].iter();
        steps.map(|step| self::step(side, step)).collect()
    };
    json!({
        "verdict": verdict(&place.verdict),
        "at_a": place.a.start,
        "at_b": place.b.start,
        "a": steps(a, &place.a),
        "b": steps(b, &place.b),
    })
}

fn step(side: &Side, step: &Step) -> Value {
    let cycle = side.timed.then_some(step.cycle);
    json!({ "task": step.task, "event": step.key, "cycle": cycle })
}

fn verdict(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Order { first, before } => {
            json!({ "kind": "order", "first": first, "before": before })
        }
        Verdict::Moved { task, a, b } => {
            json!({ "kind": "moved", "task": task, "a": a, "b": b })
        }
        Verdict::Changed { a, b } => json!({ "kind": "changed", "a": a, "b": b }),
        Verdict::OnlyA(step) => json!({ "kind": "only_a", "a": step }),
        Verdict::OnlyB(step) => json!({ "kind": "only_b", "b": step }),
    }
}

fn cycles(cycles: &Cycles) -> Value {
    let phases = cycles.phases.iter().map(|phase| {
        json!({
            "from": phase.from,
            "to": phase.to,
            "at_a": phase.at,
            "a": phase.a,
            "b": phase.b,
        })
    });
    let kinds = cycles.kinds.iter().map(|kind| {
        json!({
            "from": kind.from,
            "to": kind.to,
            "count": kind.count,
            // No run is long enough to leave the range of 64 bits.
            "gain": i64::try_from(kind.gain).ok(),
        })
    });
    json!({
        "a": cycles.a,
        "b": cycles.b,
        "phase_count": cycles.count,
        "phases": phases.collect::<Vec<_>>(),
        "kinds": kinds.collect::<Vec<_>>(),
    })
}
