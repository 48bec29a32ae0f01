//! The first program of every run: it starts the scenario's program, carries
//! its output to the console if it has a pipe for it, reaps every orphan, and
//! ends as the scenario's program ended, which ends the run.
#![no_std]
#![no_main]

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicI32, Ordering};

use abi::boot::{ARGV_FILE, BIN_DIR, ENVIRON_FILE, STDIO_FILE};
use guest_user::errno::{Errno, Result};
use guest_user::out::must;
use guest_user::signal::{self, Action, SIG_UNBLOCK, SIGCHLD, SIGKILL};
use guest_user::start::Args;
use guest_user::sys::{self, Fd, O_CLOEXEC, O_RDONLY, O_RDWR, POLLIN, STDERR, STDIN, STDOUT};
use guest_user::task::{self, __WALL, Status, WNOHANG};
use guest_user::{eprintln, program};

program!(main);

/// Room for the program's arguments, and as much for its environment.
const STRINGS: usize = 32 * 1024;
/// The most arguments, and the most variables.
const MOST: usize = 512;
/// No program is so long ago that a shell would not say it like this.
const NOT_FOUND: i32 = 127;
const NOT_RUNNABLE: i32 = 126;

/// Output flag: the terminal changes the output on its way.
const OPOST: u32 = 1;
/// Local flags: the terminal writes back what is typed.
const ECHO: u32 = 0o10;
const ECHONL: u32 = 0o100;

fn main(_: &Args) -> i32 {
    must(open_console(), "/dev/console");
    let mut words = [0; 8];
    let stdio = must(read_file(STDIO_FILE, &mut words), STDIO_FILE);
    let status = match stdio.trim_ascii() {
        b"pipe" => must(run_with_pipe(), "init"),
        b"tty" => must(run_on_console(), "init"),
        _ => {
            eprintln!("init: {STDIO_FILE} says neither `tty` nor `pipe`");
            return NOT_RUNNABLE;
        }
    };
    must(end_others(), "init: end");
    end_like(status)
}

