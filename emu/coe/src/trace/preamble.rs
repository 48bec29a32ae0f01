//! What every trace of every version begins with, and no version may change.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FUZZING, TraceError};

/// The first bytes of every trace.
const MAGIC: [u8; 8] = *b"coe\x1atrc\n";

/// The longest name of a writer, in bytes.
const LONGEST_WRITER: usize = 255;

/// A version of the format. A reader takes its own and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u32);

impl Version {
    /// The version that is written. What each one brought stands in
    /// `docs/trace-format.md`.
    pub const CURRENT: Version = Version(5);

    /// The last version whose preamble did not name its writer.
    const NAMELESS: Version = Version(2);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The `coe` that wrote a trace, in words: `coe 0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterName(String);

impl WriterName {
    /// This coe.
    #[must_use]
    pub fn own() -> WriterName {
        WriterName(concat!("coe ", env!("CARGO_PKG_VERSION")).to_owned())
    }

    /// A name from a file, as far as a terminal can show it.
    fn read(bytes: &[u8]) -> WriterName {
        let text = String::from_utf8_lossy(bytes);
        WriterName(text.chars().filter(|c| !c.is_control()).collect())
    }
}

impl fmt::Display for WriterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Magic, version, the writer's name, and a checksum of all that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Preamble {
    pub(super) version: Version,
    /// Who wrote the trace, if its preamble says so.
    pub(super) writer: Option<WriterName>,
    /// How many bytes it takes.
    pub(super) len: usize,
}

/// A preamble of this version by this writer.
pub(super) fn write(version: Version, writer: &WriterName) -> Vec<u8> {
    let name = writer.0.as_bytes();
    let name = &name[..name.len().min(LONGEST_WRITER)];
    let mut bytes = MAGIC.to_vec();
    bytes.extend(version.0.to_le_bytes());
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend(name);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// The preamble of a trace of any version.
pub(super) fn read(bytes: &[u8]) -> Result<Preamble, TraceError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(TraceError::NotATrace);
    }
    let version = Version(word(bytes, 8)?);
    if version <= Version::NAMELESS {
        check(bytes, 12)?;
        return Ok(Preamble {
            version,
            writer: None,
            len: 16,
        });
    }
    let len = word(bytes, 12)? as usize;
    if len > LONGEST_WRITER {
        return Err(damaged("the writer's name is too long"));
    }
    check(bytes, 16 + len)?;
    Ok(Preamble {
        version,
        writer: Some(WriterName::read(&bytes[16..16 + len])),
        len: 16 + len + 4,
    })
}

/// Holds the first `len` bytes against the checksum that follows them.
fn check(bytes: &[u8], len: usize) -> Result<(), TraceError> {
    let crc = word(bytes, len)?;
    if FUZZING || crc32c::crc32c(&bytes[..len]) == crc {
        Ok(())
    } else {
        Err(damaged("its checksum is wrong"))
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, TraceError> {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map(u32::from_le_bytes)
        .ok_or(TraceError::CutOff { offset: 0 })
}

fn damaged(what: &'static str) -> TraceError {
    TraceError::Damaged { offset: 0, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preamble_of_any_version_is_read() {
        for version in [3, 4, 77, u32::MAX] {
            let writer = WriterName("coe 9.8.7".to_owned());
            let bytes = write(Version(version), &writer);
            let expected = Preamble {
                version: Version(version),
                writer: Some(writer),
                len: bytes.len(),
            };
            assert_eq!(read(&bytes), Ok(expected));
        }
    }

    /// These bytes are a promise: no version may begin in another way.
    #[test]
    fn the_preamble_has_these_bytes() {
        let bytes = write(Version(3), &WriterName("coe 0.1.0".to_owned()));
        let (body, crc) = bytes.split_at(bytes.len() - 4);
        assert_eq!(body, b"coe\x1atrc\n\x03\0\0\0\x09\0\0\0coe 0.1.0");
        assert_eq!(crc, crc32c::crc32c(body).to_le_bytes());
    }

    #[test]
    fn versions_that_did_not_name_their_writer_are_read() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        let preamble = read(&bytes).unwrap();
        assert_eq!((preamble.version, preamble.writer), (Version(2), None));
    }

    #[test]
    fn a_name_cannot_play_tricks_on_a_terminal() {
        let name = WriterName("coe\x1b[2J 1".to_owned());
        let read = read(&write(Version(3), &name)).unwrap();
        assert_eq!(read.writer.unwrap().to_string(), "coe[2J 1");
    }
}
