//! `disk rw|dirty N|open N|sync|busy N|lazy`: the disk as a file, and what kernel
//! threads do for it while this program does something else.
#![no_std]
#![no_main]

use guest_user::map::Pages;
use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, Fd, O_RDONLY, O_RDWR, SEEK_CUR, SEEK_END, SEEK_SET};
use guest_user::sys_disk::{cycles, disk_size, fsync, read_at, sync, write_at};
use guest_user::{println, program};

program!(main);

const DISK: &core::ffi::CStr = c"/dev/vda";
const PAGE: usize = 4096;

fn main(args: &Args) -> i32 {
    let count = args.text(2).and_then(|text| text.parse().ok()).unwrap_or(1);
    match args.text(1) {
        Some("rw") => read_and_write(),
        Some("dirty") => leave_dirty(count),
        Some("open") => close_writes(count),
        Some("sync") => write_through(),
        Some("busy") => work_beside(count),
        Some("lazy") => keep_translations(),
        _ => {
            println!("usage: disk rw|dirty N|open N|sync|busy N|lazy");
            return 2;
        }
    }
    0
}

fn open() -> Fd {
    must(sys::open(DISK, O_RDWR, 0), "open")
}

fn read_and_write() {
    let fd = open();
    let end = must(sys::seek(fd, 0, SEEK_END), "lseek");
    println!("the disk has {end} bytes");
    let mut bytes = [0; 32];
    must(sys::seek(fd, 0, SEEK_SET), "lseek");
    let count = must(sys::read(fd, &mut bytes), "read");
    println!("{:?}", text(bytes.get(..count)));

    // Across the border of two pages, and read back from both.
    must(write_at(fd, b"over the edge", 4090), "pwrite");
    must(read_at(fd, &mut bytes, 4086), "pread");
    println!("{:?}", text(bytes.get(..20)));

    let behind = write_at(fd, b"x", end).err().and_then(|e| e.name());
    println!("a write behind the end: {behind:?}");
    let last = must(write_at(fd, b"end!", end - 2), "pwrite");
    println!("a write over the end: {last} bytes");
    let count = must(read_at(fd, &mut bytes, end - 3), "pread");
    println!("at the end: {:?}", text(bytes.get(..count)));
    let count = must(read_at(fd, &mut bytes, end), "pread");
    println!("behind the end: {count} bytes");
    let bad = sys::write_from_address(fd, 8, 4096).err();
    println!(
        "from a bad address: {:?}",
        bad.and_then(|errno| errno.name())
    );
    println!("the offset: {}", must(sys::seek(fd, 0, SEEK_CUR), "lseek"));
    must(sys::close(fd), "close");
    let reader = must(sys::open(DISK, O_RDONLY, 0), "open");
    let count = must(read_at(reader, &mut bytes, end - 3), "pread");
    println!("after closing: {:?}", text(bytes.get(..count)));
}

fn text(bytes: Option<&[u8]>) -> &str {
    core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or("?")
}

/// Changes whole pages from the start of the disk on.
fn change(fd: Fd, pages: u64) {
    let page = [b'd'; PAGE];
    for index in 0..pages {
        must(write_at(fd, &page, index * PAGE as u64), "pwrite");
    }
}

/// Changes pages and sleeps until others have written them back.
fn leave_dirty(pages: u64) {
    let fd = open();
    change(fd, pages);
    println!("changed {pages}");
    must(sys::sleep_ms(40), "nanosleep");
    println!("slept");
    must(sys::close(fd), "close");
}

/// Changes pages and closes: they are on the disk then.
fn close_writes(pages: u64) {
    let fd = open();
    let other = open();
    change(fd, pages);
    must(sys::close(fd), "close");
    println!("one of two is closed");
    must(sys::close(other), "close");
    println!("the last one is closed");
}

/// Changes pages and asks for them to last, in both ways.
fn write_through() {
    let fd = open();
    println!("{} bytes", must(disk_size(fd), "ioctl"));
    change(fd, 2);
    must(fsync(fd), "fsync");
    println!("two pages and fsync");
    change(fd, 1);
    sync();
    println!("one page and sync");
    must(sys::close(fd), "close");
    println!("closed");
}

/// Changes pages and then works without a pause, while pdflush writes them.
fn work_beside(pages: u64) {
    let fd = open();
    change(fd, pages);
    let begin = cycles();
    let mut rounds = 0_u64;
    while cycles() - begin < 28_000_000 {
        rounds = core::hint::black_box(rounds + 1);
    }
    println!("worked");
    must(sys::close(fd), "close");
}

/// How long it takes to touch pages again, right away and after a sleep that
/// kernel threads have ended.
fn keep_translations() {
    const PAGES: usize = 64;
    let pages = must(Pages::private(PAGES), "mmap");
    let touch = || {
        let begin = cycles();
        for page in 0..PAGES {
            pages
                .word(page)
                .store(1, core::sync::atomic::Ordering::Relaxed);
        }
        cycles() - begin
    };
    touch();
    touch();
    let warm = touch();
    must(sys::sleep_ms(1), "nanosleep");
    let after = touch();
    let kept = after < warm + warm / 2;
    println!(
        "a sleep {} the translations",
        if kept { "keeps" } else { "loses" }
    );
}
