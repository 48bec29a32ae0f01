//! `ids WORD`: who a task is, and what that lets it do. Run as root.
#![no_std]
#![no_main]

use core::ffi::CStr;

use guest_user::errno::{Errno, Result};
use guest_user::map::{Pages, Stack};
use guest_user::out::must;
use guest_user::signal::{self, SIGCHLD};
use guest_user::start::Args;
use guest_user::sys::{self, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use guest_user::sys_fs::mount;
use guest_user::sys_ids::{self as ids, Capabilities, SAME, in_child, word};
use guest_user::sys_ptrace::ptrace;
use guest_user::task::{self, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, Clone};
use guest_user::{eprintln, println, program};
use linux_raw_sys::{general as linux, prctl};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1).unwrap_or("") {
        "setuid" => setuid(),
        "setgid" => setgid(),
        "groups" => groups(),
        "task" => per_task(),
        "capabilities" => capabilities(),
        "set-user-id" => set_user_id(args, false),
        "no-new-privs" => set_user_id(args, true),
        "ambient" => ambient(args),
        "kill" => kill(),
        "files" => files(),
        "others" => others(),
        "shared-folder" => shared_folder(args),
        "nosuid" => no_set_ids(args),
        "traced" => traced(args),
        "limit" => limit(args),
        "prctl" => own_settings(),
        "show" => show(args),
        word => {
            eprintln!("ids: {word}?");
            return 2;
        }
    }
    0
}

fn tell_users(what: &str) {
    let [real, effective, saved, files] = ids::user_ids();
    println!("{what}: {real} {effective} {saved} {files}");
}

fn tell_groups(what: &str) {
    let [real, effective, saved, files] = ids::group_ids();
    println!("{what}: {real} {effective} {saved} {files}");
}

/// The user ids: which changes root may make, and which others.
fn setuid() {
    tell_users("at first");
    in_child(|| {
        must(ids::setuid(1000), "setuid");
        tell_users("after setuid(1000)");
        println!("back with setuid(0): {}", word(&ids::setuid(0)));
    });
    in_child(|| {
        must(ids::setresuid(1000, 1001, 1002), "setresuid");
        tell_users("after setresuid(1000, 1001, 1002)");
        println!(
            "setresuid to 1003: {}",
            word(&ids::setresuid(SAME, 1003, SAME))
        );
        must(ids::setresuid(SAME, 1002, SAME), "setresuid");
        tell_users("effective is saved");
        println!("setreuid(1001): {}", word(&ids::setreuid(1001, SAME)));
        must(ids::setreuid(SAME, 1000), "setreuid");
        tell_users("effective is real");
        must(ids::setreuid(1000, 1002), "setreuid");
        tell_users("setreuid sets the saved one");
        println!("setuid(1000): {}", word(&ids::setuid(1000)));
        tell_users("setuid changes the effective one only");
        println!("setuid(5): {}", word(&ids::setuid(5)));
    });
    in_child(|| {
        must(ids::setresuid(1000, 0, 0), "setresuid");
        must(ids::setreuid(SAME, 1000), "setreuid");
        tell_users("root steps back");
        must(ids::setresuid(SAME, 0, SAME), "setresuid");
        tell_users("and returns");
        println!("setfsuid gives {}", ids::setfsuid(7));
        tell_users("after setfsuid(7)");
    });
    println!("an id that is none: {}", word(&ids::setuid(SAME)));
    tell_users("the parent");
}

fn setgid() {
    in_child(|| {
        must(ids::setresgid(10, 11, 12), "setresgid");
        tell_groups("after setresgid(10, 11, 12)");
        must(ids::setuid(1000), "setuid");
        println!("setresgid to 13: {}", word(&ids::setresgid(13, SAME, SAME)));
        println!("setgid(12): {}", word(&ids::setgid(12)));
        tell_groups("after setgid(12)");
        println!("setregid(11): {}", word(&ids::setregid(11, SAME)));
        println!("setregid(12, 10): {}", word(&ids::setregid(12, 10)));
        tell_groups("after setregid(12, 10)");
        println!("setfsgid gives {}", ids::setfsgid(99));
        tell_groups("99 was not allowed");
    });
    tell_groups("the parent");
}

