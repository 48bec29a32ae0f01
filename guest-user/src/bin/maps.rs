//! `maps`: what memory is where, and whose, one part for each word.
#![no_std]
#![no_main]

use core::ffi::CStr;

use guest_user::errno::Result;
use guest_user::map::{PAGE, set_break};
use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, Fd, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, call};
use guest_user::sys_fs::{on_fd, show, show_number, unlink};
use guest_user::{eprintln, println, program, task};
use linux_raw_sys::general as nr;

program!(main);

fn main(args: &Args) -> i32 {
    let work: fn() = match args.get(1).map(CStr::to_bytes) {
        Some(b"stack") => stack,
        Some(b"brk") => brk,
        Some(b"shared") => shared,
        Some(b"file") => file,
        Some(b"shorter") => shorter,
        Some(b"remap") => remap,
        Some(b"resident") => resident,
        Some(b"protect") => protect,
        Some(b"memfd") => memfd,
        _ => {
            eprintln!("maps stack|brk|shared|file|shorter|remap|resident|protect|memfd");
            return 2;
        }
    };
    work();
    0
}

const BOTH: u32 = nr::PROT_READ | nr::PROT_WRITE;
const PRIVATE: u32 = nr::MAP_PRIVATE | nr::MAP_ANONYMOUS;
const NO_FD: Fd = -1;

fn map(pages: usize, prot: u32, flags: u32, fd: Fd) -> Result<usize> {
    map_at(0, pages, prot, flags, fd)
}

fn map_at(at: usize, pages: usize, prot: u32, flags: u32, fd: Fd) -> Result<usize> {
    let args = [
        at,
        pages * PAGE,
        prot as usize,
        flags as usize,
        fd as isize as usize,
        0,
    ];
    // SAFETY: where a place is given, it lies in a mapping of this program
    // that nothing else uses.
    unsafe { call(nr::__NR_mmap, args) }
}

fn unmap(at: usize, pages: usize) -> Result<usize> {
    // SAFETY: a mapping of this program that nothing uses any more.
    unsafe { call(nr::__NR_munmap, [at, pages * PAGE, 0, 0, 0, 0]) }
}

fn remap_to(at: usize, old: usize, new: usize, flags: u32, to: usize) -> Result<usize> {
    let args = [at, old * PAGE, new * PAGE, flags as usize, to, 0];
    // SAFETY: mappings of this program, which knows where they are afterwards.
    unsafe { call(nr::__NR_mremap, args) }
}

/// A call about a range of pages: `mprotect`, `msync`, `mlock`, `madvise`.
fn about(nr: u32, at: usize, pages: usize, how: usize) -> Result<usize> {
    // SAFETY: the range is this program's to lose.
    unsafe { call(nr, [at, pages * PAGE, how, 0, 0, 0]) }
}

fn peek(at: usize) -> u8 {
    // SAFETY: the program has mapped the address; if not, the fault is what it
    // shows.
    unsafe { (at as *const u8).read_volatile() }
}

fn poke(at: usize, value: u8) {
    // SAFETY: as in `peek`.
    unsafe { (at as *mut u8).write_volatile(value) };
}

/// Runs in a child and says how it ended.
fn try_in_child(what: &str, work: impl FnOnce()) {
    let child = must(task::fork(), "fork");
    if child == 0 {
        work();
        task::exit(0);
    }
    let (_, status) = must(task::wait(child, 0), "wait");
    println!("{what}: {status}");
}

const FILE: &CStr = c"maps.tmp";

fn open_file(len: usize) -> Fd {
    let fd = must(sys::open(FILE, O_RDWR | O_CREAT | O_TRUNC, 0o600), "open");
    must(on_fd(nr::__NR_ftruncate, fd, [len, 0, 0, 0]), "ftruncate");
    fd
}

/// Touches the stack down to `depth` pages below, a page at a time.
#[inline(never)]
fn deeper(depth: usize) -> usize {
    let mut page = [0_u8; PAGE];
    let at: *mut u8 = page.as_mut_ptr();
    // SAFETY: the first byte of the array.
    unsafe { at.write_volatile(1) };
    if depth == 0 {
        return 0;
    }
    // SAFETY: as above.
    deeper(depth - 1) + usize::from(unsafe { at.read_volatile() })
}

