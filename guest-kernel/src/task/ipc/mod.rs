//! System V's ways of speaking to each other, and the namespaces they live in.

use alloc::sync::Arc;

use super::user_namespace::UserNamespace;

/// An IPC namespace.
pub struct IpcNamespace {
    number: u64,
    user: Arc<UserNamespace>,
}

impl IpcNamespace {
    /// An empty one.
    pub(super) fn new(number: u64, user: Arc<UserNamespace>) -> Self {
        IpcNamespace { number, user }
    }

    /// Its number, as /proc shows it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The user namespace that it belongs to.
    #[must_use]
    pub fn user(&self) -> &Arc<UserNamespace> {
        &self.user
    }
}