/// Whatever main left running ends with it, as at the end of every day of a machine.
fn end_others() -> Result<()> {
    let mut options = WNOHANG | __WALL;
    loop {
        match task::wait(-1, options) {
            Err(Errno::ECHILD) => return Ok(()),
            Ok((0, _)) => {
                options = __WALL;
                match signal::kill(-1, SIGKILL) {
                    Err(Errno::ESRCH) => {}
                    killed => killed?,
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The console is standard input, output and error.
fn open_console() -> Result<()> {
    let console = sys::open(c"/dev/console", O_RDWR, 0)?;
    for fd in [STDIN, STDOUT, STDERR] {
        if fd != console {
            sys::dup2(console, fd)?;
        }
    }
    if console > STDERR {
        sys::close(console)?;
    }
    Ok(())
}

/// The program's output is the console itself.
fn run_on_console() -> Result<Status> {
    let main = task::fork()?;
    if main == 0 {
        become_main();
    }
    loop {
        let (pid, status) = match task::wait(-1, 0) {
            Err(Errno::EINTR) => continue,
            waited => waited?,
        };
        if pid == main {
            return Ok(status);
        }
    }
}

/// The end of the pipe into which the handler of SIGCHLD writes.
static CHILD_ENDED: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_child(_: i32, _: *const signal::Info, _: *mut core::ffi::c_void) {
    // A full pipe says the same as one more byte.
    let _ = sys::write(CHILD_ENDED.load(Ordering::Relaxed), b"!");
}

/// The program's output is a pipe, whose bytes go to the console as they are.
fn run_with_pipe() -> Result<Status> {
    pass_bytes_unchanged()?;
    let (ended, tell) = sys::pipe(O_CLOEXEC)?;
    CHILD_ENDED.store(tell, Ordering::Relaxed);
    signal::set_action(SIGCHLD, &Action::handler(on_child, signal::SA_RESTART))?;
    let (output, input) = sys::pipe(O_CLOEXEC)?;

    let main = task::fork()?;
    if main == 0 {
        must(sys::dup2(input, STDOUT), "dup2");
        must(sys::dup2(input, STDERR), "dup2");
        become_main();
    }
    sys::close(input)?;
    carry(output, ended, main)
}

/// Carries output until main is gone, and what it left in the pipe then.
fn carry(output: Fd, ended: Fd, main: i32) -> Result<Status> {
    let mut open = true;
    loop {
        // A negative descriptor is not polled: the pipe's end would be reported for ever.
        let watched = if open { output } else { -1 };
        let mut fds = [
            sys::poll_entry(watched, POLLIN),
            sys::poll_entry(ended, POLLIN),
        ];
        match sys::poll(&mut fds, -1) {
            Err(Errno::EINTR) => continue,
            polled => polled?,
        };
        let [pipe, children] = fds;
        if children.revents != 0 {
            sys::read(ended, &mut [0; 16])?;
            if let Some(status) = reap(main)? {
                while open && is_readable(output)? {
                    open = copy(output)?;
                }
                return Ok(status);
            }
        } else if pipe.revents != 0 {
            open = copy(output)?;
        }
    }
}

/// Copies once to the console; false at the pipe's end.
fn copy(from: Fd) -> Result<bool> {
    let mut bytes = [0; 4096];
    let count = sys::read(from, &mut bytes)?;
    sys::write_all(STDOUT, bytes.get(..count).unwrap_or_default())?;
    Ok(count > 0)
}

fn is_readable(fd: Fd) -> Result<bool> {
    let mut fds = [sys::poll_entry(fd, POLLIN)];
    Ok(sys::poll(&mut fds, 0)? > 0)
}

/// Waits for every child that has ended; main's status if it is among them.
fn reap(main: i32) -> Result<Option<Status>> {
    let mut found = None;
    loop {
        match task::wait(-1, WNOHANG) {
            Ok((0, _)) | Err(Errno::ECHILD) => return Ok(found),
            Ok((pid, status)) if pid == main => found = Some(status),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The console passes output through and writes no input back, as a pipe would.
/// Its lines and keys stay as they are, so that Ctrl-D still ends the input.
fn pass_bytes_unchanged() -> Result<()> {
    let mut settings = sys::terminal(STDOUT)?;
    settings.c_oflag &= !OPOST;
    settings.c_lflag &= !(ECHO | ECHONL);
    sys::set_terminal(STDOUT, &settings)
}

/// In the child: becomes the scenario's program.
fn become_main() -> ! {
    let mut argv_bytes = [0; STRINGS];
    let mut environ_bytes = [0; STRINGS];
    let mut argv = [ptr::null(); MOST + 1];
    let mut environ = [ptr::null(); MOST + 1];
    must(
        read_strings(ARGV_FILE, &mut argv_bytes, &mut argv),
        ARGV_FILE,
    );
    must(
        read_strings(ENVIRON_FILE, &mut environ_bytes, &mut environ),
        ENVIRON_FILE,
    );
    let name = CStr::from_bytes_until_nul(&argv_bytes).unwrap_or(c"");
    let mut path = [0; 256];
    let errno = match in_bin(name, &mut path) {
        Some(path) => task::exec_pointers(path, argv.as_ptr(), environ.as_ptr()),
        None => Errno::ENAMETOOLONG,
    };
    eprintln!("init: {name:?}: {errno}");
    task::exit(if errno == Errno::ENOENT {
        NOT_FOUND
    } else {
        NOT_RUNNABLE
    })
}

/// A name without a slash is that of an embedded program.
fn in_bin<'a>(name: &'a CStr, path: &'a mut [u8; 256]) -> Option<&'a CStr> {
    if name.to_bytes().contains(&b'/') {
        return Some(name);
    }
    let parts = [BIN_DIR.as_bytes(), b"/", name.to_bytes_with_nul()];
    let mut at = 0;
    for part in parts {
        path.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    CStr::from_bytes_until_nul(path).ok()
}

/// Reads strings that each end with NUL, and points at them as exec wants it.
fn read_strings(
    file: &str,
    bytes: &mut [u8; STRINGS],
    pointers: &mut [*const c_char; MOST + 1],
) -> Result<()> {
    let mut rest = read_file(file, bytes)?;
    let mut places = pointers.iter_mut().take(MOST);
    while !rest.is_empty() {
        let text = CStr::from_bytes_until_nul(rest).map_err(|_| Errno::EINVAL)?;
        *places.next().ok_or(Errno::E2BIG)? = text.as_ptr();
        rest = rest.get(text.count_bytes() + 1..).unwrap_or_default();
    }
    Ok(())
}

/// The whole content of a file; E2BIG if it does not fit.
fn read_file<'a>(file: &str, bytes: &'a mut [u8]) -> Result<&'a [u8]> {
    let mut path = [0; 64];
    path.get_mut(..file.len())
        .ok_or(Errno::ENAMETOOLONG)?
        .copy_from_slice(file.as_bytes());
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::ENAMETOOLONG)?;
    let fd = sys::open(path, O_RDONLY | O_CLOEXEC, 0)?;
    let mut len = 0;
    loop {
        let room = bytes.get_mut(len..).unwrap_or_default();
        if room.is_empty() {
            return Err(Errno::E2BIG);
        }
        match sys::read(fd, room)? {
            0 => break,
            count => len += count,
        }
    }
    sys::close(fd)?;
    Ok(bytes.get(..len).unwrap_or_default())
}

/// Ends as main ended: its status becomes ours, its signal kills us.
fn end_like(status: Status) -> i32 {
    let Some(signal) = status.signaled() else {
        return status.exited().map_or(NOT_RUNNABLE, i32::from);
    };
    // SIGKILL has no action to reset.
    let _ = signal::set_action(signal, &Action::DEFAULT);
    let _ = signal::change_mask(SIG_UNBLOCK, signal::bit(signal));
    must(signal::kill(sys::getpid(), signal), "init: kill");
    // A kernel that spares its first task comes here.
    128 + signal as i32
}