fn stack() {
    println!("100 pages: {}", deeper(100));
    println!("1000 pages: {}", deeper(1000));
    try_in_child("3000 pages, more than the limit", || {
        deeper(3000);
    });
    let local = 0_u8;
    let here = &raw const local as usize;
    try_in_child("touched far below", || poke(here - (4 << 20), 1));
    try_in_child("touched below the limit", || poke(here - (64 << 20), 1));
    let below = (here - (6 << 20)) & !(PAGE - 1);
    let fixed = PRIVATE | nr::MAP_FIXED_NOREPLACE;
    must(map_at(below, 1, BOTH, fixed, NO_FD), "mmap");
    poke(below, 1);
    try_in_child("grown onto a mapping", || {
        deeper(1800);
    });
    try_in_child("grown up to its guard", || {
        deeper(1200);
    });
}

fn brk() {
    let start = set_break(0);
    let grown = set_break(start + 3 * PAGE);
    println!("grown by {} pages", (grown - start) / PAGE);
    poke(start, 7);
    poke(start + 3 * PAGE - 1, 8);
    println!("says {} and {}", peek(start), peek(start + PAGE));
    let _ = set_break(start + PAGE);
    let behind = start + 2 * PAGE;
    try_in_child("touched behind the end", || poke(behind, 1));
    let _ = set_break(start + 3 * PAGE);
    println!("grown again it says {}", peek(start + 3 * PAGE - 1));
    println!("the rest stayed: {}", peek(start));
    println!(
        "below the start: {}",
        set_break(start - PAGE) == start + 3 * PAGE
    );
    println!(
        "far too much: {}",
        set_break(usize::MAX / 2) == start + 3 * PAGE
    );
    let next = (start + 5 * PAGE).next_multiple_of(PAGE);
    let fixed = PRIVATE | nr::MAP_FIXED_NOREPLACE;
    must(map_at(next, 1, BOTH, fixed, NO_FD), "mmap");
    println!(
        "into a mapping: {}",
        set_break(next + PAGE) == start + 3 * PAGE
    );
    try_in_child("a child moves its own", || {
        let _ = set_break(start);
    });
    println!("the parent still has {}", peek(start));
}

fn shared() {
    let anonymous = nr::MAP_SHARED | nr::MAP_ANONYMOUS;
    let both = must(map(2, BOTH, anonymous, NO_FD), "mmap");
    let own = must(map(2, BOTH, PRIVATE, NO_FD), "mmap");
    poke(both, 1);
    poke(own, 1);
    try_in_child("the child", || {
        println!("child sees {} and {}", peek(both), peek(own));
        poke(both, 2);
        poke(both + PAGE, 3);
        poke(own, 2);
        must(unmap(both, 2), "munmap");
    });
    println!("parent sees {} and {}", peek(both), peek(own));
    println!(
        "a page that only the child had touched: {}",
        peek(both + PAGE)
    );
    show("and a grandchild", {
        try_in_child("child", || try_in_child("grandchild", || poke(both, 4)));
        Ok(())
    });
    println!("parent sees {}", peek(both));
}

fn file() {
    let fd = open_file(2 * PAGE);
    let both = must(map(2, BOTH, nr::MAP_SHARED, fd), "mmap");
    let own = must(map(2, BOTH, nr::MAP_PRIVATE, fd), "mmap");
    poke(both, b'x');
    let mut bytes = [0; 1];
    must(sys::read(fd, &mut bytes), "read");
    println!("read sees {:?}", char::from(bytes[0]));
    println!("the private mapping sees {:?}", char::from(peek(own)));
    poke(own, b'p');
    println!(
        "after its write the shared one sees {:?}",
        char::from(peek(both))
    );
    must(sys::seek(fd, 0, sys::SEEK_SET), "lseek");
    must(sys::write_all(fd, b"w"), "write");
    println!("a write is seen: {:?}", char::from(peek(both)));
    println!("not by what was copied: {:?}", char::from(peek(own)));
    try_in_child("a child", || poke(both + 1, b'c'));
    println!("the child's: {:?}", char::from(peek(both + 1)));
    show(
        "msync",
        about(nr::__NR_msync, both, 2, nr::MS_SYNC as usize),
    );
    let contradiction = (nr::MS_SYNC | nr::MS_ASYNC) as usize;
    show(
        "msync both ways",
        about(nr::__NR_msync, both, 2, contradiction),
    );
    show("msync in between", about(nr::__NR_msync, both + 1, 1, 0));
    let reader = must(sys::open(FILE, O_RDONLY, 0), "open");
    show(
        "shared of a reader to write",
        map(1, BOTH, nr::MAP_SHARED, reader),
    );
    let seen = must(map(1, nr::PROT_READ, nr::MAP_SHARED, reader), "mmap");
    show(
        "made writable",
        about(nr::__NR_mprotect, seen, 1, BOTH as usize),
    );
    show("private to write", map(1, BOTH, nr::MAP_PRIVATE, reader));
    must(sys::close(fd), "close");
    must(unlink(FILE), "unlink");
    poke(both, b'z');
    println!("without a name: {:?}", char::from(peek(seen)));
    must(unmap(both, 2), "munmap");
    show("msync of nothing", about(nr::__NR_msync, both, 2, 0));
}

