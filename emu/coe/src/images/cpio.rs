//! Writes cpio archives in the format that the kernel's initrd has ("newc").

use std::collections::BTreeSet;
use std::ops::Range;

/// Every field of a header after the magic is eight hexadecimal digits.
const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
/// Bytes of a header: the magic and thirteen fields.
const HEADER: usize = 110;
/// The fields, counted from 0, that hold the lengths of contents and name.
const SIZE: usize = 6;
const NAME_SIZE: usize = 11;
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// An archive that is being written. Folders are put in before what they hold.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    /// An archive for these files' contents, which it need not be moved for.
    #[must_use]
    pub fn with_room(contents: impl Iterator<Item = usize>) -> Archive {
        /// More than a header and a name usually take.
        const ENTRY: usize = 256;
        Archive {
            bytes: Vec::with_capacity(contents.map(|len| len + ENTRY).sum::<usize>() + ENTRY),
            ..Archive::default()
        }
    }

    /// Adds a file that can be run.
    pub fn program(&mut self, path: &str, contents: &[u8]) {
        self.file(path, PROGRAM, contents);
    }

    /// Adds a file.
    pub fn data(&mut self, path: &str, contents: &[u8]) {
        self.file(path, FILE, contents);
    }

    /// The whole archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.inode = 0;
        self.entry(TRAILER, 0, 1, &[]);
        self.bytes
    }

    fn file(&mut self, path: &str, mode: u32, contents: &[u8]) {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            if self.folders.insert(path[..at].to_owned()) {
                self.inode += 1;
                self.entry(&path[..at], FOLDER, 2, &[]);
            }
        }
        self.inode += 1;
        self.entry(path, mode, 1, contents);
    }

    fn entry(&mut self, name: &str, mode: u32, links: u32, contents: &[u8]) {
        let size = contents.len() as u32;
        let name_size = name.len() as u32 + 1;
        let fields = [
            self.inode, mode, 0, 0, links, 0, // no owner, no time
            size, 0, 0, 0, 0, name_size, 0,
        ];
        self.bytes.extend(MAGIC.bytes());
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    /// Names and contents end at a multiple of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// One entry of an archive, and where the next one begins.
struct Entry<'a> {
    name: &'a [u8],
    contents: &'a [u8],
    place: Range<usize>,
    next: usize,
}

impl Entry<'_> {
    fn is_trailer(&self) -> bool {
        self.name == TRAILER.as_bytes()
    }
}

/// The entry that begins here; nothing if it is not whole.
fn entry(bytes: &[u8], at: usize) -> Option<Entry<'_>> {
    let header = bytes.get(at..at.checked_add(HEADER)?)?;
    if !header.starts_with(MAGIC.as_bytes()) {
        return None;
    }
    let field = |n: usize| {
        let digits = std::str::from_utf8(&header[MAGIC.len() + n * 8..][..8]).ok()?;
        usize::from_str_radix(digits, 16).ok()
    };
    let (size, name_size) = (field(SIZE)?, field(NAME_SIZE)?);
    let name_end = (at + HEADER).checked_add(name_size)?;
    let data = name_end.checked_next_multiple_of(4)?;
    let end = data.checked_add(size)?;
    Some(Entry {
        name: bytes.get(at + HEADER..name_end)?.strip_suffix(&[0])?,
        contents: bytes.get(data..end)?,
        place: data..end,
        next: end.checked_next_multiple_of(4)?,
    })
}

/// Takes the first of several archives that stand one behind the other; nothing
/// if the bytes do not begin with a whole archive.
#[must_use]
pub fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        let entry = entry(bytes, at)?;
        at = entry.next;
        if entry.is_trailer() {
            return bytes.split_at_checked(at);
        }
    }
}

/// Where the contents of each entry lie, as far as the entries are whole.
pub fn places(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let entry = entry(bytes, at)?;
        at = entry.next;
        Some(entry.place)
    })
}

/// The files of archives that stand one behind the other, by their absolute
/// paths, up to the first entry that is not whole. The last one of a path is
/// the one that the kernel keeps.
pub fn files(bytes: &[u8]) -> impl Iterator<Item = (String, &[u8])> {
    let mut at = 0;
    let entries = std::iter::from_fn(move || {
        let entry = entry(bytes, at)?;
        at = entry.next;
        Some(entry)
    });
    entries.filter(|entry| !entry.is_trailer()).map(|entry| {
        (
            format!("/{}", String::from_utf8_lossy(entry.name)),
            entry.contents,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Archive, files, split};

    /// Reads an archive again, as (name, mode, contents).
    fn read(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        loop {
            let field = |n: usize| {
                let from = at + 6 + n * 8;
                u32::from_str_radix(std::str::from_utf8(&bytes[from..from + 8]).unwrap(), 16)
                    .unwrap()
            };
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = String::from_utf8(bytes[at + 110..at + 109 + name_size].to_vec()).unwrap();
            let data = (at + 110 + name_size).next_multiple_of(4);
            at = (data + size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(at, bytes.len());
                return entries;
            }
            entries.push((name, mode, bytes[data..data + size].to_vec()));
        }
    }

    #[test]
    fn what_was_written_can_be_read() {
        let mut archive = Archive::default();
        archive.program("/bin/a", b"12345");
        archive.program("/bin/b", b"");
        archive.data("/etc/coe/argv", b"/bin/a\0");
        let entries = read(&archive.finish());
        let names: Vec<_> = entries
            .iter()
            .map(|(name, mode, _)| (name.as_str(), *mode))
            .collect();
        assert_eq!(
            names,
            [
                ("bin", 0o040_755),
                ("bin/a", 0o100_755),
                ("bin/b", 0o100_755),
                ("etc", 0o040_755),
                ("etc/coe", 0o040_755),
                ("etc/coe/argv", 0o100_644),
            ]
        );
        assert_eq!(entries[1].2, b"12345");
        assert_eq!(entries[5].2, b"/bin/a\0");
    }

    #[test]
    fn the_first_archive_ends_where_the_second_begins() {
        let mut first = Archive::default();
        first.program("/bin/a", b"12345");
        let first = first.finish();
        let mut second = Archive::default();
        second.data("/x", b"1");
        let second = second.finish();
        let both = [first.clone(), second.clone()].concat();
        assert_eq!(split(&both), Some((first.as_slice(), second.as_slice())));
        let names: Vec<_> = files(&both).map(|(name, _)| name).collect();
        assert_eq!(names, ["/bin", "/bin/a", "/x"]);
        assert_eq!(files(&both).nth(1).unwrap().1, b"12345");
        for len in 0..first.len() {
            assert_eq!(split(&first[..len]), None, "{len}");
        }
    }
}
