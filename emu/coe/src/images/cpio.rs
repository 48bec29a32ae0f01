//! Writes cpio archives in the format that the kernel's initrd has ("newc").

use std::collections::BTreeSet;

/// Every field of a header after the magic is eight hexadecimal digits.
const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
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

#[cfg(test)]
mod tests {
    use super::Archive;

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
}
