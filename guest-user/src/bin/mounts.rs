//! `mounts`: what is mounted where, and who sees it. Each part works in a
//! mount namespace of its own, so nothing of it stays.
#![no_std]
#![no_main]

use core::ffi::CStr;

use guest_user::out::must;
use guest_user::signal::SIGCHLD;
use guest_user::start::Args;
use guest_user::sys::{self, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY};
use guest_user::sys_fs::{
    access, lstat, mkdir, mount, on_path, on_paths, readlink, rename, rmdir, show, statfs, symlink,
    umount, unlink,
};
use guest_user::task;
use guest_user::{eprintln, println, program};
use linux_raw_sys::general::{
    __NR_chmod, __NR_chroot, __NR_mknod, __NR_pivot_root, CLONE_NEWNS, MNT_DETACH, MS_BIND,
    MS_MOVE, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, S_IFCHR,
};

program!(main);

fn main(args: &Args) -> i32 {
    let work: fn() = match args.get(1).map(CStr::to_bytes) {
        Some(b"namespace") => return namespace(),
        Some(b"bind") => bind,
        Some(b"read-only") => read_only,
        Some(b"busy") => busy,
        Some(b"move") => move_tree,
        Some(b"root") => root,
        Some(b"flags") => flags,
        Some(b"deep") => deep,
        _ => {
            eprintln!("mounts namespace|bind|read-only|busy|move|root|flags|deep");
            return 2;
        }
    };
    in_namespace(work);
    0
}

/// A name for all that is made here, removed at the end.
const BASE: &CStr = c"mounts.tmp";

