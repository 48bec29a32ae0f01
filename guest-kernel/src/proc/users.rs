//! `uid_map`, `gid_map`, `setgroups`: what a task's user namespace makes of ids.

use alloc::sync::Arc;

use super::task_directory::At;
use super::text::{Text, put};
use crate::errno::{Errno, Result};
use crate::task::credentials::Credentials;
use crate::task::user_namespace::{self, MapKind};
use crate::task::{Task, current};

fn map(task: &Task, kind: MapKind, text: &mut Text) -> Result<()> {
    let namespace = task.credentials().user.clone();
    let reader = current().credentials();
    for (inside, outside, count) in user_namespace::maps::map_lines(&namespace, kind, &reader) {
        put!(text, "{inside:10} {outside:10} {count:10}\n");
    }
    Ok(())
}

fn set_map(at: &At, kind: MapKind, bytes: &[u8], place: u64, opener: &Credentials) -> Result<()> {
    if place != 0 {
        return Err(Errno::EINVAL);
    }
    let namespace = at.task()?.credentials().user.clone();
    let writer = current().credentials();
    user_namespace::maps::write_map(&namespace, kind, bytes, opener, &writer)
}

pub(super) fn uid_map(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    map(task, MapKind::Uid, text)
}

pub(super) fn set_uid_map(at: &At, bytes: &[u8], place: u64, opener: &Credentials) -> Result<()> {
    set_map(at, MapKind::Uid, bytes, place, opener)
}

pub(super) fn gid_map(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    map(task, MapKind::Gid, text)
}

pub(super) fn set_gid_map(at: &At, bytes: &[u8], place: u64, opener: &Credentials) -> Result<()> {
    set_map(at, MapKind::Gid, bytes, place, opener)
}

pub(super) fn setgroups(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    text.push(task.credentials().user.setgroups_text().as_bytes())
}

pub(super) fn set_setgroups(at: &At, bytes: &[u8], place: u64, _: &Credentials) -> Result<()> {
    if place != 0 {
        return Err(Errno::EINVAL);
    }
    let namespace = at.task()?.credentials().user.clone();
    user_namespace::maps::write_setgroups(&namespace, bytes, &current().credentials())
}
