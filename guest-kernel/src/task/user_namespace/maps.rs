//! The maps of a user namespace, as somebody writes them into /proc, and
//! whether they may.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Extent, INVALID, Map, MapKind, UserNamespace, outward};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::task::credentials::{Cap, Credentials};

/// How many lines a map has at most.
const EXTENTS_MAX: usize = 340;

/// Sets a namespace's map from the text that somebody wrote into `uid_map` or
/// `gid_map`. `opener` is who opened that file, `writer` who writes to it.
///
/// # Errors
/// `EINVAL` for a text that is no map; `EPERM` for a second one, and for a
/// writer that may not set it or not this one.
pub fn write_map(
    namespace: &Arc<UserNamespace>,
    kind: MapKind,
    text: &[u8],
    opener: &Credentials,
    writer: &Credentials,
) -> Result<()> {
    frame::room()?;
    let parent = namespace.parent().ok_or(Errno::EPERM)?;
    let mut extents = parse(text)?;
    let related = Arc::ptr_eq(&writer.user, namespace) || Arc::ptr_eq(&writer.user, parent);
    if !related || !writer.capable_in(namespace, Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    if !may_map(namespace, kind, &extents, opener, writer) {
        return Err(Errno::EPERM);
    }
    for extent in &mut extents {
        extent.outside = reach(parent, kind, *extent).ok_or(Errno::EPERM)?;
    }
    let mut maps = namespace.maps.lock();
    let map = match kind {
        MapKind::Uid => &mut maps.uids,
        MapKind::Gid => &mut maps.gids,
    };
    if !map.is_empty() && !crate::mutant!("uid-map-written-twice") {
        return Err(Errno::EPERM);
    }
    *map = extents;
    Ok(())
}

/// The lines of a map: three numbers each, none of them overlapping another.
fn parse(text: &[u8]) -> Result<Map> {
    let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    if text.len() >= 4096 {
        return Err(Errno::EINVAL);
    }
    let mut map = Map::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        let mut words = line.split_ascii_whitespace();
        let mut number = || words.next()?.parse::<u32>().ok();
        let extent = number()
            .zip(number())
            .zip(number())
            .filter(|_| words.next().is_none());
        let ((inside, outside), count) = extent.ok_or(Errno::EINVAL)?;
        let fits = |start: u32| start.checked_add(count).is_some();
        let meets = |old: &Extent| {
            let apart = |a: u32, b: u32| a + old.count <= b || b + count <= a;
            !apart(old.inside, inside) || !apart(old.outside, outside)
        };
        let invalid = inside == INVALID || outside == INVALID || count == 0;
        if invalid || !fits(inside) || !fits(outside) || map.iter().any(meets) {
            return Err(Errno::EINVAL);
        }
        if map.len() == EXTENTS_MAX {
            return Err(Errno::EINVAL);
        }
        map.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        map.push(Extent {
            inside,
            outside,
            count,
        });
    }
    Ok(map)
}

/// Anybody may map their own id alone; more needs a capability in the parent.
fn may_map(
    namespace: &Arc<UserNamespace>,
    kind: MapKind,
    map: &Map,
    opener: &Credentials,
    writer: &Credentials,
) -> bool {
    let Some(parent) = namespace.parent() else {
        return false;
    };
    if let [only] = map.as_slice()
        && only.count == 1
        && writer.euid == namespace.owner
    {
        let own = match kind {
            MapKind::Uid => parent.mean_uid(only.outside) == Some(writer.euid),
            MapKind::Gid => {
                let denied = namespace.maps.lock().setgroups_denied;
                denied && parent.mean_gid(only.outside) == Some(writer.egid)
            }
        };
        if own {
            return true;
        }
    }
    let cap = match kind {
        MapKind::Uid => Cap::Setuid,
        MapKind::Gid => Cap::Setgid,
    };
    writer.capable_in(parent, cap) && opener.capable_in(parent, cap)
}

/// The first namespace's id at which a range of the parent's begins, if one
/// line of the parent's map holds all of it.
fn reach(parent: &UserNamespace, kind: MapKind, extent: Extent) -> Option<u32> {
    if parent.is_first() {
        return Some(extent.outside);
    }
    let maps = parent.maps.lock();
    let map = match kind {
        MapKind::Uid => &maps.uids,
        MapKind::Gid => &maps.gids,
    };
    let first = outward(map, extent.outside)?;
    let last = outward(map, extent.outside + (extent.count - 1))?;
    (last - first == extent.count - 1).then_some(first)
}

/// The lines of a map as `reader` sees them: inside, outside, count. Outside
/// is what the ids are to the reader, or to the parent if the reader is inside.
#[must_use]
pub fn map_lines(
    namespace: &Arc<UserNamespace>,
    kind: MapKind,
    reader: &Credentials,
) -> Vec<(u32, u32, u32)> {
    if namespace.is_first() {
        return alloc::vec![(0, 0, INVALID)];
    }
    let lower = match namespace.parent() {
        Some(parent) if Arc::ptr_eq(&reader.user, namespace) => parent,
        _ => &reader.user,
    };
    let extents = {
        let maps = namespace.maps.lock();
        match kind {
            MapKind::Uid => maps.uids.clone(),
            MapKind::Gid => maps.gids.clone(),
        }
    };
    let shown = |id| match kind {
        MapKind::Uid => lower.show_uid(id),
        MapKind::Gid => lower.show_gid(id),
    };
    let lines = extents.iter();
    lines
        .map(|extent| {
            let outside = shown(extent.outside).unwrap_or(INVALID);
            (extent.inside, outside, extent.count)
        })
        .collect()
}

/// Takes what somebody wrote into `setgroups`.
///
/// # Errors
/// `EINVAL` for another word than `allow` or `deny`; `EPERM` for `deny` once
/// groups are mapped, for `allow` after `deny`, and without the capability.
pub fn write_setgroups(
    namespace: &Arc<UserNamespace>,
    text: &[u8],
    writer: &Credentials,
) -> Result<()> {
    if !writer.capable_in(namespace, Cap::SysAdmin) {
        return Err(Errno::EACCES);
    }
    let mut maps = namespace.maps.lock();
    match text.trim_ascii_end() {
        b"allow" if maps.setgroups_denied => Err(Errno::EPERM),
        b"allow" => Ok(()),
        b"deny" if namespace.is_first() || !maps.gids.is_empty() => Err(Errno::EPERM),
        b"deny" => {
            maps.setgroups_denied = true;
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}
