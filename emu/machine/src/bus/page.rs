//! One page of RAM as the host stores it: at an address that stays, with the
//! hash of its contents, and shared by the machines that have the same one.

use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{Ordering, fence};

use super::kept::{self, KeptHash};
use crate::addr::PAGE_SIZE;

/// The bytes of one frame.
pub type Page = [u8; PAGE_SIZE as usize];

/// What a frame that was never written shows.
pub(super) static ZERO: Page = [0; PAGE_SIZE as usize];

/// A page that one frame, or several machines' and checkpoints', hold.
///
/// It is written only by the one [`Ram`](super::ram::Ram) that holds it, while
/// that is borrowed mutably, and only if nobody else holds it.
#[derive(Clone)]
pub(super) struct Stored(Arc<Content>);

struct Content {
    bytes: UnsafeCell<Page>,
    hash: KeptHash,
}

// SAFETY: `bytes` is the only part that is not Sync by itself. It is written
// through `Stored::start` alone, which obliges the writer to hold the only
// `Stored` and to have its owner borrowed mutably: nobody reads meanwhile. The
// last other holder gave up with a release, which `is_alone` acquires.
unsafe impl Sync for Content {}

impl Stored {
    pub(super) fn new(bytes: &Page) -> Stored {
        Stored(Arc::new(Content {
            bytes: UnsafeCell::new(*bytes),
            hash: KeptHash::default(),
        }))
    }

    /// The contents.
    #[inline]
    pub(super) fn bytes(&self) -> &Page {
        // SAFETY: valid for as long as `self` is borrowed; whoever writes has the
        // owner of the only `Stored` borrowed mutably, so not in that time.
        unsafe { &*self.start().cast_const().cast() }
    }

    /// Where the bytes lie on the host, for as long as anybody holds them. Who
    /// writes there obeys the rule of this type.
    #[inline]
    pub(super) fn start(&self) -> *mut u8 {
        self.0.bytes.get().cast()
    }

    /// True if nobody else holds it: then it may be written by who has its owner
    /// borrowed mutably, until it is cloned.
    pub(super) fn is_alone(&self) -> bool {
        let alone = Arc::strong_count(&self.0) == 1;
        // What others read before they gave up comes before what is written now.
        fence(Ordering::Acquire);
        alone
    }

    /// True if it is the same page on the host.
    pub(super) fn is(&self, other: &Stored) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The hash of the contents, which is worked out once for all who share them.
    pub(super) fn hash(&self) -> u128 {
        self.0.hash.get(|| kept::hash(self.bytes()))
    }

    /// The contents are about to change.
    pub(super) fn forget_hash(&self) {
        self.0.hash.forget();
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({:p})", self.start())
    }
}