fn shorter() {
    let fd = open_file(3 * PAGE);
    let both = must(map(3, BOTH, nr::MAP_SHARED, fd), "mmap");
    let own = must(map(3, BOTH, nr::MAP_PRIVATE, fd), "mmap");
    for at in 0..3 {
        poke(both + at * PAGE, 1);
        poke(both + at * PAGE + 200, 1);
        poke(own + at * PAGE, 2);
    }
    must(
        on_fd(nr::__NR_ftruncate, fd, [PAGE + 100, 0, 0, 0]),
        "ftruncate",
    );
    println!("before the end {}", peek(both + PAGE));
    println!("behind it in the same page {}", peek(both + PAGE + 200));
    try_in_child("the next page", || {
        peek(both + 2 * PAGE);
    });
    try_in_child("the next page, private", || {
        peek(own + 2 * PAGE);
    });
    must(
        on_fd(nr::__NR_ftruncate, fd, [3 * PAGE, 0, 0, 0]),
        "ftruncate",
    );
    println!("grown again {}", peek(both + 2 * PAGE));
    must(unlink(FILE), "unlink");
}

fn remap() {
    let at = must(map(4, BOTH, PRIVATE, NO_FD), "mmap");
    for page in 0..4 {
        poke(at + page * PAGE, page as u8 + 1);
    }
    let far = must(map(16, nr::PROT_NONE, PRIVATE, NO_FD), "mmap");
    let moved = nr::MREMAP_MAYMOVE | nr::MREMAP_FIXED;
    show("in place, shorter", remap_to(at, 4, 3, 0, 0));
    try_in_child("the end is gone", || {
        peek(at + 3 * PAGE);
    });
    let there = must(remap_to(at, 3, 6, moved, far), "mremap");
    println!("moved to the wish: {}", there == far);
    println!(
        "with its pages: {} {} {} {}",
        peek(far),
        peek(far + PAGE),
        peek(far + 2 * PAGE),
        peek(far + 3 * PAGE)
    );
    try_in_child("the old place", || {
        peek(at);
    });
    show("onto itself", remap_to(far, 6, 6, moved, far + PAGE));
    show(
        "without leave to move",
        remap_to(far, 6, 6, nr::MREMAP_FIXED, at),
    );
    show("to nothing", remap_to(far, 6, 0, nr::MREMAP_MAYMOVE, 0));
    show("of nothing", remap_to(at, 1, 2, nr::MREMAP_MAYMOVE, 0));
    let keep = nr::MREMAP_MAYMOVE | nr::MREMAP_DONTUNMAP;
    let kept = must(remap_to(far, 6, 6, keep, 0), "mremap");
    println!(
        "the old one is empty: {}, the new one says {}",
        peek(far),
        peek(kept)
    );
    let anonymous = nr::MAP_SHARED | nr::MAP_ANONYMOUS;
    let both = must(map(2, BOTH, anonymous, NO_FD), "mmap");
    let twice = must(remap_to(both, 0, 2, nr::MREMAP_MAYMOVE, 0), "mremap");
    poke(both + PAGE, 9);
    println!("a second view of shared memory: {}", peek(twice + PAGE));
    show(
        "of private memory",
        remap_to(kept, 0, 2, nr::MREMAP_MAYMOVE, 0),
    );
}

