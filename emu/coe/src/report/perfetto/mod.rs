//! Perfetto's protobuf format, for its viewer at ui.perfetto.dev and for its
//! tools. See docs/perfetto.md for what becomes what.
//!
//! Timestamps are cycles. The machine has 10⁹ of them in a second, so they are
//! nanoseconds since power-on, which is what Perfetto's clock BOOTTIME counts.

mod marks;
mod modes;
mod packets;
mod proto;
mod sched;
mod tasks;
mod tracks;

use std::collections::BTreeMap;
use std::io::{self, Write};

use abi::choice::ChoiceKind;
use abi::event::EventId;
use machine::{Event, Payload};

use super::{Lines, unquoted};
use crate::events::Line;
use modes::Modes;
use packets::{Kind, Mark, Packets};
use sched::{At, Sched};
use tracks::Tracks;

/// Turns events, in their order, into Perfetto's packets.
#[derive(Debug)]
pub struct Perfetto<W> {
    packets: Packets<W>,
    lines: Lines,
    tracks: Tracks,
    sched: Sched,
    arrows: Arrows,
    modes: Modes,
    /// The tasks that are in a system call, with the track that shows it.
    in_call: BTreeMap<u32, u64>,
    counts: BTreeMap<String, i64>,
    last_cycle: u64,
}

/// Arrows that have begun and not yet ended.
#[derive(Debug, Default)]
struct Arrows {
    drawn: u64,
    /// To the next time that a task runs.
    runs: BTreeMap<u32, (u64, &'static str)>,
    /// To the delivery of a signal, by task or leader and signal.
    signals: BTreeMap<(u32, u64), Vec<u64>>,
}

impl Arrows {
    fn begin(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }
}

impl<W: Write> Perfetto<W> {
    /// Begins a trace.
    ///
    /// # Errors
    /// If `out` cannot be written to.
    pub fn new(out: W) -> io::Result<Self> {
        Ok(Perfetto {
            packets: Packets::begin(out)?,
            lines: Lines::default(),
            tracks: Tracks::default(),
            sched: Sched::default(),
            arrows: Arrows::default(),
            modes: Modes::default(),
            in_call: BTreeMap::new(),
            counts: BTreeMap::new(),
            last_cycle: 0,
        })
    }

    /// Takes the next event in.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn take(&mut self, event: &Event) -> io::Result<()> {
        self.last_cycle = event.at.cycle;
        let before = self.lines.task(event.at.cpu);
        self.modes.pass(before, event.at);
        for line in self.lines.take(event) {
            if line.name == "console" {
                self.console(&line)?;
                continue;
            }
            match &event.payload {
                Payload::Kernel { id, args, .. } => self.kernel(*id, args, before, &line)?,
                Payload::Choice { choice, answer } => {
                    // Each allocation asks whether it may fail; only a yes is news.
                    if choice.kind != ChoiceKind::AllocFail || *answer != choice.default {
                        self.instant(&line, "choice", None, Vec::new())?;
                    }
                }
                Payload::Console(_) | Payload::Input(_) | Payload::Unknown { .. } => {
                    self.instant(&line, "machine", None, Vec::new())?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is left: system calls that never returned end here.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        for line in self.lines.finish() {
            self.console(&line)?;
        }
        for track in std::mem::take(&mut self.in_call).into_values() {
            let end = Mark::new(self.last_cycle, track, Kind::End, "", "");
            self.packets.mark(&end)?;
        }
        self.sched.finish(&mut self.packets)?;
        self.packets.finish()
    }

    fn console(&mut self, line: &Line) -> io::Result<()> {
        let track = self.tracks.console(&mut self.packets)?;
        let text = unquoted(line.get("text").unwrap_or_default());
        let fields = [("by", line.by.clone())];
        let mark = Mark::new(line.at.cycle, track, Kind::Instant, "console", &text);
        self.packets.mark(&Mark {
            fields: &fields,
            ..mark
        })
    }

    /// `before` is the task that ran when it happened.
    fn kernel(&mut self, id: EventId, args: &[u64; 5], before: u32, line: &Line) -> io::Result<()> {
        let at = At {
            cycle: line.at.cycle,
            cpu: line.at.cpu,
            task: before,
        };
        match id {
            EventId::SchedSwitch => self.switch(at, args, line),
            EventId::SchedWakeup => self.wakeup(at, args, line),
            EventId::SchedProcessFork => self.fork(at, args, line),
            EventId::SchedProcessExec => self.exec(at, args, line),
            EventId::SchedProcessExit => self.exit(at, args, line),
            EventId::SchedProcessFree => {
                let name = self.lines.name(task(args[0]));
                let event = sched::free(tasks::who(args[0], &name));
                self.sched.put(&mut self.packets, at, event)?;
                self.instant(line, "task", None, Vec::new())
            }
            EventId::TaskRename => self.rename(at, args, line),
            EventId::SysEnter => self.call_begins(line),
            EventId::SysExit => self.call_ends(line),
            EventId::PageFault => self.fault(args, line),
            EventId::SignalGenerate => self.signal(args, line),
            EventId::SignalDeliver => self.delivered(at.task, args, line),
            EventId::MmPageAlloc => self.frames(args, 1, line),
            EventId::MmPageFree => self.frames(args, -1, line),
            _ => self.instant(line, "kernel", None, Vec::new()),
        }
    }

    /// The track on which things happen on this CPU now.
    fn here(&mut self, cpu: u8) -> io::Result<u64> {
        match self.lines.task(cpu) {
            0 => self.tracks.cpu(&mut self.packets, cpu),
            task => self.track(task),
        }
    }

    fn track(&mut self, task: u32) -> io::Result<u64> {
        let name = self.lines.name(task);
        self.tracks.task(&mut self.packets, task, &name)
    }

    fn instant(
        &mut self,
        line: &Line,
        category: &str,
        from: Option<u64>,
        to: Vec<u64>,
    ) -> io::Result<()> {
        let track = self.here(line.at.cpu)?;
        let mark = Mark::new(line.at.cycle, track, Kind::Instant, category, line.name);
        self.packets.mark(&Mark {
            fields: &line.fields,
            from,
            to,
            ..mark
        })
    }
}

/// The kernel's numbers of tasks fit into 32 bits.
fn task(raw: u64) -> u32 {
    raw as u32
}
