//! What measuring needs: the cycle counter, memory in small pages, and such
//! memory as a message.

use core::arch::x86_64::{__cpuid, _rdtsc};

use linux_raw_sys::general::{__NR_madvise, __NR_read, __NR_write, MADV_NOHUGEPAGE};

use crate::map::{PAGE, Pages};
use crate::out::must;
use crate::sys::{Fd, call};

/// The time-stamp counter, when everything before has happened.
#[must_use]
pub fn cycles() -> u64 {
    // CPUID waits for what comes before; it changes nothing.
    let _ = __cpuid(0);
    // SAFETY: x86-64 has it, and Linux lets programs use it.
    unsafe { _rdtsc() }
}

/// Asks for pages of 4 KiB where a kernel would put larger ones in.
pub fn small_pages(pages: &Pages) {
    let args = [
        pages.base(),
        pages.count() * PAGE,
        MADV_NOHUGEPAGE as usize,
        0,
        0,
        0,
    ];
    // SAFETY: advice changes no contents. A kernel without large pages refuses
    // it, and then there is nothing to ask for.
    let _ = unsafe { call(__NR_madvise, args) };
}

/// Writes the first bytes of this memory to a descriptor, all of them.
pub fn send_pages(fd: Fd, pages: &Pages, len: usize) {
    transfer(__NR_write, fd, pages, len);
}

/// Fills the first bytes of this memory from a descriptor, all of them.
pub fn receive_pages(fd: Fd, pages: &Pages, len: usize) {
    transfer(__NR_read, fd, pages, len);
}

fn transfer(nr: u32, fd: Fd, pages: &Pages, len: usize) {
    assert!(len <= pages.count() * PAGE, "{len} bytes");
    let mut done = 0;
    while done < len {
        let args = [fd as usize, pages.base() + done, len - done, 0, 0, 0];
        // SAFETY: inside the mapping, whose words everybody takes as atomics.
        let moved = must(unsafe { call(nr, args) }, "a message");
        assert!(moved > 0, "the other side is gone");
        done += moved;
    }
}
