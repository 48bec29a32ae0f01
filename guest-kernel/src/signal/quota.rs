//! How many signals are queued for each user: RLIMIT_SIGPENDING.

use alloc::vec::Vec;

use crate::sync::SpinLock;

/// Users with queued signals, and how many.
static QUEUED: SpinLock<Vec<(u32, u64)>> = SpinLock::new(Vec::new());

/// Whose queue a signal enters: the receiver's.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// The real user id.
    pub uid: u32,
    /// How many may be queued for that user.
    pub limit: u64,
}

/// How many signals are queued for a user.
#[must_use]
pub fn queued(uid: u32) -> u64 {
    let users = QUEUED.lock();
    let user = users.iter().find(|(known, _)| *known == uid);
    user.map_or(0, |(_, count)| *count)
}

/// A place in a queue; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Ticket(u32);

impl Ticket {
    /// Takes a place. `beyond` disregards the limit: what the kernel sends,
    /// and standard signals, are known by their sender whatever the limit is.
    pub(super) fn take(account: Account, beyond: bool) -> Option<Self> {
        let mut users = QUEUED.lock();
        let at = users.iter().position(|(uid, _)| *uid == account.uid);
        let at = match at {
            Some(at) => at,
            None => {
                users.try_reserve(1).ok()?;
                users.push((account.uid, 0));
                users.len() - 1
            }
        };
        let unlimited = beyond || crate::mutant!("sigpending-unlimited");
        let count = &mut users[at].1;
        if *count >= account.limit && !unlimited {
            if *count == 0 {
                users.remove(at);
            }
            return None;
        }
        *count += 1;
        Some(Ticket(account.uid))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut users = QUEUED.lock();
        let at = users.iter().position(|(uid, _)| *uid == self.0);
        if let Some(at) = at {
            users[at].1 -= 1;
            if users[at].1 == 0 {
                users.remove(at);
            }
        }
        if users.is_empty() {
            *users = Vec::new();
        }
    }
}
