//! Traces that were killed, cut, damaged, forged, or made with snapshots.

mod tiny;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use coe::engine::Kind;
use coe::images::{Chooser, Setup};
use coe::input::{Arrival, Asleep, Source};
use coe::replay::{self, Replayed};
use coe::run::{self, Watcher};
use coe::scenario::Hardware;
use coe::trace::{Item, Trace, Writer};
use machine::{Event, Input, Payload};

/// A run of this kernel, with one byte typed.
fn setup(code: &[u8], limit: u64) -> Setup {
    Setup {
        title: "tiny".to_owned(),
        scenario: String::new(),
        hardware: Hardware::default(),
        kernel: tiny::kernel(code).into(),
        initrd: None,
        cmdline: "option".to_owned(),
        disk: None,
        inputs: vec![(20_000, Input::Console(b'q'))],
        live: false,
        chooser: Chooser::Defaults,
        limit,
        engine: Kind::default(),
    }
}

/// The trace of a run, with snapshots if they are wanted.
fn record(setup: &Setup, snapshots: Option<u64>) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.coe");
    let mut writer = Writer::create(&path, setup).expect("a trace can be started");
    if let Some(every) = snapshots.and_then(NonZeroU64::new) {
        writer = writer.with_snapshots(every);
    }
    let finished = run::run(setup, &mut [&mut writer]).expect("the machine boots");
    writer.finish(&finished).expect("a trace can be ended");
    fs::read(path).expect("the trace is there")
}

fn opened(bytes: &[u8]) -> Trace {
    Trace::from_bytes(bytes.to_vec()).expect("the trace opens")
}

fn items(trace: &Trace) -> Vec<Item> {
    let items: Result<_, _> = trace.items().collect();
    items.expect("the trace is whole")
}

#[derive(Default)]
struct Ear(Vec<Event>);

impl Watcher for Ear {
    fn event(&mut self, event: &Event) {
        self.0.push(event.clone());
    }
}

fn replay_to(trace: &Trace, to: Option<u64>) -> (Replayed, Vec<Event>) {
    let mut ear = Ear::default();
    let replayed = replay::replay(trace, to, &mut [&mut ear]).expect("it replays");
    (replayed, ear.0)
}

#[test]
fn a_replay_starts_from_the_nearest_snapshot_and_nothing_else_differs() {
    let ticker = setup(tiny::TICKER, 26_000_000);
    let (plain, with) = (record(&ticker, None), record(&ticker, Some(7_000_000)));
    assert_eq!(
        with,
        record(&ticker, Some(7_000_000)),
        "the same bytes each time"
    );
    let (plain, with) = (opened(&plain), opened(&with));
    assert_eq!(items(&plain), items(&with), "snapshots are no records");
    // Pauses come every 5 million cycles: 7 is taken at 10, 14 at 15, 21 at 25.
    let expected = [(9, 0), (11, 10), (14, 10), (17, 15), (24, 15), (26, 25)];
    for (to, from) in expected {
        let to = to * 1_000_000;
        let (whole_way, heard) = replay_to(&plain, Some(to));
        let (short_cut, heard_too) = replay_to(&with, Some(to));
        assert_eq!(short_cut.from / 1_000_000, from, "to {to}");
        assert_eq!(whole_way.finished, short_cut.finished, "to {to}");
        assert_eq!(heard, heard_too, "to {to}");
    }
    assert_eq!(
        replay_to(&with, None).0.from,
        0,
        "a whole replay believes nothing"
    );
}

