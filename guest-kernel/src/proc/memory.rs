//! A task's memory: `maps`, `statm`, and what exec has put there.

use alloc::sync::Arc;
use core::ops::Range;

use super::task_directory::At;
use super::text::{Text, put};
use crate::errno::Result;
use crate::fs::File;
use crate::mm::Mm;
use crate::mm::vma::{Prot, Vma};
use crate::task::{Task, current};

/// The column at which the names of areas begin.
const NAME_COLUMN: usize = 73;

/// `maps`: the areas of its address space.
pub(super) fn maps(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    let Some(mm) = task.mm() else {
        return Ok(());
    };
    let (areas, heap) = mm.areas()?;
    let stack = mm.image().stack;
    for area in &areas {
        put_area(area, &heap, stack, text)?;
    }
    Ok(())
}

fn put_area(area: &Vma, heap: &Range<u64>, stack: u64, text: &mut Text) -> Result<()> {
    let begin = text.len();
    let prot = if crate::mutant!("proc-maps-all-rights") {
        Prot::all()
    } else {
        area.prot
    };
    let may = |right, letter| {
        if prot.contains(right) { letter } else { '-' }
    };
    let source = area.source.as_ref();
    let file = source.and_then(|source| source.file.clone()?.downcast::<File>().ok());
    let offset = source.map_or(0, |source| source.first * 4096);
    let (device, inode) = file.as_ref().map_or((0, 0), |file| {
        (file.inode().device(), file.inode().number())
    });
    put!(
        text,
        "{:08x}-{:08x} {}{}{}{} {offset:08x} {:02x}:{:02x} {inode} ",
        area.start,
        area.end,
        may(Prot::READ, 'r'),
        may(Prot::WRITE, 'w'),
        may(Prot::EXEC, 'x'),
        if area.shared { 's' } else { 'p' },
        device >> 8 & 0xFFF,
        device & 0xFF,
    );
    let root = current().fs().lock().root.clone();
    let path = file.map(|file| file.path(&root));
    let name: &[u8] = match &path {
        Some(path) => path,
        None if area.start < heap.end && area.end > heap.start => b"[heap]",
        None if area.range().contains(&stack) => b"[stack]",
        None if area.shared => b"/dev/zero (deleted)",
        None => b"",
    };
    if !name.is_empty() {
        let width = NAME_COLUMN.saturating_sub(text.len() - begin);
        put!(text, "{:width$}", "");
        text.push(name)?;
    }
    text.push(b"\n")
}

/// `statm`: pages mapped, there, of files, of code, 0, data and stack, 0.
pub(super) fn statm(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    let usage = task.mm().map(|mm| mm.usage()).unwrap_or_default();
    let shared = usage.resident - usage.user_frames + usage.shared_frames;
    put!(
        text,
        "{} {} {shared} {} 0 {} 0\n",
        usage.pages,
        usage.resident,
        usage.code,
        usage.data + usage.stack
    );
    Ok(())
}

/// What lies in a task's memory between two addresses, if it can be read.
fn put_bytes(mm: &Mm, range: Range<u64>, text: &mut Text) -> Result<()> {
    let mut chunk = [0; 256];
    let mut at = range.start;
    while at < range.end {
        let part = &mut chunk[..(range.end - at).min(256) as usize];
        if mm.read_bytes(at, part).is_err() {
            break;
        }
        text.push(part)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// `cmdline`: the program's arguments, each ended by NUL.
pub(super) fn cmdline(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    match task.mm() {
        Some(mm) if crate::mutant!("proc-cmdline-is-environ") => {
            put_bytes(&mm, mm.image().env, text)
        }
        Some(mm) => put_bytes(&mm, mm.image().args, text),
        None => Ok(()),
    }
}

/// `environ`: the environment that the program began with.
pub(super) fn environ(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    match task.mm() {
        Some(mm) => put_bytes(&mm, mm.image().env, text),
        None => Ok(()),
    }
}

/// `auxv`: the auxiliary vector, as it lay on the first stack.
pub(super) fn auxv(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    if let Some(mm) = task.mm() {
        for word in mm.image().auxv.iter() {
            text.push(&word.to_le_bytes())?;
        }
    }
    Ok(())
}
