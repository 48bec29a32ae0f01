//! A run as data for the page: what is small as JSON, what is large as numbers
//! of variable length (LEB128), packed with LZ4.
//!
//! The numbers, in this order; `d` before a name is the difference to the one
//! before:
//!
//! - for each lane: how many segments; for each: length, state + 8 × CPU, cause
//!   (segments follow each other without gaps from the lane's birth);
//! - how many events; for each: dcycle, lane, kind;
//! - how many arrows; for each: dcycle, deed, from, to;
//! - how many changes of contexts; for each: dcycle, lane, part, object;
//! - how many bytes of text; the words of each event, ended by line feeds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Run;
use crate::names::syscalls;
use crate::timeline::sharing::Part;
use crate::timeline::{Cause, Segment, State, Timeline};

/// A run, ready for the page.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) head: Value,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn pack(run: &Run) -> Packed {
    let mut numbers = Numbers::default();
    let causes = segments(&run.timeline, &mut numbers);
    events(run, &mut numbers);
    arrows(&run.timeline, &mut numbers);
    changes(&run.timeline, &mut numbers);
    numbers.put(run.marks.text.len() as u64);
    let mut raw = numbers.bytes;
    raw.extend_from_slice(run.marks.text.as_bytes());
    let head = json!({
        "title": run.head.title,
        "facts": run.head.facts,
        "end": run.timeline.end(),
        "lanes": lanes(&run.timeline),
        "kinds": run.marks.kinds,
        "states": State::ALL.map(State::name),
        "parts": Part::all().map(Part::name).collect::<Vec<_>>(),
        "causes": causes,
        "length": raw.len(),
    });
    Packed {
        head,
        bytes: lz4_flex::block::compress(&raw),
    }
}

fn lanes(timeline: &Timeline) -> Vec<Value> {
    let lanes = timeline.lanes().iter();
    lanes
        .map(|lane| {
            json!({
                "name": lane.name,
                "pid": lane.pid,
                "tgid": lane.tgid,
                "parent": lane.parent,
                "born": lane.born,
                "gone": lane.gone,
                "programs": lane.programs,
            })
        })
        .collect()
}

/// Writes the segments; what they give as causes, in the order of their numbers.
fn segments(timeline: &Timeline, numbers: &mut Numbers) -> Vec<String> {
    let mut by_lane: Vec<Vec<&Segment>> = vec![Vec::new(); timeline.lanes().len()];
    for segment in timeline.segments() {
        by_lane[segment.lane as usize].push(segment);
    }
    let mut causes = vec![String::new()];
    let mut known = BTreeMap::from([(Cause::None, 0u64)]);
    for segments in by_lane {
        numbers.put(segments.len() as u64);
        for segment in segments {
            let cause = *known.entry(segment.cause).or_insert_with(|| {
                causes.push(name(segment.cause));
                causes.len() as u64 - 1
            });
            numbers.put(segment.to - segment.from);
            numbers.put(segment.state as u64 | u64::from(segment.cpu) << 3);
            numbers.put(cause);
        }
    }
    causes
}

/// What people call a cause.
fn name(cause: Cause) -> String {
    match cause {
        Cause::None => String::new(),
        Cause::Syscall(nr) => {
            syscalls::name(nr).map_or_else(|| format!("system call {nr}"), str::to_owned)
        }
        Cause::Fault => "page fault".to_owned(),
        Cause::Interrupt => "interrupt".to_owned(),
        Cause::Other => "exception".to_owned(),
    }
}

fn events(run: &Run, numbers: &mut Numbers) {
    numbers.put(run.marks.all.len() as u64);
    let mut last = 0;
    for mark in &run.marks.all {
        // A line of the console is as old as its first byte, but whole only
        // when another event may have come between.
        let cycle = mark.cycle.max(last);
        numbers.put(cycle - last);
        numbers.put(u64::from(mark.lane));
        numbers.put(u64::from(mark.kind));
        last = cycle;
    }
}

fn arrows(timeline: &Timeline, numbers: &mut Numbers) {
    numbers.put(timeline.arrows().len() as u64);
    let mut last = 0;
    for arrow in timeline.arrows() {
        numbers.put(arrow.cycle - last);
        numbers.put(arrow.deed as u64);
        numbers.put(u64::from(arrow.from));
        numbers.put(u64::from(arrow.to));
        last = arrow.cycle;
    }
}

fn changes(timeline: &Timeline, numbers: &mut Numbers) {
    let changes = timeline.sharing().changes();
    numbers.put(changes.len() as u64);
    let mut last = 0;
    for change in changes {
        numbers.put(change.cycle - last);
        numbers.put(u64::from(change.lane));
        numbers.put(change.part as u64);
        numbers.put(u64::from(change.object));
        last = change.cycle;
    }
}

/// Numbers of variable length: seven bits a byte, the lowest first, the top bit
/// set on all but the last.
#[derive(Clone, Debug, Default)]
struct Numbers {
    bytes: Vec<u8>,
}

impl Numbers {
    fn put(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        let mut numbers = Numbers::default();
        for value in [0, 127, 128, 300] {
            numbers.put(value);
        }
        assert_eq!(numbers.bytes, [0, 127, 0x80, 1, 0xAC, 2]);
        numbers.put(u64::MAX);
        assert_eq!(numbers.bytes.len(), 6 + 10);
    }
}
