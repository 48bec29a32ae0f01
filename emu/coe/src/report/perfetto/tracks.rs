//! The tracks: one for each task and CPU, one for the console, one for each
//! counter. A track is described just before the first thing on it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::packets::Packets;
use super::proto::{CounterDescriptor, ProcessDescriptor, ThreadDescriptor, TrackDescriptor};

/// What is known of the tracks so far.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    /// Tracks that have been described.
    described: u64,
    /// The thread group of each task that was created with one.
    groups: BTreeMap<u32, u32>,
    /// The track of each task, and of each thread group as a whole.
    tasks: BTreeMap<u32, u64>,
    processes: BTreeMap<u32, u64>,
    cpus: BTreeMap<u8, u64>,
    counters: BTreeMap<String, u64>,
    console: Option<u64>,
}

impl Tracks {
    /// A task with this number is created: it has nothing to do with one that
    /// had the number before.
    pub(super) fn created(&mut self, task: u32, group: u32) {
        self.tasks.remove(&task);
        if group == task {
            self.processes.remove(&group);
        }
        self.groups.insert(task, group);
    }

    /// The task's thread group; its own if nobody said otherwise.
    pub(super) fn group(&self, task: u32) -> u32 {
        self.groups.get(&task).copied().unwrap_or(task)
    }

    /// The track of a task of this name.
    pub(super) fn task<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        task: u32,
        name: &str,
    ) -> io::Result<u64> {
        if let Some(track) = self.tasks.get(&task) {
            return Ok(*track);
        }
        let group = self.group(task);
        if group == task {
            self.process(packets, group, name)?;
        }
        let track = self.next();
        self.tasks.insert(task, track);
        packets.describe(thread(track, group, task, name))?;
        Ok(track)
    }

    /// The task has another name from here on.
    pub(super) fn renamed<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        task: u32,
        name: &str,
    ) -> io::Result<()> {
        let group = self.group(task);
        if group == task {
            self.process(packets, group, name)?;
        }
        match self.tasks.get(&task) {
            Some(track) => packets.describe(thread(*track, group, task, name)),
            None => Ok(()),
        }
    }

    /// The track of a CPU: for what happens while it runs no task.
    pub(super) fn cpu<W: Write>(&mut self, packets: &mut Packets<W>, cpu: u8) -> io::Result<u64> {
        if let Some(track) = self.cpus.get(&cpu) {
            return Ok(*track);
        }
        let track = self.next();
        self.cpus.insert(cpu, track);
        packets.describe(named(track, format!("CPU {cpu}, no task")))?;
        Ok(track)
    }

    /// The track of what the guest writes to its console.
    pub(super) fn console<W: Write>(&mut self, packets: &mut Packets<W>) -> io::Result<u64> {
        if let Some(track) = self.console {
            return Ok(track);
        }
        let track = self.next();
        self.console = Some(track);
        packets.describe(named(track, "console".to_owned()))?;
        Ok(track)
    }

    /// The track of a counter.
    pub(super) fn counter<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        name: &str,
        unit: &str,
    ) -> io::Result<u64> {
        if let Some(track) = self.counters.get(name) {
            return Ok(*track);
        }
        let track = self.next();
        self.counters.insert(name.to_owned(), track);
        let counter = CounterDescriptor {
            unit_name: Some(unit.to_owned()),
        };
        packets.describe(TrackDescriptor {
            counter: Some(counter),
            ..named(track, name.to_owned())
        })?;
        Ok(track)
    }

    /// Describes a thread group: Perfetto shows its tasks below it.
    fn process<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        group: u32,
        name: &str,
    ) -> io::Result<()> {
        let track = match self.processes.get(&group) {
            Some(track) => *track,
            None => self.next(),
        };
        self.processes.insert(group, track);
        let process = ProcessDescriptor {
            pid: Some(group.cast_signed()),
            process_name: Some(name.to_owned()),
        };
        packets.describe(TrackDescriptor {
            uuid: Some(track),
            process: Some(process),
            ..TrackDescriptor::default()
        })
    }

    fn next(&mut self) -> u64 {
        self.described += 1;
        self.described
    }
}

fn named(track: u64, name: String) -> TrackDescriptor {
    TrackDescriptor {
        uuid: Some(track),
        name: Some(name),
        ..TrackDescriptor::default()
    }
}

fn thread(track: u64, group: u32, task: u32, name: &str) -> TrackDescriptor {
    let thread = ThreadDescriptor {
        pid: Some(group.cast_signed()),
        tid: Some(task.into()),
        thread_name: Some(name.to_owned()),
    };
    TrackDescriptor {
        uuid: Some(track),
        thread: Some(thread),
        ..TrackDescriptor::default()
    }
}
