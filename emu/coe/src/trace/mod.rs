//! Traces: everything about a run, in one file that replays anywhere.

mod chunk;
mod decode;
mod encode;
mod format;
mod frame;
mod packed;
mod preamble;
mod reader;
mod short;
mod snapshot;
mod writer;

pub use format::{CostVersion, Header, Place, Record, hash};
pub use preamble::{Version, WriterName};
pub use reader::{Item, Items, Trace};
pub use snapshot::Snapshot;
pub use writer::Writer;

use miette::Diagnostic;
use thiserror::Error;

use crate::exit::Code;

/// A build for fuzzing looks behind the checksums, which no mutation would hit.
#[allow(unexpected_cfgs, reason = "fuzz/run sets it, as cargo fuzz does")]
const FUZZING: bool = cfg!(fuzzing);

/// Why a trace cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic)]
pub enum TraceError {
    /// It does not begin as a trace does.
    #[error("this is not a trace of coe")]
    #[diagnostic(help("traces are made by `coe record SCENARIO -o FILE`"))]
    NotATrace,
    /// Another version of the format.
    #[error(
        "the trace has format version {found}, this {} reads version {}",
        WriterName::own(),
        Version::CURRENT
    )]
    #[diagnostic(help("use {writer}, or record the scenario again"))]
    Version {
        /// The trace's version.
        found: Version,
        /// The coe that wrote it.
        writer: String,
    },
    /// It ends in the middle.
    #[error("the trace is cut off: its chunk at byte {offset} is not whole")]
    #[diagnostic(help(
        "the recording was killed or the file was not copied whole; `coe trace` shows what is there, to replay record again"
    ))]
    CutOff {
        /// Where the chunk begins that is not whole.
        offset: usize,
    },
    /// Bytes have changed since it was written.
    #[error("the trace is damaged: the chunk at byte {offset}: {what}")]
    #[diagnostic(help("copy the file again, or record the scenario again"))]
    Damaged {
        /// Where the chunk begins.
        offset: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A chunk cannot hold that much.
    #[error("an image of {len} bytes is too large for a trace")]
    #[diagnostic(help("images up to 4 GiB can be recorded"))]
    TooLarge {
        /// The image's length.
        len: usize,
    },
    /// A value cannot be written down.
    #[error("a record could not be encoded")]
    #[diagnostic(help("this is a mistake in coe; please report it"))]
    Encode,
}

impl TraceError {
    /// A trace of another version, written by this coe if it says so.
    fn version(found: Version, writer: Option<WriterName>) -> TraceError {
        let writer = match writer {
            Some(name) => format!("{name}, which wrote it"),
            None => "the coe that wrote it".to_owned(),
        };
        TraceError::Version { found, writer }
    }

    /// The exit code that it ends `coe` with.
    #[must_use]
    pub fn exit_code(&self) -> Code {
        match self {
            TraceError::Encode => Code::Own,
            _ => Code::BadInput,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Kind;
    use crate::events::tests::boot;
    use crate::images::{Chooser, Setup};
    use crate::run::{Ending, Finished, Watcher};
    use crate::scenario::Hardware;

    fn setup() -> Setup {
        Setup {
            title: "t".to_owned(),
            scenario: "title = \"t\"".to_owned(),
            hardware: Hardware::default(),
            kernel: vec![1, 2, 3].into(),
            initrd: Some(vec![4; 1000]),
            cmdline: "sched=fifo".to_owned(),
            disk: Some(vec![0; 4096]),
            inputs: vec![(5, machine::Input::Console(b'x'))],
            live: false,
            chooser: Chooser::Defaults,
            limit: 9,
            engine: Kind::default(),
        }
    }

    fn finished() -> Finished {
        Finished {
            ending: Ending::Status(3),
            cycle: 8,
            retired: 7,
            digest: "d".to_owned(),
        }
    }

    fn recorded() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.coe");
        let mut writer = Writer::create(&path, &setup()).unwrap();
        for event in boot() {
            writer.event(&event);
        }
        assert!(!path.exists(), "a trace has its name only when it is whole");
        writer.finish(&finished()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::read(path).unwrap()
    }

    fn read(bytes: Vec<u8>) -> Result<Vec<Item>, TraceError> {
        Trace::from_bytes(bytes)?.items().collect()
    }

    #[test]
    fn what_was_recorded_is_read() {
        let trace = Trace::from_bytes(recorded()).unwrap();
        assert_eq!(
            (&trace.kernel, &trace.initrd, &trace.disk),
            (&setup().kernel, &setup().initrd, &setup().disk)
        );
        assert_eq!(trace.header, Header::new(&setup()));
        let mut expected: Vec<_> = boot()
            .into_iter()
            .map(|event| Item::Record(Record::Event(event)))
            .collect();
        expected.push(Item::End(finished()));
        assert_eq!(
            trace.items().collect::<Result<Vec<_>, _>>().unwrap(),
            expected
        );
    }

    #[test]
    fn recording_twice_gives_the_same_bytes() {
        assert_eq!(recorded(), recorded());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = recorded();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_is_noticed_and_whole_chunks_before_it_are_read() {
        let good = recorded();
        for len in 0..good.len() {
            let error = read(good[..len].to_vec()).unwrap_err();
            let expected = if len < 8 { "not a trace" } else { "cut off" };
            assert!(error.to_string().contains(expected), "{len}: {error}");
        }
        let trace = Trace::from_bytes(good[..good.len() - 1].to_vec()).unwrap();
        assert_eq!(trace.items().filter(Result::is_ok).count(), boot().len());
    }

    #[test]
    fn what_follows_the_end_is_refused() {
        let mut bytes = recorded();
        bytes.push(0);
        assert!(matches!(read(bytes), Err(TraceError::Damaged { .. })));
    }

    #[test]
    fn another_version_is_named_with_the_coe_that_wrote_it() {
        let own = super::preamble::write(Version::CURRENT, &WriterName::own());
        let newer = super::preamble::write(Version(77), &WriterName::own());
        let mut bytes = recorded();
        bytes.splice(..own.len(), newer);
        let error = read(bytes).unwrap_err();
        assert!(matches!(
            error,
            TraceError::Version {
                found: Version(77),
                ..
            }
        ));
        let help = error.help().unwrap().to_string();
        assert!(
            help.starts_with(&format!("use {}, which wrote it", WriterName::own())),
            "{help}"
        );
    }
}