/// Types at the first boundary from each of these cycles.
struct Typist(VecDeque<(u64, &'static str)>);

impl Source for Typist {
    fn ask_at(&self) -> u64 {
        self.0.front().map_or(u64::MAX, |next| next.0)
    }

    fn awake(&mut self, now: u64) -> Result<Option<Arrival>, coe::Error> {
        let typed = self.0.pop_front();
        Ok(typed.map(|(_, text)| Arrival::Typed {
            at: now,
            bytes: text.into(),
        }))
    }

    fn asleep(&mut self, _machine: Asleep) -> Result<Option<Arrival>, coe::Error> {
        Ok(None)
    }
}

/// Live input from before a snapshot is in the machine already, the rest is not.
#[test]
fn live_input_comes_once_whatever_a_replay_starts_from() {
    let setup = Setup {
        live: true,
        ..setup(tiny::ECHOES, 21_000_000)
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.coe");
    let every = NonZeroU64::new(5_000_000).expect("not zero");
    let writer = Writer::create(&path, &setup).expect("a trace can be started");
    let mut writer = writer.with_snapshots(every);
    let mut source = Typist(VecDeque::from([
        (2_000_000, "a"),
        (7_000_000, "bc"),
        (12_000_000, "d"),
        (17_000_000, "e"),
    ]));
    let finished = run::run_with(&setup, &mut source, &mut [&mut writer]).expect("it runs");
    writer.finish(&finished).expect("a trace can be ended");
    let trace = Trace::open(&path).expect("the trace opens");
    let (whole, heard) = replay_to(&trace, None);
    assert_eq!((whole.whole, &whole.finished), (true, &finished));
    let console = |event: &Event| match event.payload {
        Payload::Console(byte) => Some(char::from(byte)),
        _ => None,
    };
    let said = |events: &[Event]| events.iter().filter_map(console).collect::<String>();
    assert_eq!(said(&heard), "qabcde");
    for (to, from, expected) in [(9, 5, "qabc"), (14, 10, "qabcd"), (19, 15, "qabcde")] {
        let (part, heard) = replay_to(&trace, Some(to * 1_000_000));
        assert_eq!(
            (part.from / 1_000_000, said(&heard).as_str()),
            (from, expected)
        );
    }
}

/// What docs/trace-format.md says, once more: a preamble and chunks.
struct Taken {
    preamble: Vec<u8>,
    /// Kinds and unpacked data.
    chunks: Vec<(u8, Vec<u8>)>,
    /// The same data as they were stored: one of the many blocks that unpack to them.
    stored: Vec<Vec<u8>>,
}

impl Taken {
    fn apart(bytes: &[u8]) -> Taken {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let mut at = 16 + word(12) as usize + 4;
        let preamble = bytes[..at].to_vec();
        let (mut chunks, mut stored) = (Vec::new(), Vec::new());
        while at < bytes.len() {
            let (raw, len) = (word(at + 4) as usize, word(at + 8) as usize);
            let block = &bytes[at + 16..at + 16 + len];
            let data = lz4_flex::block::decompress(block, raw).expect("an LZ4 block");
            chunks.push((bytes[at], data));
            stored.push(block.to_vec());
            at += 16 + len;
        }
        Taken {
            preamble,
            chunks,
            stored,
        }
    }

    /// The first snapshot.
    fn snapshot(&mut self) -> &mut Vec<u8> {
        let snapshot = self.chunks.iter_mut().find(|chunk| chunk.0 == SNAPSHOT);
        &mut snapshot.expect("there is a snapshot").1
    }

    /// The file as it was, by what the documentation says.
    fn as_it_was(&self) -> Vec<u8> {
        self.file_of(&self.stored)
    }

    /// The file again, with all checksums right.
    fn together(&self) -> Vec<u8> {
        let packed = |chunk: &(u8, Vec<u8>)| lz4_flex::block::compress(&chunk.1);
        let stored: Vec<Vec<u8>> = self.chunks.iter().map(packed).collect();
        self.file_of(&stored)
    }

    fn file_of(&self, stored: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.preamble.clone();
        for ((kind, raw), stored) in self.chunks.iter().zip(stored) {
            let mut frame = vec![*kind, 0, 0, 0];
            frame.extend((raw.len() as u32).to_le_bytes());
            frame.extend((stored.len() as u32).to_le_bytes());
            let crc = crc32c::crc32c_append(crc32c::crc32c(&frame), stored);
            bytes.extend(frame);
            bytes.extend(crc.to_le_bytes());
            bytes.extend(stored);
        }
        bytes
    }
}

const SNAPSHOT: u8 = 8;

#[test]
fn a_trace_is_what_the_documentation_says() {
    let bytes = record(&setup(tiny::TICKER, 12_000_000), Some(5_000_000));
    let taken = Taken::apart(&bytes);
    assert_eq!(taken.as_it_was(), bytes);
    assert!(Trace::from_bytes(taken.together()).is_ok());
    let kinds: Vec<u8> = taken.chunks.iter().map(|chunk| chunk.0).collect();
    assert_eq!(kinds, [1, 2, 4, 4, 7, 8, 4, 7, 8, 4, 5]);
    let snapshots = taken.chunks.iter().filter(|chunk| chunk.0 == SNAPSHOT);
    let sizes: Vec<usize> = snapshots.map(|chunk| chunk.1.len()).collect();
    assert!(
        2 * sizes[1] < sizes[0],
        "the second continues the first: {sizes:?}"
    );
}

/// An initrd may be cut anywhere, as long as it comes to the header's length.
#[test]
fn an_initrd_in_pieces_is_the_initrd() {
    const INITRD: u8 = 3;
    let with_initrd = Setup {
        initrd: Some((0..200).collect()),
        ..setup(tiny::ECHO, 100_000)
    };
    let good = record(&with_initrd, None);
    let pieces = |pieces: &[&[u8]]| {
        let mut taken = Taken::apart(&good);
        let at = taken.chunks.iter().position(|chunk| chunk.0 == INITRD);
        let at = at.expect("there is an initrd");
        let pieces = pieces.iter().map(|piece| (INITRD, piece.to_vec()));
        taken.chunks.splice(at..=at, pieces);
        Trace::from_bytes(taken.together())
    };
    let whole: Vec<u8> = (0..200).collect();
    for cut in [1, 100, 199] {
        let trace = pieces(&[&whole[..cut], &whole[cut..]]).expect("it is whole");
        assert_eq!(trace.setup().initrd.as_deref(), Some(whole.as_slice()));
        replay_to(&trace, None);
    }
    let longer: &[&[u8]] = &[&whole[..100], &whole];
    let wrong: [&[&[u8]]; 5] = [
        longer,
        &[&whole[1..]],
        &[&whole, &whole[..1]],
        &[&[], &whole],
        &[],
    ];
    for parts in wrong {
        let items = pieces(parts).and_then(|trace| trace.items().collect::<Result<Vec<_>, _>>());
        let error = items.expect_err("it is not the initrd").to_string();
        assert!(
            error.contains("damaged") || error.contains("belongs here"),
            "{error}"
        );
    }
}

#[test]
fn no_flipped_byte_goes_unnoticed() {
    let good = record(&setup(tiny::ECHO, 100_000), None);
    let whole = items(&opened(&good));
    for at in 0..good.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            let Ok(trace) = Trace::from_bytes(bytes) else {
                continue;
            };
            let (good, bad): (Vec<_>, Vec<_>) = trace.items().partition(Result::is_ok);
            assert_eq!(bad.len(), 1, "byte {at}");
            let good: Vec<_> = good.into_iter().flatten().collect();
            assert!(
                whole.starts_with(&good),
                "byte {at}: what is read is what was written"
            );
            let error = replay::replay(&trace, None, &mut []).expect_err("it cannot replay");
            assert!(matches!(error, coe::Error::Trace(_)), "byte {at}: {error}");
        }
    }
}

#[test]
fn a_cut_trace_is_read_as_far_as_it_goes_and_never_replays() {
    let ticker = setup(tiny::TICKER, 16_000_000);
    cut(&record(&ticker, None), 1);
    cut(&record(&ticker, Some(10_000_000)), 61);
}

/// Cuts a trace at each multiple of `step` bytes.
fn cut(good: &[u8], step: usize) {
    let whole = items(&opened(good));
    let mut lengths = BTreeMap::new();
    for len in (0..good.len()).step_by(step) {
        let Ok(trace) = Trace::from_bytes(good[..len].to_vec()) else {
            continue;
        };
        let read: Vec<_> = trace.items().map_while(Result::ok).collect();
        assert!(whole.starts_with(&read), "{len}");
        lengths.insert(read.len(), len);
    }
    assert!(lengths.len() > 3, "{lengths:?}");
    for len in lengths.into_values() {
        let error = replay::replay(&opened(&good[..len]), None, &mut []).expect_err("it is cut");
        assert!(error.to_string().contains("cut off"), "{len}: {error}");
    }
}

/// Whoever changes a byte and corrects all checksums gets an error, a
/// divergence, or a trace of the same run: no panic, and no other run that is
/// called the recorded one.
#[test]
fn a_forged_byte_is_an_error_a_divergence_or_says_nothing_of_the_run() {
    let good = record(&setup(tiny::ECHO, 100_000), None);
    let (whole, mut taken) = (opened(&good), Taken::apart(&good));
    let mut harmless = 0;
    for chunk in 0..taken.chunks.len() {
        for at in 0..taken.chunks[chunk].1.len() {
            for flip in [0x01, 0x04, 0x80] {
                taken.chunks[chunk].1[at] ^= flip;
                harmless += usize::from(is_the_same_run(&taken.together(), &whole));
                taken.chunks[chunk].1[at] ^= flip;
            }
        }
    }
    // The title, the limit and the distance of digests may be another, and
    // live input may be announced that never comes.
    assert!((3..60).contains(&harmless), "{harmless}");
}

/// True if this is a trace that replays; then it has to be one of the same run.
fn is_the_same_run(bytes: &[u8], whole: &Trace) -> bool {
    let Ok(trace) = Trace::from_bytes(bytes.to_vec()) else {
        return false;
    };
    if replay::replay(&trace, None, &mut []).is_err() {
        return false;
    }
    assert_eq!(items(&trace), items(whole));
    let mut header = trace.header.clone();
    header.title.clone_from(&whole.header.title);
    header.limit = whole.header.limit;
    header.digest_every = whole.header.digest_every;
    header.live = whole.header.live;
    assert_eq!(header, whole.header);
    true
}

#[test]
fn a_forged_snapshot_is_refused() {
    let ticker = setup(tiny::TICKER, 16_000_000);
    let good = record(&ticker, Some(10_000_000));
    let with = |snapshot: Vec<u8>| {
        let mut taken = Taken::apart(&good);
        *taken.snapshot() = snapshot;
        let error = replay::replay(&opened(&taken.together()), Some(12_000_000), &mut []);
        error.expect_err("the snapshot is no good").to_string()
    };
    let other = |setup: &Setup| {
        let mut other = Taken::apart(&record(setup, Some(10_000_000)));
        with(other.snapshot().clone())
    };
    let said = other(&setup(tiny::FOREVER, 16_000_000));
    assert!(said.contains("no record speaks of it"), "{said}");
    let said = other(&Setup {
        cmdline: "optioN".to_owned(),
        ..ticker
    });
    assert!(said.contains("the recorded machine was another"), "{said}");
    let mut snapshot = Taken::apart(&good).snapshot().clone();
    let middle = snapshot.len() / 2;
    snapshot[middle] ^= 1;
    assert!(
        with(snapshot).contains("damaged"),
        "its own checksum is wrong"
    );
    assert!(with(Vec::new()).contains("cannot be used"));
}

/// A number that looks random and is the same each time.
fn scatter(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

#[test]
fn a_recording_that_is_killed_leaves_what_it_had() {
    const KILLS: u64 = 100;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("kernel"), tiny::kernel(tiny::TICKER)).expect("the kernel");
    let whole = spawn(folder.path(), "20000000", "whole.coe").wait();
    assert_eq!(whole.expect("coe ends").code(), Some(124));
    let len = fs::metadata(path("whole.coe")).expect("it is there").len();
    let whole = items(&Trace::open(&path("whole.coe")).expect("the whole trace opens"));
    let mut lengths = BTreeMap::new();
    for n in 0..KILLS {
        let mut child = spawn(folder.path(), "20000000000", "t.coe");
        let incomplete = path("t.coe.incomplete");
        // Half of the moments come early, the others when there are records.
        match n % 2 {
            0 => thread::sleep(Duration::from_micros(scatter(n) % 20_000)),
            _ => {
                let enough = len - scatter(n) % 2000;
                while fs::metadata(&incomplete).map_or(0, |meta| meta.len()) < enough {
                    thread::sleep(Duration::from_micros(scatter(n) % 1000));
                }
            }
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("it is dead");
        assert!(!path("t.coe").exists(), "an incomplete trace has no name");
        *lengths.entry(killed(&incomplete, &whole)).or_insert(0u32) += 1;
    }
    let (first, last) = (lengths.keys().next(), lengths.keys().last());
    assert!(first == Some(&None) && last > Some(&Some(0)), "{lengths:?}");
}

fn spawn(folder: &Path, cycles: &str, output: &str) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_coe"))
        .args([
            "record", "hello", "--kernel", "kernel", "--cycles", cycles, "-o", output,
        ])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("coe starts")
}

/// How many records a killed recording has left; they are those of the whole run.
fn killed(path: &Path, whole: &[Item]) -> Option<usize> {
    let bytes = fs::read(path).ok()?;
    fs::remove_file(path).expect("it can be removed");
    match Trace::from_bytes(bytes) {
        Err(error) => {
            let said = error.to_string();
            let plain = said.contains("cut off") || said.contains("not a trace");
            assert!(plain, "{said}");
            None
        }
        Ok(trace) => {
            let read: Vec<_> = trace.items().map_while(Result::ok).collect();
            let common = read.len().min(whole.len() - 2);
            assert_eq!(read[..common], whole[..common]);
            let error = replay::replay(&trace, Some(1), &mut []);
            assert!(error.is_ok() || read.is_empty());
            Some(read.len())
        }
    }
}