fn groups() {
    in_child(|| {
        must(ids::setgroups(&[30, 10, 20, 10]), "setgroups");
        let mut groups = [0; 8];
        println!("how many: {}", must(ids::getgroups(&mut []), "getgroups"));
        println!("too little room: {}", word(&ids::getgroups(&mut [0; 2])));
        let count = must(ids::getgroups(&mut groups), "getgroups");
        for group in groups.iter().take(count) {
            println!("group {group}");
        }
        must(ids::setuid(1000), "setuid");
        println!("setgroups by another: {}", word(&ids::setgroups(&[1])));
        println!("how many: {}", must(ids::getgroups(&mut []), "getgroups"));
    });
    println!(
        "the parent has {}",
        must(ids::getgroups(&mut []), "getgroups")
    );
}

/// Ids belong to the task, not to its group.
fn per_task() {
    let stack = must(Stack::new(64 * 1024), "stack");
    let pages = must(Pages::shared(1), "pages");
    let done = pages.word(0);
    let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    // SAFETY: the child has a stack of its own, and we wait until it is done.
    let child = unsafe { Clone::on_stack(flags, &stack).run(other, done.as_ptr() as usize) };
    must(child, "clone");
    while done.load(core::sync::atomic::Ordering::Acquire) == 0 {
        sys::sched_yield();
    }
    tell_users("the leader");
    println!(
        "the leader's groups: {}",
        must(ids::getgroups(&mut []), "getgroups")
    );
    println!("the leader can still change: {}", word(&ids::setuid(5)));
}

extern "C" fn other(done: usize) -> i32 {
    must(ids::setgroups(&[1, 2]), "setgroups");
    must(ids::setresuid(1, 2, 3), "setresuid");
    tell_users("the other task");
    // SAFETY: the leader's word, which it waits on.
    let done = unsafe { &*(done as *const core::sync::atomic::AtomicU64) };
    done.store(1, core::sync::atomic::Ordering::Release);
    0
}

const CHOWN: u64 = 1 << 0;
const KILL: u64 = 1 << 5;
const SETUID: u64 = 1 << 7;
const SETPCAP: u64 = 1 << 8;

fn tell_capabilities(what: &str) {
    let Capabilities {
        effective,
        permitted,
        inheritable,
    } = must(ids::capabilities(), "capget");
    let of = |set: u64| {
        let letter = |cap, name| if set & cap != 0 { name } else { '-' };
        [
            letter(CHOWN, 'c'),
            letter(KILL, 'k'),
            letter(SETUID, 'u'),
            letter(SETPCAP, 'p'),
        ]
    };
    let [a, b, c] = [of(effective), of(permitted), of(inheritable)];
    println!("{what}: effective {a:?} permitted {b:?} inheritable {c:?}");
}

fn capabilities() {
    tell_capabilities("root");
    in_child(|| {
        must(ids::setresuid(SAME, 1000, SAME), "setresuid");
        tell_capabilities("effective 1000");
        must(ids::setresuid(SAME, 0, SAME), "setresuid");
        tell_capabilities("effective 0 again");
        must(ids::setuid(1000), "setuid");
        tell_capabilities("1000 for good");
    });
    in_child(|| {
        must(ids::prctl(prctl::PR_SET_KEEPCAPS, 1, 0), "keepcaps");
        must(ids::setuid(1000), "setuid");
        tell_capabilities("1000 that keeps them");
        let few = Capabilities {
            effective: SETUID,
            permitted: SETUID | KILL,
            inheritable: KILL,
        };
        must(ids::set_capabilities(few), "capset");
        tell_capabilities("with fewer");
        println!("setuid(1001): {}", word(&ids::setuid(1001)));
        let more = Capabilities {
            permitted: SETUID | KILL | CHOWN,
            ..few
        };
        println!("more than there is: {}", word(&ids::set_capabilities(more)));
        let drop = ids::prctl(prctl::PR_CAPBSET_DROP, 0, 0);
        println!("bounding set without SETPCAP: {}", word(&drop));
    });
    let read = |cap| must(ids::prctl(prctl::PR_CAPBSET_READ, cap, 0), "bounding set");
    println!("bounding set has CHOWN: {}", read(0));
    in_child(|| {
        must(ids::prctl(prctl::PR_CAPBSET_DROP, 0, 0), "bounding set");
        println!("bounding set has CHOWN after the drop: {}", read(0));
        println!(
            "no such capability: {}",
            word(&ids::prctl(prctl::PR_CAPBSET_READ, 63, 0))
        );
    });
    in_child(|| {
        must(
            ids::prctl(prctl::PR_SET_SECUREBITS, 1 << 2 | 1 << 3, 0),
            "securebits",
        );
        let bits = must(ids::prctl(prctl::PR_GET_SECUREBITS, 0, 0), "securebits");
        println!("securebits {bits}");
        println!(
            "locked: {}",
            word(&ids::prctl(prctl::PR_SET_SECUREBITS, 0, 0))
        );
        must(ids::setuid(1000), "setuid");
        tell_capabilities("1000 without the fix-up");
    });
}

