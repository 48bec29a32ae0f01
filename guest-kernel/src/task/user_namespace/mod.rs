//! User namespaces: which ids and capabilities mean something to whom. The
//! tasks of a new one have all capabilities in it and none outside, and an id
//! means nothing there until somebody has written a map.

pub mod maps;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::credentials::{CapSet, Credentials};
use super::namespaces;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sync::{Once, SpinLock};

/// How deep they nest at most.
const DEPTH_MAX: u32 = 32;
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
