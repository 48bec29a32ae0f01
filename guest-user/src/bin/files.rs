//! `files`: names, locks and attributes of files, one part for each word.
#![no_std]
#![no_main]

use core::ffi::CStr;

use guest_user::out::must;
use guest_user::start::Args;
use guest_user::sys::{self, Fd, O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use guest_user::sys_fs::{
    access, fstat, link, link_descriptor, lstat, mkdir, on_fd, on_path, open_any, range_lock,
    readlink, rename, rename_with, rmdir, set_dates, show, show_number, symlink, unlink,
};
use guest_user::{eprintln, println, program, task};
use linux_raw_sys::general as nr;

program!(main);

const BASE: &CStr = c"files.tmp";

fn main(args: &Args) -> i32 {
    let work: fn(&Args) = match args.get(1).map(CStr::to_bytes) {
        // What the part about programs that run runs.
        Some(b"wait") => {
            return must(sys::read(sys::STDIN, &mut [0; 1]), "read") as i32;
        }
        Some(b"rename") => renames,
        Some(b"links") => links,
        Some(b"nameless") => nameless,
        Some(b"locks") => locks,
        Some(b"flock") => whole_locks,
        Some(b"deadlock") => deadlock,
        Some(b"append") => append,
        Some(b"umask") => masks,
        Some(b"modes") => modes,
        Some(b"dates") => dates,
        Some(b"busy-text") => busy_text,
        Some(b"length") => length,
        Some(b"range") => range,
        _ => {
            eprintln!("files WORD");
            return 2;
        }
    };
    must(mkdir(BASE, 0o755), "mkdir");
    must(sys::chdir(BASE), "chdir");
    work(args);
    must(sys::chdir(c".."), "chdir");
    show("nothing is left", rmdir(BASE));
    0
}

fn make(path: &CStr, text: &[u8]) {
    let fd = must(sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644), "open");
    must(sys::write_all(fd, text), "write");
    must(sys::close(fd), "close");
}

fn print(path: &CStr) {
    let mut bytes = [0; 64];
    let text = sys::open(path, O_RDONLY, 0).and_then(|fd| {
        let len = sys::read(fd, &mut bytes)?;
        sys::close(fd)?;
        Ok(len)
    });
    match text {
        Ok(len) => {
            let text = core::str::from_utf8(bytes.get(..len).unwrap_or_default());
            println!("{path:?} says {:?}", text.unwrap_or("?"));
        }
        Err(errno) => println!("{path:?}: {errno}"),
    }
}

fn where_am_i() {
    let mut buffer = [0; 256];
    let path = must(sys::getcwd(&mut buffer), "getcwd");
    let at = path.find("files.tmp").unwrap_or(0);
    println!("now in {}", path.get(at..).unwrap_or_default());
}

fn remove(paths: &[&CStr]) {
    for path in paths {
        must(unlink(path), "unlink");
    }
}

