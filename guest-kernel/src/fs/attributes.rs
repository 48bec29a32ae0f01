//! What can be changed about an inode beside its contents.

use super::hooks::Timestamp;

/// The bits of a mode that `chmod` and `umask` speak of.
pub const PERMISSIONS: u32 = 0o7777;

/// How long a date of reading stands before the next reading renews it, in
/// seconds, if nothing was written meanwhile.
const DAY: i64 = 24 * 60 * 60;

/// Permissions, owner and dates.
#[derive(Clone)]
pub struct Attributes {
    /// The permissions.
    pub permissions: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// When the contents were last read.
    pub accessed: Timestamp,
    /// When the contents were last changed.
    pub modified: Timestamp,
    /// When anything was last changed.
    pub changed: Timestamp,
}

impl Attributes {
    /// Those of something new.
    pub fn new(permissions: u32, owner: (u32, u32), date: Timestamp) -> Self {
        Attributes {
            permissions: permissions & PERMISSIONS,
            uid: owner.0,
            gid: owner.1,
            accessed: date,
            modified: date,
            changed: date,
        }
    }

    /// Notes a reading, but only the first one after each change or day:
    /// what Linux calls relatime.
    pub fn read_at(&mut self, now: Timestamp) {
        let news = self.accessed <= self.modified || self.accessed <= self.changed;
        if news || now.seconds - self.accessed.seconds >= DAY {
            self.accessed = now;
        }
    }
}