/// A copy of this program with a mode of its own, in the working directory.
fn copy_program(args: &Args, mode: u32) {
    let mut path = [0; 256];
    let from = args.beside("ids", &mut path).unwrap_or(c"ids");
    let from = must(sys::open(from, O_RDONLY, 0), "the program");
    let to = must(sys::open(COPY, O_WRONLY | O_CREAT | O_TRUNC, mode), "copy");
    let mut bytes = [0; 4096];
    loop {
        let count = must(sys::read(from, &mut bytes), "read");
        if count == 0 {
            break;
        }
        must(
            sys::write_all(to, bytes.get(..count).unwrap_or_default()),
            "write",
        );
    }
    must(sys::close(from), "close");
    must(sys::close(to), "close");
}

const COPY: &CStr = c"ids.tmp";

fn remove(path: &CStr) {
    must(ids::path_call(linux::__NR_unlink, path, 0, 0), "unlink");
}

fn run_copy(args: &Args) {
    let error: Errno = task::exec(COPY, &[c"ids.tmp", c"show"], args.environment());
    println!("exec: {error}");
}

/// A program with the set-user-id bit runs for its owner.
fn set_user_id(args: &Args, no_new_privileges: bool) {
    copy_program(args, 0o4755);
    in_child(|| {
        must(ids::setresuid(1000, 1000, 1000), "setresuid");
        if no_new_privileges {
            must(
                ids::prctl(prctl::PR_SET_NO_NEW_PRIVS, 1, 0),
                "no new privileges",
            );
            let is = must(
                ids::prctl(prctl::PR_GET_NO_NEW_PRIVS, 0, 0),
                "no new privileges",
            );
            println!("no new privileges: {is}");
        }
        run_copy(args);
    });
    remove(COPY);
}

extern "C" fn run_copy_of(args: usize) -> i32 {
    // SAFETY: the parent passes its arguments, of which this is a copy.
    let args = unsafe { &*(args as *const Args) };
    must(ids::setresuid(1000, 1000, 1000), "setresuid");
    run_copy(args);
    1
}

/// A set-user-id program gets nothing while somebody shares its folder.
fn shared_folder(args: &Args) {
    copy_program(args, 0o4755);
    for flags in [0, CLONE_FS] {
        let argument: *const Args = args;
        // SAFETY: without CLONE_VM the child has its own copy of this memory.
        let child = unsafe { Clone::flags(SIGCHLD | flags).run(run_copy_of, argument as usize) };
        must(task::wait(must(child, "clone"), 0), "wait");
    }
    remove(COPY);
}

/// On a mount that says so the set-user-id bit means nothing.
fn no_set_ids(args: &Args) {
    must(ids::path_call(linux::__NR_mkdir, FOLDER, 0o755, 0), "mkdir");
    for flags in [0, linux::MS_NOSUID] {
        let child = must(
            task::clone3(u64::from(linux::CLONE_NEWNS), u64::from(SIGCHLD)),
            "clone3",
        );
        if child == 0 {
            let private = linux::MS_REC | linux::MS_PRIVATE;
            must(mount(c"none", c"/", c"", private), "private");
            must(mount(c"none", FOLDER, c"tmpfs", flags), "mount");
            must(sys::chdir(FOLDER), "chdir");
            copy_program(args, 0o4755);
            must(ids::setresuid(1000, 1000, 1000), "setresuid");
            run_copy(args);
            task::exit(1);
        }
        must(task::wait(child, 0), "wait");
    }
    must(ids::path_call(linux::__NR_rmdir, FOLDER, 0, 0), "rmdir");
}