/// Runs `work` in a child with mounts of its own, in a fresh file system.
fn in_namespace(work: fn()) {
    let _ = mkdir(BASE, 0o755);
    let child = must(
        task::clone3(u64::from(CLONE_NEWNS), u64::from(SIGCHLD)),
        "clone",
    );
    if child == 0 {
        must(mount(c"none", c"/", c"", MS_REC | MS_PRIVATE), "private");
        must(mount(c"none", BASE, c"tmpfs", 0), "tmpfs");
        must(sys::chdir(BASE), "chdir");
        work();
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    show("nothing of it is left", rmdir(BASE));
}

fn make(path: &CStr, text: &[u8]) {
    let fd = must(sys::open(path, O_WRONLY | O_CREAT, 0o644), "open");
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

fn namespace() -> i32 {
    let _ = mkdir(BASE, 0o755);
    make(c"mounts.tmp/below", b"below");
    let child = must(
        task::clone3(u64::from(CLONE_NEWNS), u64::from(SIGCHLD)),
        "clone",
    );
    if child == 0 {
        must(mount(c"none", c"/", c"", MS_REC | MS_PRIVATE), "private");
        must(mount(c"none", BASE, c"tmpfs", 0), "tmpfs");
        make(c"mounts.tmp/above", b"above");
        println!("the child has mounted something");
        print(c"mounts.tmp/above");
        print(c"mounts.tmp/below");
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    println!("the parent does not see it");
    print(c"mounts.tmp/above");
    print(c"mounts.tmp/below");
    show("unlink", unlink(c"mounts.tmp/below"));
    show("rmdir", rmdir(BASE));
    0
}

fn bind() {
    must(mkdir(c"a", 0o755), "mkdir");
    must(mkdir(c"b", 0o755), "mkdir");
    must(mkdir(c"a/deep", 0o755), "mkdir");
    make(c"a/file", b"of a");
    make(c"b/file", b"of b");
    show("bind", mount(c"a", c"b", c"", MS_BIND));
    print(c"b/file");
    make(c"b/new", b"made in b");
    print(c"a/new");
    let same = lstat(c"a/file").map(|stat| (stat.st_dev, stat.st_ino))
        == lstat(c"b/file").map(|stat| (stat.st_dev, stat.st_ino));
    println!("one inode: {same}");
    show(
        "rename from one view to the other",
        rename(c"a/new", c"b/newer"),
    );
    show("rename in one view", rename(c"b/new", c"b/newer"));
    must(sys::chdir(c"b/deep"), "chdir");
    where_am_i();
    must(sys::chdir(c".."), "chdir");
    where_am_i();
    must(sys::chdir(c".."), "chdir");
    where_am_i();
    show(
        "a file over a file",
        mount(c"a/newer", c"b/file", c"", MS_BIND),
    );
    print(c"b/file");
    print(c"a/file");
    show("unlink what is mounted on", unlink(c"b/file"));
    show(
        "a file over a directory",
        mount(c"a/newer", c"b", c"", MS_BIND),
    );
    show("umount", umount(c"b/file", 0));
    show("umount", umount(c"b", 0));
    print(c"b/file");
    show("umount what is no mount", umount(c"b", 0));
}

fn where_am_i() {
    let mut buffer = [0; 256];
    let path = must(sys::getcwd(&mut buffer), "getcwd");
    let at = path.find("mounts.tmp").unwrap_or(0);
    println!("now in {}", path.get(at..).unwrap_or_default());
}

fn read_only() {
    must(mkdir(c"a", 0o755), "mkdir");
    must(mkdir(c"b", 0o755), "mkdir");
    make(c"a/file", b"text");
    must(mount(c"a", c"b", c"", MS_BIND), "bind");
    let flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
    show("remount", mount(c"none", c"b", c"", flags));
    show("open to write", sys::open(c"b/file", O_RDWR, 0));
    show("open to read", sys::open(c"b/file", O_RDONLY, 0));
    show("create", sys::open(c"b/new", O_WRONLY | O_CREAT, 0o600));
    show("mkdir", mkdir(c"b/new", 0o755));
    show("unlink", unlink(c"b/file"));
    show("rename", rename(c"b/file", c"b/other"));
    show("symlink", symlink(c"x", c"b/link"));
    show(
        "the other view is writable",
        sys::open(c"a/file", O_RDWR, 0),
    );
    show("remount a directory", mount(c"none", c"a", c"", flags));
}

fn busy() {
    must(mkdir(c"m", 0o755), "mkdir");
    must(mount(c"none", c"m", c"tmpfs", 0), "mount");
    let fd = must(sys::open(c"m/file", O_RDWR | O_CREAT, 0o600), "open");
    show("with an open file", umount(c"m", 0));
    must(sys::close(fd), "close");
    must(mkdir(c"m/inner", 0o755), "mkdir");
    must(mount(c"none", c"m/inner", c"tmpfs", 0), "mount");
    show("with a mount on it", umount(c"m", 0));
    must(umount(c"m/inner", 0), "umount");
    must(sys::chdir(c"m"), "chdir");
    show("with somebody in it", umount(c"../m", 0));
    show("rmdir of a mount point", rmdir(c"../m"));
    show("detach", umount(c"../m", MNT_DETACH));
    make(c"left", b"still here");
    print(c"left");
    show("its parent is itself", access(c"../left", 0));
    must(sys::chdir(c"/"), "chdir");
    show("no such type", mount(c"none", c"/", c"no-such-type", 0));
    show(
        "no such place",
        mount(c"none", c"/no-such-place", c"tmpfs", 0),
    );
    show("no flag", umount(c"/", 0x1000));
}

fn move_tree() {
    for path in [c"a", c"b", c"c"] {
        must(mkdir(path, 0o755), "mkdir");
    }
    must(mount(c"none", c"a", c"tmpfs", 0), "mount");
    must(mkdir(c"a/inner", 0o755), "mkdir");
    must(mount(c"none", c"a/inner", c"tmpfs", 0), "mount");
    make(c"a/inner/file", b"moved");
    show("bind one", mount(c"a", c"b", c"", MS_BIND));
    print(c"b/inner/file");
    must(umount(c"b", 0), "umount");
    show("bind all", mount(c"a", c"b", c"", MS_BIND | MS_REC));
    print(c"b/inner/file");
    must(umount(c"b/inner", 0), "umount");
    must(umount(c"b", 0), "umount");
    show("move into itself", mount(c"a", c"a/inner", c"", MS_MOVE));
    show("move what is no mount", mount(c"b", c"c", c"", MS_MOVE));
    show("move", mount(c"a", c"c", c"", MS_MOVE));
    print(c"c/inner/file");
    print(c"a/inner/file");
}

/// What statfs says of a mount, as far as it does not depend on the machine.
fn tell_flags(path: &CStr) {
    let told = must(statfs(path), "statfs");
    let flags = told.f_flags & 0xF;
    println!(
        "{path:?}: type {:#x}, names of {}, flags {flags:#x}",
        told.f_type, told.f_namelen
    );
}

fn flags() {
    must(mkdir(c"m", 0o755), "mkdir");
    must(mkdir(c"n", 0o755), "mkdir");
    let all = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    must(mount(c"none", c"m", c"tmpfs", all), "mount");
    must(mount(c"none", c"n", c"tmpfs", MS_RDONLY), "mount");
    tell_flags(c".");
    tell_flags(c"m");
    tell_flags(c"n");
    let device = (S_IFCHR | 0o600) as usize;
    let null = 1 << 8 | 3;
    show("a device", on_path(__NR_mknod, c"null", [device, null, 0]));
    show("to open", sys::open(c"null", O_RDWR, 0));
    show(
        "a device there",
        on_path(__NR_mknod, c"m/null", [device, null, 0]),
    );
    show("to open", sys::open(c"m/null", O_RDWR, 0));
    make(c"program", b"#!/nothing\n");
    make(c"m/program", b"#!/nothing\n");
    let run = |path: &CStr| {
        must(on_path(__NR_chmod, path, [0o755, 0, 0]), "chmod");
        let errno = task::exec(path, &[path], core::ptr::null());
        println!("to run {path:?}: error {}", errno.0);
    };
    run(c"m/program");
    show("to write", sys::open(c"n/file", O_WRONLY | O_CREAT, 0o600));
    let writable = MS_REMOUNT;
    show("remounted", mount(c"none", c"n", c"", writable));
    show("to write", sys::open(c"n/file", O_WRONLY | O_CREAT, 0o600));
    tell_flags(c"n");
}

/// Folders in folders and mounts on mounts, that all go at once.
fn deep() {
    must(mkdir(c"m", 0o755), "mkdir");
    must(mount(c"none", c"m", c"tmpfs", 0), "mount");
    must(sys::chdir(c"m"), "chdir");
    for _ in 0..200 {
        must(mkdir(c"d", 0o755), "mkdir");
        must(sys::chdir(c"d"), "chdir");
    }
    make(c"file", b"at the bottom");
    print(c"file");
    for _ in 0..201 {
        must(sys::chdir(c".."), "chdir");
    }
    show("200 folders go", umount(c"m", 0));
    for _ in 0..30 {
        must(mount(c"none", c"m", c"tmpfs", 0), "mount");
        must(sys::chdir(c"m"), "chdir");
        must(mkdir(c"m", 0o755), "mkdir");
    }
    for _ in 0..30 {
        must(sys::chdir(c".."), "chdir");
    }
    show("30 mounts go", umount(c"m", MNT_DETACH));
    show("nothing is left", rmdir(c"m"));
}

fn root() {
    must(mkdir(c"new", 0o755), "mkdir");
    must(mkdir(c"new/inner", 0o755), "mkdir");
    make(c"new/file", b"in the new root");
    must(symlink(c"/file", c"new/link"), "symlink");
    let child = must(task::fork(), "fork");
    if child == 0 {
        show("chroot", on_path(__NR_chroot, c"new", [0; 3]));
        print(c"/file");
        print(c"/link");
        print(c"/../file");
        let mut buffer = [0; 256];
        let outside = sys::getcwd(&mut buffer).is_ok_and(|path| path.starts_with("(unreachable)"));
        println!("the working directory is outside: {outside}");
        must(sys::chdir(c"/inner"), "chdir");
        must(sys::chdir(c"../../.."), "chdir");
        let path = must(sys::getcwd(&mut buffer), "getcwd");
        println!("`..` ends at {path}");
        show("chroot to a file", on_path(__NR_chroot, c"/file", [0; 3]));
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    show(
        "pivot_root without a mount",
        on_paths(__NR_pivot_root, c"new", c"new/inner"),
    );
    must(mount(c"new", c"new", c"", MS_BIND), "bind");
    must(sys::chdir(c"new"), "chdir");
    must(symlink(c"inner", c"name"), "symlink");
    println!(
        "name leads to {}",
        must(readlink(c"name", &mut [0; 16]), "readlink")
    );
    show("pivot_root", on_paths(__NR_pivot_root, c".", c"inner"));
    must(sys::chdir(c"/"), "chdir");
    print(c"/file");
    show("the old root", access(c"/inner/dev", 0));
    show("let it go", umount(c"/inner", MNT_DETACH));
    show("the old root", access(c"/inner/dev", 0));
}