/// Runs in a child and waits for it.
fn in_child(work: impl FnOnce()) {
    let child = must(task::fork(), "fork");
    if child == 0 {
        work();
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
}

fn renames(_: &Args) {
    make(c"a", b"of a");
    make(c"b", b"of b");
    show("over another", rename(c"a", c"b"));
    print(c"a");
    print(c"b");
    must(mkdir(c"d", 0o755), "mkdir");
    must(mkdir(c"e", 0o755), "mkdir");
    must(mkdir(c"e/f", 0o755), "mkdir");
    show("a file over a directory", rename(c"b", c"d"));
    show("a directory over a file", rename(c"d", c"b"));
    show("over a directory with something in it", rename(c"d", c"e"));
    show("into itself", rename(c"e", c"e/f/g"));
    show("over its parent", rename(c"e/f", c"e"));
    must(sys::chdir(c"e/f"), "chdir");
    where_am_i();
    show(
        "a directory over an empty one",
        rename(c"../../e", c"../../d"),
    );
    where_am_i();
    must(sys::chdir(c"../.."), "chdir");
    make(c"c", b"of c");
    show(
        "not over another",
        rename_with(c"b", c"c", nr::RENAME_NOREPLACE),
    );
    show("exchange", rename_with(c"b", c"d", nr::RENAME_EXCHANGE));
    print(c"d");
    show("the directory", access(c"b/f", 0));
    show(
        "exchange with nothing",
        rename_with(c"b", c"x", nr::RENAME_EXCHANGE),
    );
    show("nothing", rename(c"x", c"y"));
    show("with a slash behind a file", rename(c"c", c"x/"));
    show("to itself", rename(c"c", c"c"));
    remove(&[c"c", c"d"]);
    must(rmdir(c"b/f"), "rmdir");
    must(rmdir(c"b"), "rmdir");
}

fn links(_: &Args) {
    make(c"a", b"text");
    show("link", link(c"a", c"b"));
    let count = |path| lstat(path).map(|stat| stat.st_nlink);
    show_number("names of a", count(c"a"));
    let same = lstat(c"a").map(|stat| stat.st_ino) == lstat(c"b").map(|stat| stat.st_ino);
    println!("one inode: {same}");
    let fd = must(sys::open(c"a", O_RDONLY, 0), "open");
    must(unlink(c"a"), "unlink");
    show_number("names of b", count(c"b"));
    must(unlink(c"b"), "unlink");
    show_number("names of what is open", fstat(fd).map(|stat| stat.st_nlink));
    let mut bytes = [0; 4];
    show_number("it is read all the same", sys::read(fd, &mut bytes));
    show("it gets no name again", link_descriptor(fd, c"c"));
    must(mkdir(c"d", 0o755), "mkdir");
    show("link to a directory", link(c"d", c"e"));
    must(symlink(c"d", c"s"), "symlink");
    show_number("a link's length", lstat(c"s").map(|stat| stat.st_size));
    println!(
        "s leads to {}",
        must(readlink(c"s", &mut [0; 8]), "readlink")
    );
    show("link to a link", link(c"s", c"t"));
    show_number("names of s", count(c"s"));
    must(symlink(c"loop", c"loop"), "symlink");
    show("a link to itself", access(c"loop", 0));
    show("unlink a directory", unlink(c"d"));
    show("rmdir a link", rmdir(c"s"));
    show("link over another", link(c"s", c"t"));
    remove(&[c"s", c"t", c"loop"]);
    must(rmdir(c"d"), "rmdir");
}

fn nameless(_: &Args) {
    let flags = 0o20_000_000 | nr::O_DIRECTORY | O_RDWR;
    let fd = must(open_any(c".", flags, 0o600), "open");
    must(sys::write_all(fd, b"made without a name"), "write");
    show_number("names", fstat(fd).map(|stat| stat.st_nlink));
    show("a name", link_descriptor(fd, c"named"));
    show_number("names", fstat(fd).map(|stat| stat.st_nlink));
    print(c"named");
    show("only to read", open_any(c".", flags & !O_RDWR, 0o600));
    show("in a file", open_any(c"named", flags, 0o600));
    remove(&[c"named"]);
}

const READ: u32 = nr::F_RDLCK;
const WRITE: u32 = nr::F_WRLCK;
const NONE: u32 = nr::F_UNLCK;

fn lock(fd: Fd, kind: u32, start: i64, len: i64) -> guest_user::errno::Result<u32> {
    range_lock(fd, nr::F_SETLK, kind, start, len)
}

/// What stands in the way of a lock.
fn in_the_way(fd: Fd, kind: u32, start: i64, len: i64) -> &'static str {
    match range_lock(fd, nr::F_GETLK, kind, start, len) {
        Ok(READ) => "a lock to read",
        Ok(WRITE) => "a lock to write",
        Ok(NONE) => "nothing",
        _ => "an error",
    }
}

fn locks(_: &Args) {
    make(c"a", b"0123456789");
    let fd = must(sys::open(c"a", O_RDWR, 0), "open");
    show("write 0-4", lock(fd, WRITE, 0, 5));
    show("read 5-9", lock(fd, READ, 5, 5));
    in_child(|| {
        show("child: read 0-4", lock(fd, READ, 0, 5));
        show("child: read 5-9", lock(fd, READ, 5, 5));
        show("child: write 5-9", lock(fd, WRITE, 5, 5));
        show("child: write behind", lock(fd, WRITE, 10, 0));
        println!("child: at 2 is {}", in_the_way(fd, READ, 2, 1));
        println!("child: at 7 is {}", in_the_way(fd, READ, 7, 1));
    });
    show("unlock 1-2", lock(fd, NONE, 1, 2));
    in_child(|| {
        println!("child: at 0 is {}", in_the_way(fd, READ, 0, 1));
        println!("child: at 1 is {}", in_the_way(fd, READ, 1, 2));
        println!("child: at 3 is {}", in_the_way(fd, READ, 3, 1));
    });
    let other = must(sys::open(c"a", O_RDONLY, 0), "open");
    show("write through a reader", lock(other, WRITE, 0, 1));
    show("no such kind", lock(fd, 7, 0, 1));
    show("before the start", lock(fd, WRITE, -1, 1));
    must(sys::close(other), "close");
    println!("another descriptor of the file was closed");
    in_child(|| println!("child: at 0 is {}", in_the_way(fd, WRITE, 0, 0)));
    in_child(|| {
        let own = must(sys::open(c"a", O_RDWR, 0), "open");
        show(
            "a description's lock",
            range_lock(own, nr::F_OFD_SETLK, WRITE, 0, 0),
        );
        println!("for another table {}", in_the_way(fd, READ, 0, 1));
        show(
            "for another description",
            range_lock(fd, nr::F_OFD_SETLK, READ, 0, 1),
        );
        must(sys::close(own), "close");
        println!("after its end {}", in_the_way(fd, READ, 0, 1));
    });
    remove(&[c"a"]);
}

