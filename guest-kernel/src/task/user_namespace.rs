//! User namespaces: which ids and capabilities mean something to whom. The
//! tasks of a new one have all capabilities in it and none outside, and an id
//! means nothing there until somebody has written a map.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::credentials::{Cap, CapSet, Credentials};
use super::namespaces;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sync::{Once, SpinLock};

/// How deep they nest at most.
const DEPTH_MAX: u32 = 32;
/// How many lines a map has at most.
const EXTENTS_MAX: usize = 340;
/// Who somebody is whom a namespace does not know.
pub const NOBODY: u32 = 65534;
/// No id at all.
const INVALID: u32 = u32::MAX;

static FIRST: Once<Arc<UserNamespace>> = Once::new();

/// `count` ids from `inside` on are the first namespace's from `outside` on.
#[derive(Clone, Copy, Debug)]
struct Extent {
    inside: u32,
    outside: u32,
    count: u32,
}

/// Which ids there are; written once.
type Map = Vec<Extent>;

#[derive(Default)]
struct Maps {
    uids: Map,
    gids: Map,
    setgroups_denied: bool,
}

/// Which of the two maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `uid_map`.
    Uid,
    /// `gid_map`.
    Gid,
}

/// A user namespace.
pub struct UserNamespace {
    number: u64,
    parent: Option<Arc<UserNamespace>>,
    level: u32,
    owner: u32,
    owner_group: u32,
    maps: SpinLock<Maps>,
    _counted: Counted,
}

fn inward(map: &Map, id: u32) -> Option<u32> {
    let extent = map.iter().find(|extent| {
        id.checked_sub(extent.outside)
            .is_some_and(|at| at < extent.count)
    })?;
    Some(extent.inside + (id - extent.outside))
}

fn outward(map: &Map, id: u32) -> Option<u32> {
    let extent = map.iter().find(|extent| {
        id.checked_sub(extent.inside)
            .is_some_and(|at| at < extent.count)
    })?;
    Some(extent.outside + (id - extent.inside))
}

impl UserNamespace {
    /// The one in which the machine boots.
    #[must_use]
    pub fn first() -> Arc<Self> {
        if let Some(first) = FIRST.get() {
            return first.clone();
        }
        let first = Arc::new(UserNamespace {
            number: namespaces::FIRST_USER,
            parent: None,
            level: 0,
            owner: 0,
            owner_group: 0,
            maps: SpinLock::new(Maps::default()),
            _counted: Counted::new(Type::UserNamespace),
        });
        FIRST.set(first.clone());
        first
    }

    /// A child of the namespace of `maker`, who owns it.
    ///
    /// # Errors
    /// `ENOSPC` below too many others, `EPERM` if the maker itself is nobody
    /// in its own, `ENOMEM`.
    fn new(maker: &Credentials) -> Result<Arc<Self>> {
        frame::room()?;
        let parent = maker.user.clone();
        if parent.level > DEPTH_MAX {
            return Err(Errno::ENOSPC);
        }
        if parent.show_uid(maker.euid).is_none() || parent.show_gid(maker.egid).is_none() {
            return Err(Errno::EPERM);
        }
        let setgroups_denied = parent.maps.lock().setgroups_denied;
        Ok(Arc::new(UserNamespace {
            number: namespaces::next_number(),
            level: parent.level + 1,
            parent: Some(parent),
            owner: maker.euid,
            owner_group: maker.egid,
            maps: SpinLock::new(Maps {
                setgroups_denied,
                ..Maps::default()
            }),
            _counted: Counted::new(Type::UserNamespace),
        }))
    }

    /// Its number, as /proc shows it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many lie above it.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The one in which it was made.
    #[must_use]
    pub fn parent(&self) -> Option<&Arc<UserNamespace>> {
        self.parent.as_ref()
    }

    /// Who made it.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// True for the one of boot.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.parent.is_none()
    }

    /// The first namespace's user id that `uid` means here.
    #[must_use]
    pub fn mean_uid(&self, uid: u32) -> Option<u32> {
        if self.is_first() {
            return (uid != INVALID).then_some(uid);
        }
        outward(&self.maps.lock().uids, uid)
    }

    /// The first namespace's group id that `gid` means here.
    #[must_use]
    pub fn mean_gid(&self, gid: u32) -> Option<u32> {
        if self.is_first() {
            return (gid != INVALID).then_some(gid);
        }
        outward(&self.maps.lock().gids, gid)
    }

    /// What a user id of the first namespace is here, if it is anything.
    #[must_use]
    pub fn show_uid(&self, uid: u32) -> Option<u32> {
        if self.is_first() {
            return Some(uid);
        }
        inward(&self.maps.lock().uids, uid)
    }

    /// What a group id of the first namespace is here, if it is anything.
    #[must_use]
    pub fn show_gid(&self, gid: u32) -> Option<u32> {
        if self.is_first() {
            return Some(gid);
        }
        inward(&self.maps.lock().gids, gid)
    }

    /// A user id as it is told to tasks here.
    #[must_use]
    pub fn uid_or_nobody(&self, uid: u32) -> u32 {
        self.show_uid(uid).unwrap_or(NOBODY)
    }

    /// A group id as it is told to tasks here.
    #[must_use]
    pub fn gid_or_nobody(&self, gid: u32) -> u32 {
        self.show_gid(gid).unwrap_or(NOBODY)
    }

    /// Who is root here.
    #[must_use]
    pub fn root_uid(&self) -> Option<u32> {
        self.mean_uid(0)
    }

    /// True if tasks in it may set their further groups.
    #[must_use]
    pub fn allows_setgroups(&self) -> bool {
        let maps = self.maps.lock();
        (self.is_first() || !maps.gids.is_empty()) && !maps.setgroups_denied
    }

    /// The text of `setgroups` in /proc.
    #[must_use]
    pub fn setgroups_text(&self) -> &'static str {
        if self.maps.lock().setgroups_denied {
            "deny\n"
        } else {
            "allow\n"
        }
    }
}

/// The credentials of a task that begins a new user namespace: all
/// capabilities there, and none of its old ones.
///
/// # Errors
/// `ENOSPC`, `EPERM`, `ENOMEM`.
pub fn begin(old: &Credentials) -> Result<Credentials> {
    let user = UserNamespace::new(old)?;
    Ok(within(old, user))
}

/// The credentials of a task that has entered a user namespace.
#[must_use]
pub fn within(old: &Credentials, user: Arc<UserNamespace>) -> Credentials {
    let mut new = old.clone();
    new.securebits = 0;
    new.inheritable = CapSet::EMPTY;
    new.ambient = CapSet::EMPTY;
    new.permitted = CapSet::FULL;
    new.effective = CapSet::FULL;
    new.bounding = CapSet::FULL;
    new.user = user;
    new
}

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

impl UserNamespace {
    /// The group of who made it.
    #[must_use]
    pub fn owner_group(&self) -> u32 {
        self.owner_group
    }
}