fn resident() {
    let at = must(map(4, BOTH, PRIVATE, NO_FD), "mmap");
    let tell = |what: &str| {
        let mut pages = [0_u8; 4];
        let result = about(nr::__NR_mincore, at, 4, pages.as_mut_ptr() as usize);
        match result {
            Ok(_) => println!("{what}: {:?}", pages.map(|page| page & 1)),
            Err(errno) => println!("{what}: {errno}"),
        }
    };
    tell("untouched");
    poke(at + PAGE, 1);
    tell("one touched");
    show("mlock", about(nr::__NR_mlock, at + 2 * PAGE, 1, 0));
    tell("one locked");
    let dont_need = nr::MADV_DONTNEED as usize;
    show("not needed", about(nr::__NR_madvise, at, 2, dont_need));
    tell("not needed");
    println!("it is zero again: {}", peek(at + PAGE));
    show("what is locked", about(nr::__NR_madvise, at, 4, dont_need));
    show("munlock", about(nr::__NR_munlock, at, 4, 0));
    show("not needed", about(nr::__NR_madvise, at, 4, dont_need));
    tell("not needed");
    show("mlockall", on_fd(nr::__NR_mlockall, 2, [0; 4]));
    let more = must(map(2, BOTH, PRIVATE, NO_FD), "mmap");
    let mut pages = [0_u8; 2];
    must(
        about(nr::__NR_mincore, more, 2, pages.as_mut_ptr() as usize),
        "mincore",
    );
    println!("mapped after that: {:?}", pages.map(|page| page & 1));
    show("munlockall", on_fd(nr::__NR_munlockall, 0, [0; 4]));
    let populate = PRIVATE | nr::MAP_POPULATE;
    let more = must(map(2, BOTH, populate, NO_FD), "mmap");
    must(
        about(nr::__NR_mincore, more, 2, pages.as_mut_ptr() as usize),
        "mincore",
    );
    println!("populated: {:?}", pages.map(|page| page & 1));
    must(unmap(more, 2), "munmap");
    show("mlock of nothing", about(nr::__NR_mlock, more, 2, 0));
    show(
        "mincore of nothing",
        about(nr::__NR_mincore, more, 2, pages.as_mut_ptr() as usize),
    );
    show(
        "mincore in between",
        about(nr::__NR_mincore, at + 1, 1, pages.as_mut_ptr() as usize),
    );
    show("mlockall of nothing", on_fd(nr::__NR_mlockall, 0, [0; 4]));
}

fn protect() {
    let at = must(map(3, BOTH, PRIVATE, NO_FD), "mmap");
    poke(at, 1);
    poke(at + PAGE, 2);
    show(
        "read only",
        about(nr::__NR_mprotect, at + PAGE, 1, nr::PROT_READ as usize),
    );
    println!("read: {}", peek(at + PAGE));
    try_in_child("written", || poke(at + PAGE, 3));
    try_in_child("beside it", || poke(at + 2 * PAGE, 3));
    show(
        "nothing",
        about(nr::__NR_mprotect, at + PAGE, 1, nr::PROT_NONE as usize),
    );
    try_in_child("read", || {
        peek(at + PAGE);
    });
    let pipe = must(sys::pipe(0), "pipe");
    let result = on_fd(nr::__NR_write, pipe.1, [at + PAGE, 1, 0, 0]);
    show("a system call that reads it", result);
    show(
        "both again",
        about(nr::__NR_mprotect, at + PAGE, 1, BOTH as usize),
    );
    println!("it still says {}", peek(at + PAGE));
    must(unmap(at + PAGE, 1), "munmap");
    show(
        "over a hole",
        about(nr::__NR_mprotect, at, 3, nr::PROT_READ as usize),
    );
    show(
        "in between",
        about(nr::__NR_mprotect, at + 1, 1, BOTH as usize),
    );
    show(
        "nothing at all",
        about(nr::__NR_mprotect, at, 0, BOTH as usize),
    );
}

fn memfd() {
    let name = c"shared";
    let fd = must(
        guest_user::sys_fs::on_path(nr::__NR_memfd_create, name, [0; 3]),
        "memfd_create",
    ) as Fd;
    must(on_fd(nr::__NR_ftruncate, fd, [PAGE, 0, 0, 0]), "ftruncate");
    let first = must(map(1, BOTH, nr::MAP_SHARED, fd), "mmap");
    let second = must(map(1, nr::PROT_READ, nr::MAP_SHARED, fd), "mmap");
    println!("two places: {}", first != second);
    poke(first, 5);
    println!("one memory: {}", peek(second));
    try_in_child("a child", || poke(first, 6));
    println!("and the child's: {}", peek(second));
    show_number(
        "names",
        guest_user::sys_fs::fstat(fd).map(|stat| stat.st_nlink),
    );
    let long = [b'x'; 300];
    let mut bytes = [0; 301];
    bytes[..300].copy_from_slice(&long);
    let long = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"");
    show(
        "a long name",
        guest_user::sys_fs::on_path(nr::__NR_memfd_create, long, [0; 3]),
    );
    show(
        "no such flag",
        guest_user::sys_fs::on_path(nr::__NR_memfd_create, name, [0x8000, 0, 0]),
    );
}