fn whole_locks(_: &Args) {
    make(c"a", b"");
    let open = || must(sys::open(c"a", O_RDWR, 0), "open");
    let flock = |fd, how: u32| on_fd(nr::__NR_flock, fd, [how as usize, 0, 0, 0]);
    let (first, second) = (open(), open());
    let now = nr::LOCK_NB;
    show("exclusive", flock(first, nr::LOCK_EX | now));
    show("again", flock(first, nr::LOCK_EX | now));
    show(
        "shared by another description",
        flock(second, nr::LOCK_SH | now),
    );
    in_child(|| {
        show(
            "by a child through the same",
            flock(first, nr::LOCK_EX | now),
        )
    });
    show("weaker", flock(first, nr::LOCK_SH | now));
    show(
        "shared by another description",
        flock(second, nr::LOCK_SH | now),
    );
    show("stronger", flock(first, nr::LOCK_EX | now));
    in_child(|| must(sys::close(second), "close"));
    show(
        "a child has closed its copy",
        flock(first, nr::LOCK_EX | now),
    );
    show("unlock", flock(second, nr::LOCK_UN));
    show("stronger", flock(first, nr::LOCK_EX | now));
    show("nonsense", flock(first, 77));
    let child = must(task::fork(), "fork");
    if child == 0 {
        let mine = open();
        show("child: waits for the lock", flock(mine, nr::LOCK_EX));
        task::exit(0);
    }
    must(sys::sleep_ms(5), "sleep");
    println!("the parent lets go");
    show("unlock", flock(first, nr::LOCK_UN));
    must(task::wait(child, 0), "wait");
    remove(&[c"a"]);
}

fn deadlock(_: &Args) {
    make(c"a", b"01");
    let fd = must(sys::open(c"a", O_RDWR, 0), "open");
    must(lock(fd, WRITE, 0, 1), "lock");
    let (ready, tell) = must(sys::pipe(0), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        must(lock(fd, WRITE, 1, 1), "lock");
        must(sys::write_all(tell, b"!"), "write");
        let got = range_lock(fd, nr::F_SETLKW, WRITE, 0, 1);
        show("child: waits for the parent's", got);
        task::exit(0);
    }
    must(sys::read(ready, &mut [0; 1]), "read");
    must(sys::sleep_ms(5), "sleep");
    show(
        "each waits for the other",
        range_lock(fd, nr::F_SETLKW, WRITE, 1, 1),
    );
    must(lock(fd, NONE, 0, 1), "unlock");
    must(task::wait(child, 0), "wait");
    remove(&[c"a"]);
}

