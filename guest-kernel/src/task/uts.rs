//! UTS namespaces: what the host and its domain are called.

use alloc::sync::Arc;

use super::namespaces;
use super::user_namespace::UserNamespace;
use crate::count::{Counted, Type};
use crate::sync::SpinLock;

/// The longest name, without a NUL.
pub const NAME_MAX: usize = 64;

/// What kind of system it is.
pub const SYSTEM: &str = "Linux";

/// C libraries and runtimes look at the first two numbers of the release to
/// guess which calls there are; those that are not answer ENOSYS, which they
/// know how to take.
pub const RELEASE: &str = concat!("6.6.0-coe-", env!("CARGO_PKG_VERSION"));

/// Which build of the release it is.
pub const VERSION: &str = "#1";

/// A name and its length.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_MAX],
    len: usize,
}

impl Name {
    /// A name, cut to what fits.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let len = name.len().min(NAME_MAX);
        let mut bytes = [0; NAME_MAX];
        bytes[..len].copy_from_slice(&name[..len]);
        Name { bytes, len }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[derive(Clone, Copy)]
struct Names {
    host: Name,
    domain: Name,
}

/// A UTS namespace.
pub struct UtsNamespace {
    _counted: Counted,
    number: u64,
    /// Whose root may rename the host.
    user: Arc<UserNamespace>,
    names: SpinLock<Names>,
}

impl UtsNamespace {
    /// The one of boot.
    pub(super) fn first(user: Arc<UserNamespace>) -> Self {
        UtsNamespace {
            _counted: Counted::new(Type::UtsNamespace),
            number: namespaces::FIRST_UTS,
            user,
            names: SpinLock::new(Names {
                host: Name::new(b"coe"),
                domain: Name::new(b"(none)"),
            }),
        }
    }

    /// One with the same names, for tasks of a user namespace.
    pub(super) fn copy(&self, user: Arc<UserNamespace>) -> Self {
        UtsNamespace {
            _counted: Counted::new(Type::UtsNamespace),
            number: namespaces::next_number(),
            user,
            names: SpinLock::new(*self.names.lock()),
        }
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

    /// What the host is called.
    #[must_use]
    pub fn host(&self) -> Name {
        self.names.lock().host
    }

    /// What the domain is called.
    #[must_use]
    pub fn domain(&self) -> Name {
        self.names.lock().domain
    }

    /// Renames the host.
    pub fn set_host(&self, name: Name) {
        self.names.lock().host = name;
    }

    /// Renames the domain.
    pub fn set_domain(&self, name: Name) {
        self.names.lock().domain = name;
    }
}
