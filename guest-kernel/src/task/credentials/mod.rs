//! Who a task is to permission checks. A value of it never changes: a task that
//! becomes somebody else gets a new one as a whole, so whoever holds one sees
//! no half of a change, and the tasks of a group are somebody each for itself.
//!
//! | file | what |
//! |---|---|
//! | this one | the value, and what may be asked of it |
//! | `change` | the set*id family, further groups |
//! | `capabilities` | capset, the bounding and ambient sets, securebits |
//! | `program` | what exec makes of it: set-user-id programs, root's capabilities |
//!
//! All ids in here are those of the first user namespace. System calls
//! translate them with [`Credentials::user`].

pub mod capabilities;
pub mod change;
pub mod program;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use crate::fs::capability::{Cap, CapSet};

use super::user_namespace::UserNamespace;
use crate::count::{Counted, Type};
use crate::fs::permission::{Owner, Subject};

/// Supplementary groups, in order.
pub type Groups = Arc<Vec<u32>>;

/// Who a task is.
#[derive(Clone)]
pub struct Credentials {
    /// Real user id: whose the task is.
    pub uid: u32,
    /// Effective user id: for whom it acts.
    pub euid: u32,
    /// Saved user id: to whom it may return.
    pub suid: u32,
    /// The user id that files see.
    pub fsuid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Saved group id.
    pub sgid: u32,
    /// The group id that files see.
    pub fsgid: u32,
    /// Further groups, in order.
    pub groups: Groups,
    /// Capabilities that it may make effective.
    pub permitted: CapSet,
    /// Capabilities that count.
    pub effective: CapSet,
    /// Capabilities that a program may keep if its file says so.
    pub inheritable: CapSet,
    /// What exec can give at most.
    pub bounding: CapSet,
    /// Capabilities that any program keeps.
    pub ambient: CapSet,
    /// SECBIT_*: how far user id 0 is special.
    pub securebits: u32,
    /// Set for good: exec gives no more than there was.
    pub no_new_privileges: bool,
    /// Where the ids and capabilities mean something.
    pub user: Arc<UserNamespace>,
    _counted: Counted,
}

impl Credentials {
    /// Root, of whom all others come.
    #[must_use]
    pub fn first() -> Self {
        Credentials {
            uid: 0,
            euid: 0,
            suid: 0,
            fsuid: 0,
            gid: 0,
            egid: 0,
            sgid: 0,
            fsgid: 0,
            groups: Arc::new(Vec::new()),
            permitted: CapSet::FULL,
            effective: CapSet::FULL,
            inheritable: CapSet::EMPTY,
            bounding: CapSet::FULL,
            ambient: CapSet::EMPTY,
            securebits: 0,
            no_new_privileges: false,
            user: UserNamespace::first(),
            _counted: Counted::new(Type::Credentials),
        }
    }

    /// True if it has a capability over the whole machine: one that counts in
    /// the first user namespace.
    #[must_use]
    pub fn capable(&self, cap: Cap) -> bool {
        self.user.is_first() && self.effective.has(cap)
    }

    /// True if it has a capability in its own user namespace.
    #[must_use]
    pub fn capable_here(&self, cap: Cap) -> bool {
        self.effective.has(cap)
    }

    /// True if it has a capability over what belongs to a user namespace: it
    /// is in that one, or is the one who made it or an ancestor of it, or has
    /// the capability in such an ancestor.
    #[must_use]
    pub fn capable_in(&self, namespace: &Arc<UserNamespace>, cap: Cap) -> bool {
        let mut at = namespace;
        loop {
            if Arc::ptr_eq(at, &self.user) {
                return self.effective.has(cap);
            }
            if at.level() <= self.user.level() {
                return false;
            }
            let Some(parent) = at.parent() else {
                return false;
            };
            if Arc::ptr_eq(parent, &self.user) && at.owner() == self.euid {
                return true;
            }
            at = parent;
        }
    }

    /// True if that group is its effective one, or among the further ones.
    #[must_use]
    pub fn is_in_group(&self, gid: u32) -> bool {
        gid == self.egid || self.groups.binary_search(&gid).is_ok()
    }

    /// True if it may send signals to, or look into, whoever is `other`.
    #[must_use]
    pub fn may_signal(&self, other: &Credentials) -> bool {
        let same = |id| id == other.suid || id == other.uid;
        same(self.euid) || same(self.uid) || self.capable_in(&other.user, Cap::Kill)
    }

    /// The same one as access(2) asks for: by its real ids.
    #[must_use]
    pub fn real(&self) -> Credentials {
        let mut real = self.clone();
        real.fsuid = self.uid;
        real.fsgid = self.gid;
        if self.securebits & capabilities::NO_SETUID_FIXUP == 0 {
            let root = self.user.root_uid();
            real.effective = if Some(self.uid) == root {
                self.permitted
            } else {
                CapSet::EMPTY
            };
        }
        real
    }
}

impl Subject for Credentials {
    fn user_id(&self) -> u32 {
        self.fsuid
    }

    fn group_id(&self) -> u32 {
        self.fsgid
    }

    fn is_in(&self, gid: u32) -> bool {
        gid == self.fsgid || self.groups.binary_search(&gid).is_ok()
    }

    fn capable(&self, cap: Cap) -> bool {
        Credentials::capable(self, cap)
    }

    fn capable_over(&self, cap: Cap, owner: Owner) -> bool {
        let known = || {
            self.user.is_first()
                || self.user.show_uid(owner.0).is_some() && self.user.show_gid(owner.1).is_some()
        };
        self.effective.has(cap) && known()
    }

    fn shown_uid(&self, uid: u32) -> u32 {
        self.user.uid_or_nobody(uid)
    }

    fn shown_gid(&self, gid: u32) -> u32 {
        self.user.gid_or_nobody(gid)
    }

    fn meant_uid(&self, uid: u32) -> Option<u32> {
        self.user.mean_uid(uid)
    }

    fn meant_gid(&self, gid: u32) -> Option<u32> {
        self.user.mean_gid(gid)
    }
}