fn append(_: &Args) {
    make(c"a", b"");
    let child = must(task::fork(), "fork");
    let fd = must(sys::open(c"a", O_WRONLY | O_APPEND, 0), "open");
    let text: &[u8] = if child == 0 { b"child.\n" } else { b"parent\n" };
    for _ in 0..50 {
        must(sys::seek(fd, 0, sys::SEEK_SET), "lseek");
        must(sys::write_all(fd, text), "write");
        sys::sched_yield();
    }
    if child == 0 {
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    show_number("bytes", fstat(fd).map(|stat| stat.st_size));
    let read = must(sys::open(c"a", O_RDONLY, 0), "open");
    let (mut parents, mut children, mut line) = (0, 0, [0; 7]);
    while must(sys::read(read, &mut line), "read") == 7 {
        match &line {
            b"parent\n" => parents += 1,
            b"child.\n" => children += 1,
            _ => println!("a torn line"),
        }
    }
    println!("{parents} lines of the parent, {children} of the child");
    show_number("pwrite at 0 all the same", write_at(fd, b"end", 0));
    show_number("bytes", fstat(fd).map(|stat| stat.st_size));
    remove(&[c"a"]);
}

fn write_at(fd: Fd, bytes: &[u8], at: usize) -> guest_user::errno::Result<usize> {
    on_fd(
        nr::__NR_pwrite64,
        fd,
        [bytes.as_ptr() as usize, bytes.len(), at, 0],
    )
}

fn mode(path: &CStr) -> u32 {
    lstat(path).map_or(0, |stat| stat.st_mode & 0o7777)
}

fn masks(_: &Args) {
    let umask = |mask: usize| on_fd(nr::__NR_umask, mask as Fd, [0; 4]).unwrap_or(0);
    umask(0o022);
    make(c"a", b"");
    println!("asked for 644 with 022: {:o}", mode(c"a"));
    println!("the old mask was {:o}", umask(0o077));
    let fd = must(sys::open(c"b", O_WRONLY | O_CREAT, 0o666), "open");
    println!("asked for 666 with 077: {:o}", mode(c"b"));
    must(mkdir(c"d", 0o777), "mkdir");
    println!("a directory asked for 777: {:o}", mode(c"d"));
    in_child(|| {
        println!("the child has {:o} and sets 0", umask(0));
        make(c"c", b"");
    });
    println!("made by the child: {:o}", mode(c"c"));
    println!("the parent still has {:o}", umask(0o7777));
    println!("only permissions are masked: {:o}", umask(0o022));
    must(sys::close(fd), "close");
    must(rmdir(c"d"), "rmdir");
    remove(&[c"a", c"b", c"c"]);
}

fn modes(_: &Args) {
    make(c"a", b"");
    let chmod = |mode: usize| on_path(nr::__NR_chmod, c"a", [mode, 0, 0]);
    let chown = |uid: usize, gid: usize| on_path(nr::__NR_chown, c"a", [uid, gid, 0]);
    show("chmod", chmod(0o6755));
    println!("{:o}", mode(c"a"));
    show("chown", chown(1000, 1001));
    let owner = |stat: nr::stat| (stat.st_uid, stat.st_gid);
    println!("{:?}, {:o}", lstat(c"a").map(owner), mode(c"a"));
    show("chown of the group", chown(u32::MAX as usize, 5));
    println!("{:?}", lstat(c"a").map(owner));
    must(chmod(0o4755), "chmod");
    in_child(|| {
        must(on_fd(nr::__NR_setuid, 2000, [0; 4]), "setuid");
        show("a stranger's chmod", chmod(0o777));
        show("a stranger's chown", chown(2000, 5));
        show("a stranger opens to write", sys::open(c"a", O_WRONLY, 0));
        show(
            "a stranger makes a name",
            sys::open(c"b", O_WRONLY | O_CREAT, 0),
        );
        show("a stranger reads", sys::open(c"a", O_RDONLY, 0));
        show("a stranger may write", access(c"a", 2));
    });
    in_child(|| {
        must(on_fd(nr::__NR_setuid, 1000, [0; 4]), "setuid");
        let fd = must(sys::open(c"a", O_WRONLY, 0), "open");
        println!("before the owner's write {:o}", mode(c"a"));
        must(sys::write_all(fd, b"x"), "write");
        println!("after it {:o}", mode(c"a"));
        show("the owner's chmod", chmod(0o600));
        show("the owner's chown", chown(0, 0));
        show("chown to what it is", chown(1000, u32::MAX as usize));
    });
    let fchmod = |fd| on_fd(nr::__NR_fchmod, fd, [0o640, 0, 0, 0]);
    let fd = must(sys::open(c"a", O_RDONLY, 0), "open");
    show("fchmod", fchmod(fd));
    println!("{:o}", mode(c"a"));
    show("fchmod of no descriptor", fchmod(77));
    remove(&[c"a"]);
}

fn dates(_: &Args) {
    make(c"a", b"text");
    let old = [[100_000_000, 5], [90_000_000, 7]];
    show("set", set_dates(c"a", old));
    let tell = |what| {
        let stat = must(lstat(c"a"), "lstat");
        let changed = stat.st_ctime > 100_000_000;
        println!(
            "{what}: read {}.{}, written {}.{}, changed later: {changed}",
            stat.st_atime, stat.st_atime_nsec, stat.st_mtime, stat.st_mtime_nsec
        );
    };
    tell("as set");
    let omit = i64::from(nr::UTIME_OMIT);
    show("one only", set_dates(c"a", [[0, omit], [80_000_000, 1]]));
    tell("one only");
    show(
        "no nanoseconds",
        set_dates(c"a", [[0, 1_000_000_000], [0, 0]]),
    );
    show("nothing", set_dates(c"x", [[0, omit], [0, omit]]));
    show("nothing there", set_dates(c"x", old));
    make(c"a", b"more");
    let stat = must(lstat(c"a"), "lstat");
    println!("a write moves the date: {}", stat.st_mtime > 100_000_000);
    println!("not that of reading: {}", stat.st_atime == 100_000_000);
    in_child(|| {
        must(on_fd(nr::__NR_setuid, 2000, [0; 4]), "setuid");
        show("a stranger", set_dates(c"a", old));
    });
    remove(&[c"a"]);
}

fn busy_text(args: &Args) {
    let mut path = [0; 256];
    let own = args.beside("files", &mut path);
    let Some(own) = own else {
        return;
    };
    copy_program(own);
    let writer = must(sys::open(c"program", O_WRONLY, 0), "open");
    in_child(|| {
        let errno = task::exec(c"program", &[c"program", c"wait"], args.environment());
        println!("run while somebody may write: error {}", errno.0);
    });
    must(sys::close(writer), "close");
    let (wait, hold) = must(sys::pipe(0), "pipe");
    let child = must(task::fork(), "fork");
    if child == 0 {
        must(sys::dup2(wait, 0), "dup2");
        must(sys::close(hold), "close");
        let errno = task::exec(c"program", &[c"program", c"wait"], args.environment());
        println!("error {}", errno.0);
        task::exit(1);
    }
    must(sys::sleep_ms(20), "sleep");
    show("write while it runs", sys::open(c"program", O_WRONLY, 0));
    show(
        "truncate while it runs",
        on_path(nr::__NR_truncate, c"program", [0; 3]),
    );
    show("read while it runs", sys::open(c"program", O_RDONLY, 0));
    must(sys::close(hold), "close");
    must(task::wait(child, 0), "wait");
    show("write after it", sys::open(c"program", O_WRONLY, 0));
    remove(&[c"program"]);
}

fn copy_program(from: &CStr) {
    let from = must(sys::open(from, O_RDONLY, 0), "open");
    let to = must(sys::open(c"program", O_WRONLY | O_CREAT, 0o755), "open");
    let mut bytes = [0; 4096];
    loop {
        match must(sys::read(from, &mut bytes), "read") {
            0 => break,
            count => must(
                sys::write_all(to, bytes.get(..count).unwrap_or_default()),
                "write",
            ),
        }
    }
    must(sys::close(from), "close");
    must(sys::close(to), "close");
}

fn length(_: &Args) {
    make(c"a", b"0123456789");
    let size = |path| lstat(path).map(|stat| stat.st_size);
    let truncate = |len: usize| on_path(nr::__NR_truncate, c"a", [len, 0, 0]);
    show("shorter", truncate(4));
    show("longer", truncate(6));
    print(c"a");
    show("negative", truncate(usize::MAX));
    must(mkdir(c"d", 0o755), "mkdir");
    show("a directory", on_path(nr::__NR_truncate, c"d", [0; 3]));
    let fd = must(sys::open(c"a", O_RDWR, 0), "open");
    let allocate = |mode: usize, from, len| on_fd(nr::__NR_fallocate, fd, [mode, from, len, 0]);
    show("room for 100", allocate(0, 0, 100));
    show_number("length", size(c"a"));
    show("room, not length", allocate(1, 0, 5000));
    show_number("length", size(c"a"));
    show("nothing", allocate(0, 0, 0));
    let reader = must(sys::open(c"a", O_RDONLY, 0), "open");
    show(
        "of a reader",
        on_fd(nr::__NR_fallocate, reader, [0, 0, 1, 0]),
    );
    show(
        "ftruncate of a reader",
        on_fd(nr::__NR_ftruncate, reader, [0; 4]),
    );
    show("fsync", on_fd(nr::__NR_fsync, fd, [0; 4]));
    let (end, _) = must(sys::pipe(0), "pipe");
    show("fsync of a pipe", on_fd(nr::__NR_fsync, end, [0; 4]));
    must(rmdir(c"d"), "rmdir");
    remove(&[c"a"]);
}

fn range(_: &Args) {
    let (a, b) = must(sys::pipe(0), "pipe");
    let top = must(sys::dup2(a, 20), "dup2");
    must(sys::dup2(b, 21), "dup2");
    let close_range = |first: usize, last: usize, flags: usize| {
        on_fd(nr::__NR_close_range, first as Fd, [last, flags, 0, 0])
    };
    show("marked", close_range(20, 21, 4));
    show_number("closed by exec", sys::descriptor_flags(top));
    show("closed", close_range(20, 100, 0));
    show("still there", sys::descriptor_flags(top));
    show("the others", sys::descriptor_flags(a));
    show("backwards", close_range(5, 4, 0));
    show("no such flag", close_range(5, 6, 1));
}
