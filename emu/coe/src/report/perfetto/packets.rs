//! The stream of packets: framing, the clock, and words that are written once.

use std::collections::BTreeMap;
use std::io::{self, Write};

use prost::Message;

use super::proto::{
    Clock, ClockSnapshot, Data, DebugAnnotation, FtraceEventBundle, Interned, InternedData,
    SystemInfo, TracePacket, TrackDescriptor, TrackEvent, Utsname,
};

/// The tag of `Trace.packet`: field 1, length-delimited.
const PACKET: u8 = 0x0A;

/// The one writer of the stream.
const SEQUENCE: u32 = 1;

/// Nothing that was interned before holds any more; and it is needed from here on.
const FLAGS_FIRST: u32 = 1 | 2;
const FLAGS_LATER: u32 = 2;

/// Perfetto's clock for time since power-on, in nanoseconds.
const CLOCK_BOOTTIME: u32 = 6;

/// Perfetto reads states of tasks as Linux of this release has them; the guest
/// says the same of itself.
const RELEASE: &str = "6.6.0-coe";

/// What kind of thing stands on a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Begin = 1,
    End = 2,
    Instant = 3,
    Counter = 4,
}

/// One thing on a track, in words.
#[derive(Debug)]
pub(super) struct Mark<'a> {
    pub(super) cycle: u64,
    pub(super) track: u64,
    pub(super) kind: Kind,
    /// Empty where the kind needs none.
    pub(super) name: &'a str,
    pub(super) category: &'a str,
    pub(super) fields: &'a [(&'static str, String)],
    /// An arrow begins here.
    pub(super) from: Option<u64>,
    /// Arrows end here.
    pub(super) to: Vec<u64>,
}

impl<'a> Mark<'a> {
    pub(super) fn new(
        cycle: u64,
        track: u64,
        kind: Kind,
        category: &'a str,
        name: &'a str,
    ) -> Self {
        Mark {
            cycle,
            track,
            kind,
            name,
            category,
            fields: &[],
            from: None,
            to: Vec::new(),
        }
    }
}

/// Words and the numbers that stand for them, from 1 on.
#[derive(Debug, Default)]
struct Words(BTreeMap<String, u64>);

impl Words {
    /// The word's number; the first time also put where the reader finds it.
    fn number(&mut self, word: &str, fresh: &mut Vec<Interned>) -> u64 {
        if let Some(number) = self.0.get(word) {
            return *number;
        }
        let number = self.0.len() as u64 + 1;
        self.0.insert(word.to_owned(), number);
        fresh.push(Interned {
            iid: Some(number),
            name: Some(word.to_owned()),
        });
        number
    }
}

/// Writes packets.
#[derive(Debug)]
pub(super) struct Packets<W> {
    out: W,
    buffer: Vec<u8>,
    names: Words,
    categories: Words,
    annotations: Words,
}

impl<W: Write> Packets<W> {
    /// Begins the stream: what the clock is and whose words are used.
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut packets = Packets {
            out,
            buffer: Vec::new(),
            names: Words::default(),
            categories: Words::default(),
            annotations: Words::default(),
        };
        let clock = ClockSnapshot {
            clocks: vec![Clock {
                clock_id: Some(CLOCK_BOOTTIME),
                timestamp: Some(0),
            }],
            primary_trace_clock: Some(CLOCK_BOOTTIME.cast_signed()),
        };
        let first = TracePacket {
            sequence_flags: Some(FLAGS_FIRST),
            timestamp: Some(0),
            ..packet(Data::ClockSnapshot(clock))
        };
        packets.put(&first)?;
        let utsname = Utsname {
            sysname: Some("Linux".to_owned()),
            release: Some(RELEASE.to_owned()),
            machine: Some("x86_64".to_owned()),
        };
        let system = SystemInfo {
            utsname: Some(utsname),
        };
        packets.put(&packet(Data::SystemInfo(system)))?;
        Ok(packets)
    }

    /// Says what a track is.
    pub(super) fn describe(&mut self, track: TrackDescriptor) -> io::Result<()> {
        self.put(&packet(Data::TrackDescriptor(track)))
    }

    /// Writes what one CPU's scheduler did.
    pub(super) fn bundle(&mut self, bundle: FtraceEventBundle) -> io::Result<()> {
        self.put(&packet(Data::FtraceEvents(bundle)))
    }

    /// Writes one thing on a track.
    pub(super) fn mark(&mut self, mark: &Mark<'_>) -> io::Result<()> {
        let mut fresh = InternedData::default();
        let mut event = TrackEvent {
            kind: Some(mark.kind as i32),
            track_uuid: Some(mark.track),
            flow_ids: mark.from.into_iter().collect(),
            terminating_flow_ids: mark.to.clone(),
            ..TrackEvent::default()
        };
        if mark.kind != Kind::End {
            event.name_iid = Some(self.names.number(mark.name, &mut fresh.event_names));
            let category = self
                .categories
                .number(mark.category, &mut fresh.event_categories);
            event.category_iids.push(category);
        }
        for (name, value) in mark.fields {
            let names = &mut fresh.debug_annotation_names;
            event.debug_annotations.push(DebugAnnotation {
                name_iid: Some(self.annotations.number(name, names)),
                string_value: Some(super::unquoted(value)),
            });
        }
        let interned = (fresh != InternedData::default()).then_some(fresh);
        self.track_event(mark.cycle, event, interned)
    }

    /// Writes the value that a counter has from this cycle on.
    pub(super) fn count(&mut self, cycle: u64, track: u64, value: i64) -> io::Result<()> {
        let event = TrackEvent {
            kind: Some(Kind::Counter as i32),
            track_uuid: Some(track),
            counter_value: Some(value),
            ..TrackEvent::default()
        };
        self.track_event(cycle, event, None)
    }

    /// Everything is written.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn track_event(
        &mut self,
        cycle: u64,
        event: TrackEvent,
        interned_data: Option<InternedData>,
    ) -> io::Result<()> {
        self.put(&TracePacket {
            timestamp: Some(cycle),
            sequence_flags: Some(FLAGS_LATER),
            interned_data,
            ..packet(Data::TrackEvent(event))
        })
    }

    fn put(&mut self, packet: &TracePacket) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.push(PACKET);
        // A vector grows: there is always room.
        packet.encode_length_delimited(&mut self.buffer)?;
        self.out.write_all(&self.buffer)
    }
}

fn packet(data: Data) -> TracePacket {
    TracePacket {
        trusted_packet_sequence_id: Some(SEQUENCE),
        data: Some(data),
        ..TracePacket::default()
    }
}