/// A set-user-id program gives nothing to whom another user traces.
fn traced(args: &Args) {
    copy_program(args, 0o4755);
    in_child(|| {
        must(ids::setresuid(1000, 1000, 1000), "setresuid");
        let child = must(task::fork(), "fork");
        if child == 0 {
            must(
                ptrace(linux_raw_sys::ptrace::PTRACE_TRACEME, 0, 0, 0),
                "trace me",
            );
            run_copy(args);
            task::exit(1);
        }
        loop {
            let (_, status) = must(task::wait(child, 0), "wait");
            if status.exited().is_some() || status.signaled().is_some() {
                println!("which {status}");
                break;
            }
            println!("the tracer sees a stop");
            must(
                ptrace(linux_raw_sys::ptrace::PTRACE_CONT, child, 0, 0),
                "go on",
            );
        }
    });
    remove(COPY);
}

const USER: u32 = 31_337;

/// A task of the limited user that lives until it is killed.
fn start_sleeper() -> Result<i32> {
    let child = task::fork()?;
    if child == 0 {
        let _ = sys::sleep_ms(100_000);
        task::exit(1);
    }
    Ok(child)
}

fn end_sleeper(child: i32) {
    must(signal::kill(child, linux::SIGKILL), "kill");
    must(task::wait(child, 0), "wait");
}

/// How many tasks a user may have.
fn limit(args: &Args) {
    copy_program(args, 0o755);
    in_child(|| {
        must(ids::set_task_limit(2), "setrlimit");
        must(ids::setuid(USER), "setuid");
        let first = must(start_sleeper(), "fork");
        println!("a third task: {}", word(&start_sleeper()));
        let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
        let stack = must(Stack::new(64 * 1024), "stack");
        // SAFETY: the child would have a stack of its own.
        let cloned = unsafe { Clone::on_stack(flags, &stack).run(other, 0) };
        println!("in the same group: {}", word(&cloned));
        end_sleeper(first);
        let second = start_sleeper();
        println!("when one has ended: {}", word(&second));
        end_sleeper(must(second, "fork"));
    });
    in_child(|| {
        let sleeper = must(task::fork(), "fork");
        if sleeper == 0 {
            must(ids::setuid(USER), "setuid");
            let _ = sys::sleep_ms(100_000);
            task::exit(1);
        }
        // The sleeper's setuid comes before its sleep.
        must(sys::sleep_ms(50), "sleep");
        in_child(|| {
            must(ids::set_task_limit(0), "setrlimit");
            println!("to become one more: {}", word(&ids::setuid(USER)));
            run_copy(args);
        });
        end_sleeper(sleeper);
    });
    remove(COPY);
}

/// Capabilities that another user's programs keep.
fn ambient(args: &Args) {
    copy_program(args, 0o755);
    in_child(|| {
        must(ids::prctl(prctl::PR_SET_KEEPCAPS, 1, 0), "keepcaps");
        must(ids::setuid(1000), "setuid");
        let raise = || {
            ids::prctl(
                prctl::PR_CAP_AMBIENT,
                prctl::PR_CAP_AMBIENT_RAISE as usize,
                5,
            )
        };
        println!("not inheritable: {}", word(&raise()));
        let sets = Capabilities {
            effective: KILL,
            permitted: KILL | CHOWN,
            inheritable: KILL,
        };
        must(ids::set_capabilities(sets), "capset");
        println!("inheritable: {}", word(&raise()));
        run_copy(args);
    });
    in_child(|| {
        must(ids::setuid(1000), "setuid");
        run_copy(args);
    });
    remove(COPY);
}

