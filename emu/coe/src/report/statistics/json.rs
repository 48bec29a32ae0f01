//! Statistics for scripts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Call, Distribution, Statistics, Task};

/// Everything as one JSON object. Times are in cycles.
#[must_use]
pub fn write(statistics: &Statistics) -> Value {
    let tasks: Vec<Value> = statistics.tasks().iter().map(task).collect();
    json!({
        "tasks": tasks,
        "system_calls": calls(statistics.calls()),
        "after_last_event": statistics.rest(),
    })
}

fn task(task: &Task) -> Value {
    let sleeping: Map<String, Value> = task
        .sleeping
        .iter()
        .map(|(reason, waits)| (reason.clone(), distribution(waits)))
        .collect();
    json!({
        "task": task.name,
        "user": task.user,
        "kernel": task.kernel,
        "runnable": distribution(&task.runnable),
        "sleeping": sleeping,
        "stopped": distribution(&task.stopped),
        "switches": { "voluntary": task.voluntary, "involuntary": task.involuntary },
        "faults": task.faults,
        "faults_in": task.places,
        "signals": task.signals,
        "system_calls": calls(task.calls.iter().map(|(name, call)| (name.as_str(), call))),
    })
}

fn calls<'a, C: std::borrow::Borrow<Call>>(
    calls: impl IntoIterator<Item = (&'a str, C)>,
) -> BTreeMap<&'a str, Value> {
    let call = |call: &Call| {
        json!({
            "times": call.entered,
            "errors": call.errors,
            "latency": distribution(&call.latency),
        })
    };
    calls
        .into_iter()
        .map(|(name, figures)| (name, call(figures.borrow())))
        .collect()
}

fn distribution(distribution: &Distribution) -> Value {
    let histogram: Vec<Value> = distribution
        .histogram()
        .into_iter()
        .map(|(class, count)| json!({ "log2": class, "times": count }))
        .collect();
    let quantiles = distribution.quantiles();
    json!({
        "times": distribution.count(),
        "cycles": distribution.sum(),
        "min": quantiles.map(|quantiles| quantiles.min),
        "median": quantiles.map(|quantiles| quantiles.median),
        "p95": quantiles.map(|quantiles| quantiles.p95),
        "max": quantiles.map(|quantiles| quantiles.max),
        "histogram": histogram,
    })
}
