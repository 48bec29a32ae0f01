//! The initrd: cpio archives in the "newc" format become the first files.
//!
//! Archives follow each other, with zeros between them; what a later one
//! holds replaces what an earlier one held.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use linux_raw_sys::general::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

use super::attributes::PERMISSIONS;
use super::hooks::Timestamp;
use super::inode::{Inode, Kind};
use super::regular::Regular;

const HEADER: usize = 110;
const FIELDS: usize = 13;
const MAGIC: &[u8] = b"070701";
const MAGIC_WITH_CHECKSUM: &[u8] = b"070702";
const TRAILER: &[u8] = b"TRAILER!!!";

/// What is wrong with an archive.
#[derive(Debug)]
pub struct Damaged {
    /// What is wrong.
    pub what: &'static str,
    /// At which byte of the initrd.
    pub at: usize,
}

struct Header {
    inode: u32,
    mode: u32,
    links: u32,
    modified: u32,
    size: usize,
    device: (u32, u32),
    name_size: usize,
}

struct Entry {
    header: Header,
    name: &'static [u8],
    data: &'static [u8],
    /// Where the next header begins.
    next: usize,
}

/// The files of one archive that have further names, by device and inode.
type Linked = BTreeMap<(u32, u32, u32), Arc<Inode>>;

/// Enters every file of the archives under `root`.
///
/// # Errors
/// The first thing that is wrong.
pub fn unpack(root: &Arc<Inode>, archives: &'static [u8]) -> Result<(), Damaged> {
    let mut linked = Linked::new();
    let mut at = 0;
    while at < archives.len() {
        if archives[at] == 0 {
            at += 1;
            continue;
        }
        let entry = entry(archives, at)?;
        if entry.name == TRAILER {
            linked.clear();
        } else {
            create(root, &entry, &mut linked, at)?;
        }
        at = entry.next;
    }
    Ok(())
}

fn entry(archives: &'static [u8], at: usize) -> Result<Entry, Damaged> {
    let cut = |what| Damaged { what, at };
    let bytes = archives.get(at..at + HEADER);
    let bytes = bytes.ok_or(cut("a cpio header is cut off"))?;
    let header = header(bytes).ok_or(cut("this is no cpio archive in the newc format"))?;
    let name_at = at + HEADER;
    let name = archives.get(name_at..name_at.saturating_add(header.name_size));
    let name = name.ok_or(cut("a cpio entry's name is cut off"))?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or(name);
    let data_at = name_at + header.name_size + padding(HEADER + header.name_size);
    let data = archives.get(data_at..data_at.saturating_add(header.size));
    let data = data.ok_or(cut("a cpio entry's contents are cut off"))?;
    let next = data_at + header.size + padding(header.size);
    Ok(Entry {
        header,
        name,
        data,
        next,
    })
}

/// Zeros behind a header with its name, or contents, of this length: both
/// begin on a multiple of four in their archive.
fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}

fn header(bytes: &[u8]) -> Option<Header> {
    let (magic, digits) = bytes.split_at(MAGIC.len());
    if magic != MAGIC && magic != MAGIC_WITH_CHECKSUM {
        return None;
    }
    let mut fields = [0; FIELDS];
    for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(8)) {
        *field = hexadecimal(digits)?;
    }
    let [
        inode,
        mode,
        _,
        _,
        links,
        modified,
        size,
        major,
        minor,
        _,
        _,
        name_size,
        _,
    ] = fields;
    Some(Header {
        inode,
        mode,
        links,
        modified,
        size: size as usize,
        device: (major, minor),
        name_size: name_size as usize,
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(digits).ok()?;
    u32::from_str_radix(text, 16).ok()
}

fn create(root: &Arc<Inode>, entry: &Entry, linked: &mut Linked, at: usize) -> Result<(), Damaged> {
    let header = &entry.header;
    let (parent, name) = place(root, entry.name);
    let Kind::Directory(entries) = parent.kind() else {
        return Ok(());
    };
    let modified = Timestamp {
        seconds: i64::from(header.modified),
        nanoseconds: 0,
    };
    let permissions = header.mode & PERMISSIONS;
    match header.mode & S_IFMT {
        // The root itself, or a directory that an earlier entry implied.
        S_IFDIR if name.is_empty() || entries.get(name).is_some_and(|old| old.is_directory()) => {}
        S_IFDIR => entries.replace(name, Inode::new_directory(&parent, name, permissions)),
        S_IFLNK => {
            let kind = Kind::Symlink(entry.data.into());
            entries.replace(name, Inode::new_dated(kind, 0o777, modified));
        }
        S_IFREG => {
            let file = || {
                let kind = Kind::Regular(Regular::new(entry.data));
                Inode::new_dated(kind, permissions, modified)
            };
            if header.links > 1 {
                link(&parent, name, entry, linked, file);
            } else {
                entries.replace(name, file());
            }
        }
        _ => {
            return Err(Damaged {
                what: "a cpio entry is neither file, directory nor symbolic link",
                at,
            });
        }
    }
    Ok(())
}

/// Enters one of several names of a file; the last one brings the contents.
fn link(
    parent: &Arc<Inode>,
    name: &[u8],
    entry: &Entry,
    linked: &mut Linked,
    file: impl Fn() -> Arc<Inode>,
) {
    let Kind::Directory(entries) = parent.kind() else {
        return;
    };
    let header = &entry.header;
    let key = (header.device.0, header.device.1, header.inode);
    match linked.get(&key) {
        Some(first) => {
            if let (Some(regular), false) = (first.regular(), entry.data.is_empty()) {
                regular.begin_as(entry.data);
            }
            first.linked();
            entries.replace(name, first.clone());
        }
        None => {
            let first = file();
            linked.insert(key, first.clone());
            entries.replace(name, first);
        }
    }
}

/// The directory of a path, made if it is missing, and the last name.
fn place<'a>(root: &Arc<Inode>, path: &'a [u8]) -> (Arc<Inode>, &'a [u8]) {
    let mut names = names(path);
    let name = names.next_back().unwrap_or(&[]);
    let mut at = root.clone();
    for name in names {
        at = child_directory(&at, name);
    }
    (at, name)
}

/// The directory with this path, made if it is missing.
pub fn directory_at(root: &Arc<Inode>, path: &[u8]) -> Arc<Inode> {
    names(path).fold(root.clone(), |at, name| child_directory(&at, name))
}

fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !name.is_empty() && *name != b"." && *name != b"..")
}

fn child_directory(parent: &Arc<Inode>, name: &[u8]) -> Arc<Inode> {
    let Kind::Directory(entries) = parent.kind() else {
        return parent.clone();
    };
    match entries.get(name) {
        Some(child) if child.is_directory() => child,
        _ => {
            let child = Inode::new_directory(parent, name, 0o755);
            entries.replace(name, child.clone());
            child
        }
    }
}
