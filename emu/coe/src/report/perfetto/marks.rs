//! What tasks do while they run: system calls, faults, signals; and the counters.

use std::io::{self, Write};

use abi::event::{FaultKind, FrameKind};

use super::packets::{Kind, Mark};
use super::{Perfetto, task};
use crate::events::Line;

/// The bit of a page fault's error code: it came from user mode. A fault of the
/// kernel's own is a moment within a system call; when it began nobody says.
const FROM_USER: u64 = 1 << 2;

impl<W: Write> Perfetto<W> {
    pub(super) fn call_begins(&mut self, line: &Line) -> io::Result<()> {
        let task = self.lines.task(line.at.cpu);
        self.close_call(task, line.at.cycle)?;
        let track = self.here(line.at.cpu)?;
        self.in_call.insert(task, track);
        let name = line.get("nr").unwrap_or_default();
        let mark = Mark::new(line.at.cycle, track, Kind::Begin, "syscall", name);
        self.packets.mark(&Mark {
            fields: line.fields.get(1..).unwrap_or_default(),
            ..mark
        })
    }

    pub(super) fn call_ends(&mut self, line: &Line) -> io::Result<()> {
        let task = self.lines.task(line.at.cpu);
        let Some(track) = self.in_call.remove(&task) else {
            return self.instant(line, "syscall", None, Vec::new());
        };
        let mark = Mark::new(line.at.cycle, track, Kind::End, "", "");
        self.packets.mark(&Mark {
            fields: line.fields.get(1..).unwrap_or_default(),
            ..mark
        })
    }

    /// The call that the task is in, if it is in one, ends without a result.
    pub(super) fn close_call(&mut self, task: u32, cycle: u64) -> io::Result<()> {
        match self.in_call.remove(&task) {
            Some(track) => self
                .packets
                .mark(&Mark::new(cycle, track, Kind::End, "", "")),
            None => Ok(()),
        }
    }

    pub(super) fn fault(&mut self, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let kind = line.get("kind").unwrap_or_default().to_owned();
        if FaultKind::from_raw(args[0]) == Some(FaultKind::Cow) {
            self.count("pages copied on write", "pages", 1, line)?;
        }
        let track = self.here(line.at.cpu)?;
        let name = format!("page_fault {kind}");
        let entered = self.modes.entered(self.lines.task(line.at.cpu));
        let entered = entered.filter(|_| args[3] & FROM_USER != 0);
        let (kind, cycle) = match entered {
            Some(cycle) => (Kind::Begin, cycle),
            None => (Kind::Instant, line.at.cycle),
        };
        self.packets.mark(&Mark {
            fields: &line.fields,
            ..Mark::new(cycle, track, kind, "fault", &name)
        })?;
        if entered.is_none() {
            return Ok(());
        }
        let end = Mark::new(line.at.cycle, track, Kind::End, "", "");
        self.packets.mark(&end)
    }

    pub(super) fn signal(&mut self, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let arrow = self.arrows.begin();
        let sent = self.arrows.signals.entry((task(args[1]), args[0]));
        sent.or_default().push(arrow);
        self.instant(line, "signal", Some(arrow), Vec::new())
    }

    pub(super) fn delivered(&mut self, task: u32, args: &[u64; 5], line: &Line) -> io::Result<()> {
        let leader = self.tracks.group(task);
        let signals = &mut self.arrows.signals;
        let sent = signals.remove(&(task, args[0]));
        let sent = sent.or_else(|| signals.remove(&(leader, args[0])));
        self.instant(line, "signal", None, sent.unwrap_or_default())
    }

    pub(super) fn frames(&mut self, args: &[u64; 5], by: i64, line: &Line) -> io::Result<()> {
        let kind = FrameKind::from_raw(args[1]).map_or("unknown", FrameKind::name);
        self.count(&format!("frames: {kind}"), "frames", by, line)
    }

    pub(super) fn count(&mut self, name: &str, unit: &str, by: i64, line: &Line) -> io::Result<()> {
        let track = self.tracks.counter(&mut self.packets, name, unit)?;
        let count = self.counts.entry(name.to_owned()).or_default();
        *count += by;
        self.packets.count(line.at.cycle, track, *count)
    }
}
