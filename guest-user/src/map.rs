//! Memory from the kernel: anonymous mappings, stacks.

use core::sync::atomic::AtomicU64;

use linux_raw_sys::general::{
    __NR_brk, __NR_mmap, __NR_mprotect, __NR_munmap, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED,
    PROT_NONE, PROT_READ, PROT_WRITE,
};

use crate::errno::Result;
use crate::sys::call;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Anonymous memory that is never given back, so that references into it stay good.
pub struct Pages {
    base: usize,
    count: usize,
}

impl Pages {
    /// Memory of which a forked child has its own copy.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn private(count: usize) -> Result<Self> {
        Self::map(count, MAP_PRIVATE)
    }

    /// Memory that a forked child shares.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn shared(count: usize) -> Result<Self> {
        Self::map(count, MAP_SHARED)
    }

    fn map(count: usize, kind: u32) -> Result<Self> {
        let base = anonymous(count * PAGE, kind)?;
        Ok(Pages { base, count })
    }

    /// The first word of the n-th page. Out of range is a panic.
    #[must_use]
    pub fn word(&self, page: usize) -> &'static AtomicU64 {
        self.word_at(page, 0)
    }

    /// A word of the n-th page. Out of range is a panic.
    #[must_use]
    pub fn word_at(&self, page: usize, word: usize) -> &'static AtomicU64 {
        assert!(
            page < self.count && word < PAGE / 8,
            "page {page}, word {word}"
        );
        // SAFETY: inside the mapping, aligned, never unmapped; zero is a value,
        // and everybody goes through atomics.
        unsafe { &*((self.base + page * PAGE + word * 8) as *const AtomicU64) }
    }

    /// The address of the first page.
    #[must_use]
    pub fn base(&self) -> usize {
        self.base
    }

    /// How many pages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

fn anonymous(bytes: usize, kind: u32) -> Result<usize> {
    let protection = PROT_READ | PROT_WRITE;
    let args = [
        0,
        bytes,
        protection as usize,
        (kind | MAP_ANONYMOUS) as usize,
        usize::MAX,
        0,
    ];
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
    unsafe { call(__NR_mmap, args) }
}

/// A stack for a task, with a page below it that may not be touched.
pub struct Stack {
    base: usize,
    size: usize,
}

impl Stack {
    /// A stack of this many bytes, rounded up to pages.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn new(size: usize) -> Result<Self> {
        let size = size.next_multiple_of(PAGE);
        let guard = anonymous(size + PAGE, MAP_PRIVATE)?;
        // SAFETY: the page is part of the new mapping, and nobody uses it yet.
        unsafe { call(__NR_mprotect, [guard, PAGE, PROT_NONE as usize, 0, 0, 0]) }?;
        Ok(Stack {
            base: guard + PAGE,
            size,
        })
    }

    /// Its lowest address.
    #[must_use]
    pub fn base(&self) -> usize {
        self.base
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The address above its highest byte: where a task starts with it.
    #[must_use]
    pub fn top(&self) -> usize {
        self.base + self.size
    }

    /// Gives it back, its guard page as well.
    ///
    /// # Errors
    /// As munmap(2).
    ///
    /// # Safety
    /// No task runs on it any more, and nothing refers to it.
    pub unsafe fn unmap(self) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            call(
                __NR_munmap,
                [self.base - PAGE, self.size + PAGE, 0, 0, 0, 0],
            )
        }
        .map(drop)
    }
}

/// `brk`: moves the end of the heap if it can, and gives where it is.
#[must_use]
pub fn set_break(to: usize) -> usize {
    // SAFETY: these programs keep nothing in the heap that brk moves.
    unsafe { call(__NR_brk, [to, 0, 0, 0, 0, 0]) }.unwrap_or(0)
}