fn show(args: &Args) {
    tell_users("the program runs as");
    let secure = args.auxiliary(linux_raw_sys::auxvec::AT_SECURE);
    println!("and mistrusts who started it: {}", secure.unwrap_or(9));
    tell_capabilities("with");
}

/// Who may send signals to whom.
fn kill() {
    let root = sys::getpid();
    in_child(|| {
        must(ids::setuid(1000), "setuid");
        println!("1000 to root: {}", word(&signal::kill(root, 0)));
        let child = must(task::fork(), "fork");
        if child == 0 {
            let _ = sys::sleep_ms(100_000);
            task::exit(1);
        }
        println!(
            "1000 to its child: {}",
            word(&signal::kill(child, linux::SIGKILL))
        );
        let (_, status) = must(task::wait(child, 0), "wait");
        println!("which {status}");
    });
    in_child(|| {
        must(ids::setresuid(1000, 0, 0), "setresuid");
        let child = must(task::fork(), "fork");
        if child == 0 {
            must(ids::setuid(1001), "setuid");
            println!(
                "1001 to 1000, 0, 0: {}",
                word(&signal::kill(sys::getppid(), 0))
            );
            println!(
                "SIGCONT in the session: {}",
                word(&signal::kill(sys::getppid(), linux::SIGCONT))
            );
            task::exit(0);
        }
        must(task::wait(child, 0), "wait");
        let child = must(task::fork(), "fork");
        if child == 0 {
            must(ids::setresuid(1000, 1002, 1002), "setresuid");
            println!(
                "real id as the other's real id: {}",
                word(&signal::kill(sys::getppid(), 0))
            );
            task::exit(0);
        }
        must(task::wait(child, 0), "wait");
    });
    println!("root to itself: {}", word(&signal::kill(root, 0)));
    println!("SIGCHLD is {SIGCHLD}");
}

const FILE: &CStr = c"ids.file";
const FOLDER: &CStr = c"ids.folder";
const INSIDE: &CStr = c"ids.folder/file";

fn make(path: &CStr, mode: u32) {
    let fd = must(sys::open(path, O_RDWR | O_CREAT, mode), "open");
    must(sys::close(fd), "close");
}

fn try_open(path: &CStr, flags: u32) -> Result<()> {
    sys::open(path, flags, 0).and_then(sys::close)
}

/// What files and folders allow after setuid.
fn files() {
    make(FILE, 0o640);
    must(ids::path_call(linux::__NR_mkdir, FOLDER, 0o755, 0), "mkdir");
    make(INSIDE, 0o644);
    in_child(|| {
        must(ids::setgroups(&[50]), "setgroups");
        must(ids::setresgid(1000, 1000, 1000), "setresgid");
        must(ids::setresuid(1000, 1000, 0), "setresuid");
        println!("0640 of root, to read: {}", word(&try_open(FILE, O_RDONLY)));
        println!(
            "0644 of root, to read: {}",
            word(&try_open(INSIDE, O_RDONLY))
        );
        println!(
            "0644 of root, to write: {}",
            word(&try_open(INSIDE, O_WRONLY))
        );
        println!(
            "remove in root's folder: {}",
            word(&ids::path_call(linux::__NR_unlink, INSIDE, 0, 0))
        );
        println!(
            "make in root's folder: {}",
            word(&sys::open(c"ids.folder/new", O_RDWR | O_CREAT, 0o600))
        );
        println!(
            "chmod of root's: {}",
            word(&ids::path_call(linux::__NR_chmod, INSIDE, 0o777, 0))
        );
        println!(
            "chown of root's: {}",
            word(&ids::path_call(linux::__NR_chown, INSIDE, 1000, SAME))
        );
    });
    must(ids::path_call(linux::__NR_chown, FILE, SAME, 50), "chown");
    must(ids::path_call(linux::__NR_chmod, FOLDER, 0o700, 0), "chmod");
    in_child(|| {
        must(ids::setgroups(&[50]), "setgroups");
        must(ids::setresuid(1000, 1000, 0), "setresuid");
        println!(
            "0640 of a group of ours, to read: {}",
            word(&try_open(FILE, O_RDONLY))
        );
        println!("to write: {}", word(&try_open(FILE, O_WRONLY)));
        println!("below 0700 of root: {}", word(&try_open(INSIDE, O_RDONLY)));
        println!("to go there: {}", word(&sys::chdir(FOLDER)));
        must(ids::setresuid(SAME, 0, SAME), "setresuid");
        println!("as root again: {}", word(&try_open(INSIDE, O_RDONLY)));
        println!(
            "access asks for the real id: {}",
            word(&ids::access(FILE, linux::W_OK))
        );
        println!(
            "and reads by the group: {}",
            word(&ids::access(FILE, linux::R_OK))
        );
    });
    println!(
        "root executes what nobody may: {}",
        word(&ids::access(FILE, linux::X_OK))
    );
    for path in [INSIDE, FILE] {
        remove(path);
    }
    must(ids::path_call(linux::__NR_rmdir, FOLDER, 0, 0), "rmdir");
}

