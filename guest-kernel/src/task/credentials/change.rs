//! The set*id family. Each function takes credentials and ids of the first
//! user namespace and gives new credentials; `None` leaves an id as it is.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::capabilities::{KEEP_CAPS, NO_SETUID_FIXUP};
use super::{Cap, CapSet, Credentials};
use crate::errno::{Errno, Result};

/// The most further groups.
pub const GROUPS_MAX: usize = 65536;

/// An allowed change, or the error that says it is not allowed.
fn allow(allowed: bool) -> Result<()> {
    if allowed || crate::mutant!("setuid-unchecked") {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// As [`allow`], for group ids.
fn allow_group(allowed: bool) -> Result<()> {
    if allowed || crate::mutant!("setgid-unchecked") {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

impl Credentials {
    /// `setuid`: all user ids for who has the capability, else the effective
    /// one, to the real or the saved one.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn setuid(&self, uid: u32) -> Result<Credentials> {
        let mut new = self.clone();
        if self.capable_here(Cap::Setuid) {
            (new.uid, new.suid) = (uid, uid);
        } else {
            allow(uid == self.uid || uid == self.suid)?;
        }
        (new.euid, new.fsuid) = (uid, uid);
        new.fix_capabilities(self);
        Ok(new)
    }

    /// `setreuid`: the saved id follows the effective one where the real one
    /// is set or the two come apart.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn setreuid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Credentials> {
        let mut new = self.clone();
        let capable = self.capable_here(Cap::Setuid);
        if let Some(uid) = real {
            allow(capable || uid == self.uid || uid == self.euid)?;
            new.uid = uid;
        }
        if let Some(uid) = effective {
            allow(capable || [self.uid, self.euid, self.suid].contains(&uid))?;
            new.euid = uid;
        }
        if real.is_some() || effective.is_some_and(|uid| uid != self.uid) {
            new.suid = new.euid;
        }
        new.fsuid = new.euid;
        new.fix_capabilities(self);
        Ok(new)
    }

    /// `setresuid`: real, effective and saved, each to any of the three.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn setresuid(&self, ids: [Option<u32>; 3]) -> Result<Credentials> {
        let own = [self.uid, self.euid, self.suid];
        let capable = self.capable_here(Cap::Setuid);
        allow(capable || ids.iter().flatten().all(|uid| own.contains(uid)))?;
        let mut new = self.clone();
        new.uid = ids[0].unwrap_or(self.uid);
        new.euid = ids[1].unwrap_or(self.euid);
        new.suid = ids[2].unwrap_or(self.suid);
        new.fsuid = new.euid;
        new.fix_capabilities(self);
        Ok(new)
    }

    /// `setfsuid`; `None` if it is not allowed, which the call does not tell.
    #[must_use]
    pub fn setfsuid(&self, uid: u32) -> Option<Credentials> {
        let own = [self.uid, self.euid, self.suid, self.fsuid];
        if !own.contains(&uid) && !self.capable_here(Cap::Setuid) {
            return None;
        }
        let mut new = self.clone();
        new.fsuid = uid;
        if self.securebits & NO_SETUID_FIXUP == 0 {
            let root = self.user.root_uid();
            let (was, is) = (Some(self.fsuid) == root, Some(uid) == root);
            if was && !is {
                new.effective = self.effective.without(CapSet::FILES);
            } else if is && !was {
                new.effective = self.effective | self.permitted & CapSet::FILES;
            }
        }
        Some(new)
    }

    /// `setgid`, as [`Credentials::setuid`].
    ///
    /// # Errors
    /// `EPERM`.
    pub fn setgid(&self, gid: u32) -> Result<Credentials> {
        let mut new = self.clone();
        if self.capable_here(Cap::Setgid) {
            (new.gid, new.sgid) = (gid, gid);
        } else {
            allow_group(gid == self.gid || gid == self.sgid)?;
        }
        (new.egid, new.fsgid) = (gid, gid);
        Ok(new)
    }

    /// `setregid`, as [`Credentials::setreuid`].
    ///
    /// # Errors
    /// `EPERM`.
    pub fn setregid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Credentials> {
        let mut new = self.clone();
        let capable = self.capable_here(Cap::Setgid);
        if let Some(gid) = real {
            allow_group(capable || gid == self.gid || gid == self.egid)?;
            new.gid = gid;
        }
        if let Some(gid) = effective {
            allow_group(capable || [self.gid, self.egid, self.sgid].contains(&gid))?;
            new.egid = gid;
        }
        if real.is_some() || effective.is_some_and(|gid| gid != self.gid) {
            new.sgid = new.egid;
        }
        new.fsgid = new.egid;
        Ok(new)
    }

    /// `setresgid`, as [`Credentials::setresuid`].
    ///
    /// # Errors
    /// `EPERM`.
    pub fn setresgid(&self, ids: [Option<u32>; 3]) -> Result<Credentials> {
        let own = [self.gid, self.egid, self.sgid];
        let capable = self.capable_here(Cap::Setgid);
        allow_group(capable || ids.iter().flatten().all(|gid| own.contains(gid)))?;
        let mut new = self.clone();
        new.gid = ids[0].unwrap_or(self.gid);
        new.egid = ids[1].unwrap_or(self.egid);
        new.sgid = ids[2].unwrap_or(self.sgid);
        new.fsgid = new.egid;
        Ok(new)
    }

    /// `setfsgid`, as [`Credentials::setfsuid`].
    #[must_use]
    pub fn setfsgid(&self, gid: u32) -> Option<Credentials> {
        let own = [self.gid, self.egid, self.sgid, self.fsgid];
        (own.contains(&gid) || self.capable_here(Cap::Setgid)).then(|| {
            let mut new = self.clone();
            new.fsgid = gid;
            new
        })
    }

    /// True if it may set its further groups.
    #[must_use]
    pub fn may_set_groups(&self) -> bool {
        crate::mutant!("setgroups-unchecked")
            || self.capable_here(Cap::Setgid) && self.user.allows_setgroups()
    }

    /// With other further groups.
    #[must_use]
    pub fn with_groups(&self, mut groups: Vec<u32>) -> Credentials {
        groups.sort_unstable();
        let mut new = self.clone();
        new.groups = Arc::new(groups);
        new
    }

    /// Who ceases to be root loses root's capabilities, and who becomes root
    /// again gets the permitted ones back.
    fn fix_capabilities(&mut self, old: &Credentials) {
        if self.securebits & NO_SETUID_FIXUP != 0 || crate::mutant!("setuid-keeps-capabilities") {
            return;
        }
        let root = old.user.root_uid();
        let is_root = |uid: u32| Some(uid) == root;
        let any = |of: &Credentials| [of.uid, of.euid, of.suid].into_iter().any(is_root);
        if any(old) && !any(self) {
            if self.securebits & KEEP_CAPS == 0 {
                self.permitted = CapSet::EMPTY;
                self.effective = CapSet::EMPTY;
            }
            self.ambient = CapSet::EMPTY;
        }
        match (is_root(old.euid), is_root(self.euid)) {
            (true, false) => self.effective = CapSet::EMPTY,
            (false, true) => self.effective = self.permitted,
            _ => {}
        }
    }

    /// True if somebody who could look into a task of `old` may not look into
    /// one of these.
    #[must_use]
    pub fn is_dearer_than(&self, old: &Credentials) -> bool {
        self.euid != old.euid
            || self.egid != old.egid
            || self.fsuid != old.fsuid
            || self.fsgid != old.fsgid
            || !self.permitted.is_within(old.permitted)
    }
}
