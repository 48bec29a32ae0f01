//! Tasks that begin, run, sleep, change and end.

use std::io::{self, Write};

use super::packets::{Kind, Mark};
use super::sched::{self, At, Who};
use super::{Perfetto, task};
use crate::events::Line;

/// The flags of clone without the exit signal in their low byte.
const CLONE_FLAGS: u64 = !0xFF;

pub(super) fn who(raw: u64, name: &str) -> Who<'_> {
    Who {
        task: task(raw),
        name,
    }
}

impl<W: Write> Perfetto<W> {
    pub(super) fn switch(&mut self, at: At, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let prev = line.get("prev").unwrap_or_default();
        let next = line.get("next").unwrap_or_default();
        let event = sched::switch(who(args[0], prev), args[1], who(args[2], next));
        self.sched.put(&mut self.packets, at, event)?;
        let Some((arrow, why)) = self.arrows.runs.remove(&task(args[2])) else {
            return Ok(());
        };
        let track = self.here(at.cpu)?;
        let mark = Mark::new(at.cycle, track, Kind::Instant, "task", why);
        self.packets.mark(&Mark {
            to: vec![arrow],
            ..mark
        })
    }

    pub(super) fn wakeup(&mut self, at: At, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let name = line.get("task").unwrap_or_default();
        let event = sched::waking(who(args[0], name), at.cpu);
        self.sched.put(&mut self.packets, at, event)?;
        let arrow = self.arrows.begin();
        self.arrows
            .runs
            .insert(task(args[0]), (arrow, "runs again"));
        self.instant(line, "task", Some(arrow), Vec::new())
    }

    pub(super) fn fork(&mut self, at: At, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let child = who(args[1], line.get("child").unwrap_or_default());
        self.tracks.created(child.task, task(args[2]));
        for event in [
            sched::newtask(child, args[3] & CLONE_FLAGS),
            sched::wakeup_new(child, at.cpu),
        ] {
            self.sched.put(&mut self.packets, at, event)?;
        }
        let arrow = self.arrows.begin();
        self.arrows.runs.insert(child.task, (arrow, "begins"));
        self.instant(line, "task", Some(arrow), Vec::new())?;
        self.track(child.task).map(|_| ())
    }

    /// The task may have another number from here on: its thread group's.
    pub(super) fn exec(&mut self, at: At, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let now = task(args[0]);
        if at.task != now && task(args[1]) == at.task {
            self.close_call(at.task, at.cycle)?;
            let name = self.lines.name(now);
            let event = sched::rename(now, &name, &name);
            self.sched
                .put(&mut self.packets, At { task: now, ..at }, event)?;
            self.tracks.renamed(&mut self.packets, now, &name)?;
        }
        self.instant(line, "task", None, Vec::new())
    }

    pub(super) fn exit(&mut self, at: At, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let event = sched::exit(who(args[0], line.get("task").unwrap_or_default()));
        self.sched.put(&mut self.packets, at, event)?;
        self.instant(line, "task", None, Vec::new())?;
        self.close_call(task(args[0]), at.cycle)
    }

    pub(super) fn rename(&mut self, at: At, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let name = self.lines.name(task(args[0]));
        let old = line.get("task").unwrap_or_default();
        let event = sched::rename(task(args[0]), old, &name);
        self.sched.put(&mut self.packets, at, event)?;
        self.tracks
            .renamed(&mut self.packets, task(args[0]), &name)?;
        self.instant(line, "task", None, Vec::new())
    }
}