/// What a task says about itself with prctl.
fn own_settings() {
    must(ids::set_name(c"a name that is too long"), "name");
    let name = must(ids::name(), "name");
    let text = CStr::from_bytes_until_nul(&name).unwrap_or(c"?");
    println!("name {text:?}");
    let pdeathsig = || must(ids::prctl_number(prctl::PR_GET_PDEATHSIG), "pdeathsig");
    must(ids::prctl(prctl::PR_SET_PDEATHSIG, 15, 0), "pdeathsig");
    println!("signal at the parent's end: {}", pdeathsig());
    println!(
        "no such signal: {}",
        word(&ids::prctl(prctl::PR_SET_PDEATHSIG, 65, 0))
    );
    in_child(|| println!("in the child: {}", pdeathsig()));
    let dumpable = || must(ids::prctl(prctl::PR_GET_DUMPABLE, 0, 0), "dumpable");
    println!("dumpable {}", dumpable());
    println!(
        "dumpable 2: {}",
        word(&ids::prctl(prctl::PR_SET_DUMPABLE, 2, 0))
    );
    must(ids::setresuid(SAME, 1000, SAME), "setresuid");
    println!(
        "after setresuid: dumpable {}, signal {}",
        dumpable(),
        pdeathsig()
    );
    must(ids::setresuid(SAME, 0, SAME), "setresuid");
    must(ids::prctl(prctl::PR_SET_DUMPABLE, 1, 0), "dumpable");
    println!("set again: dumpable {}", dumpable());
    let subreaper = || {
        must(
            ids::prctl_number(prctl::PR_GET_CHILD_SUBREAPER),
            "subreaper",
        )
    };
    must(ids::prctl(prctl::PR_SET_CHILD_SUBREAPER, 1, 0), "subreaper");
    println!("subreaper {}", subreaper());
    in_child(|| println!("in the child: {}", subreaper()));
    println!("no such option: {}", word(&ids::prctl(9999, 0, 0)));
}

/// The limits of another task, and nodes of devices.
fn others() {
    let parent = sys::getpid();
    let limits = || ids::limits_of(parent);
    let node = |kind| ids::path_call(linux::__NR_mknod, NODE, kind | 0o600, 0x0103);
    in_child(|| {
        println!("root asks for another's limits: {}", word(&limits()));
        println!("and makes a device: {}", word(&node(linux::S_IFCHR)));
        remove(NODE);
    });
    in_child(|| {
        must(ids::path_call(linux::__NR_mkdir, FOLDER, 0o777, 0), "mkdir");
        must(ids::path_call(linux::__NR_chmod, FOLDER, 0o777, 0), "chmod");
        must(sys::chdir(FOLDER), "chdir");
        must(ids::setresgid(1000, 1000, 1000), "setresgid");
        must(ids::setuid(1000), "setuid");
        println!("another asks for root's limits: {}", word(&limits()));
        println!("and makes a device: {}", word(&node(linux::S_IFCHR)));
        println!("a pipe: {}", word(&node(linux::S_IFIFO)));
        remove(NODE);
    });
    must(ids::path_call(linux::__NR_rmdir, FOLDER, 0, 0), "rmdir");
}

const NODE: &CStr = c"ids.node";
