//! `mounts` and `mountinfo`: what a task sees mounted where.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME,
};

use super::task_directory::At;
use super::text::{Text, put};
use crate::errno::{Errno, Result};
use crate::fs::Place;
use crate::fs::inode::Kind;
use crate::fs::mount::Mount;
use crate::task::Task;

/// The words for flags, in Linux's order.
const WORDS: [(u32, &str); 6] = [
    (MS_NOSUID, ",nosuid"),
    (MS_NODEV, ",nodev"),
    (MS_NOEXEC, ",noexec"),
    (MS_NOATIME, ",noatime"),
    (MS_NODIRATIME, ",nodiratime"),
    (MS_RELATIME, ",relatime"),
];

/// The mounts that can be reached from a task's root, with their paths there.
fn seen(task: &Task) -> Result<Vec<(Arc<Mount>, Vec<u8>)>> {
    let root = task.folder().ok_or(Errno::EINVAL)?.lock().root.clone();
    let mut seen = Vec::new();
    for mount in root.mount().tree() {
        let path = if Arc::ptr_eq(&mount, root.mount()) {
            b"/".to_vec()
        } else {
            match mount.point() {
                Some(point) => point.path(&root),
                None => continue,
            }
        };
        if path.starts_with(b"/") {
            seen.push((mount, path));
        }
    }
    Ok(seen)
}

/// Bytes as these files have them: what would look like a border in octal.
fn put_escaped(text: &mut Text, bytes: &[u8]) -> Result<()> {
    for &byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => put!(text, "\\{byte:03o}"),
            _ => text.push(&[byte])?,
        }
    }
    Ok(())
}

fn put_flags(text: &mut Text, flags: u32) -> Result<()> {
    let access = if flags & MS_RDONLY != 0 { "ro" } else { "rw" };
    put!(text, "{access}");
    for (flag, word) in WORDS {
        if flags & flag != 0 {
            put!(text, "{word}");
        }
    }
    Ok(())
}

/// The path of a mount's beginning within its file system.
fn root_path(mount: &Mount) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = mount.root().clone();
    while !Arc::ptr_eq(&at, mount.super_block().root()) {
        let name = match at.kind() {
            Kind::Directory(directory) => directory.name(),
            _ => break,
        };
        names.push(name);
        match at.parent() {
            Some(parent) if !Arc::ptr_eq(&parent, &at) => at = parent,
            _ => break,
        }
    }
    let mut path = Vec::new();
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// `mounts`
pub(super) fn mounts(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    for (mount, path) in seen(task)? {
        let super_block = mount.super_block();
        put_escaped(text, super_block.source())?;
        text.push(b" ")?;
        put_escaped(text, &path)?;
        put!(text, " {} ", super_block.kind());
        put_flags(text, mount.flags() | super_block.flags())?;
        text.push(b" 0 0\n")?;
    }
    Ok(())
}

/// `mountinfo`
pub(super) fn mountinfo(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    for (mount, path) in seen(task)? {
        let super_block = mount.super_block();
        let above = mount.point().map(|point: Place| point.mount().id());
        let device = mount.root().device();
        put!(
            text,
            "{} {} ",
            mount.id(),
            above.unwrap_or_else(|| mount.id())
        );
        put!(text, "{}:{} ", device >> 8 & 0xFFF, device & 0xFF);
        put_escaped(text, &root_path(&mount))?;
        text.push(b" ")?;
        put_escaped(text, &path)?;
        text.push(b" ")?;
        put_flags(text, mount.flags())?;
        put!(text, " - {} ", super_block.kind());
        put_escaped(text, super_block.source())?;
        text.push(b" ")?;
        put_flags(text, super_block.flags() & MS_RDONLY)?;
        text.push(b"\n")?;
    }
    Ok(())
}
