//! What exec makes of credentials: the owner of a set-user-id program for
//! euid, root's capabilities for root, nothing but the ambient ones for others.

use linux_raw_sys::general::{S_ISGID, S_ISUID, S_IXGRP};

use super::capabilities::{KEEP_CAPS, NO_ROOT};
use super::{Cap, CapSet, Credentials};

/// What exec asks of a program file and of the task that runs it.
#[derive(Clone, Copy)]
pub struct Program {
    /// Kind and permissions.
    pub mode: u32,
    /// Owner and owning group.
    pub owner: (u32, u32),
    /// Its set-id bits count: the mount does not say otherwise.
    pub set_ids: bool,
    /// Somebody else could change what the task does: a task outside its
    /// group shares its working directory, or a tracer without the right.
    pub exposed: bool,
}

impl Credentials {
    /// The credentials with which a program runs, and whether it should
    /// mistrust who started it (AT_SECURE).
    #[must_use]
    pub fn for_program(&self, program: &Program) -> (Credentials, bool) {
        let mut new = self.clone();
        let bound = self.no_new_privileges && !crate::mutant!("no-new-privs-ignored");
        if !bound && program.set_ids {
            new.take_ids_of(program);
        }
        let set_id = new.euid != self.uid || new.egid != self.gid;
        let root = self.user.root_uid();
        let is_root = |uid: u32| Some(uid) == root;
        new.permitted = CapSet::EMPTY;
        let mut effective = false;
        if self.securebits & NO_ROOT == 0 {
            if is_root(new.euid) || is_root(new.uid) {
                new.permitted = self.bounding | self.inheritable;
            }
            effective = is_root(new.euid);
        }
        let gained = !new.permitted.is_within(self.permitted);
        if (set_id || gained) && (program.exposed || bound) {
            if !self.capable_here(Cap::Setuid) || bound {
                (new.euid, new.egid) = (new.uid, new.gid);
            }
            new.permitted = new.permitted & self.permitted;
        }
        (new.suid, new.fsuid) = (new.euid, new.euid);
        (new.sgid, new.fsgid) = (new.egid, new.egid);
        if set_id || crate::mutant!("exec-drops-ambient") {
            new.ambient = CapSet::EMPTY;
        }
        new.permitted = new.permitted | new.ambient;
        new.effective = if effective {
            new.permitted
        } else {
            new.ambient
        };
        new.securebits &= !KEEP_CAPS;
        let grew = !new.permitted.is_within(new.ambient);
        let secure = set_id || !is_root(new.uid) && (effective || grew);
        (new, secure)
    }

    /// The set-id bits of the file, where its owner means something here.
    fn take_ids_of(&mut self, program: &Program) {
        let known = self.user.show_uid(program.owner.0).is_some()
            && self.user.show_gid(program.owner.1).is_some();
        if !known {
            return;
        }
        if program.mode & S_ISUID != 0 && !crate::mutant!("exec-ignores-setuid") {
            self.euid = program.owner.0;
        }
        if program.mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP {
            self.egid = program.owner.1;
        }
    }
}
