//! What the integration tests share: the same program natively and in the
//! guest, with the same kind of stdout, and tools that may be missing.
#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod mutants;
pub(crate) mod python;
pub(crate) mod rows;
pub(crate) mod workloads;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio as Standard};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{self, OpenptFlags};
use tempfile::TempDir;

/// Nothing natively takes longer; a machine that is asleep for ever says so itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// What no guest in these tests should need.
const CYCLES: &str = "20000000000";

/// What a program's stdout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdio {
    Pipe,
    Tty,
}

impl Stdio {
    fn word(self) -> &'static str {
        match self {
            Stdio::Pipe => "pipe",
            Stdio::Tty => "tty",
        }
    }
}

/// What came out: stdout and stderr in one stream, and the status as a shell
/// says it, 128 + n after signal n.
#[derive(PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) output: Vec<u8>,
    pub(crate) status: i32,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "status {}", self.status)?;
        for line in self.output.split_inclusive(|&byte| byte == b'\n') {
            writeln!(f, "  {}", line.escape_ascii())?;
        }
        Ok(())
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The `coe` under test.
pub(crate) fn coe() -> Command {
    Command::new(env!("CARGO_BIN_EXE_coe"))
}

/// Runs `coe` in a folder, whatever comes of it.
pub(crate) fn coe_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = coe();
    command.current_dir(folder).args(args);
    command.output().expect("coe can be started")
}

/// A folder that goes with the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Writes a file into such a folder.
pub(crate) fn write(folder: &TempDir, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, contents).expect("a file can be written");
    path
}

/// True if this tool is there. A missing one is a failure in CI, and elsewhere
/// a test that says that it is skipped.
pub(crate) fn has(tool: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()) {
        return true;
    }
    let missing = format!("{tool} is missing; it is in Debian's package {package}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    eprintln!("skipped: {missing}");
    false
}

/// Runs a tool that has to succeed.
pub(crate) fn succeed(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}",
        output.status
    );
}

/// The embedded programs as files, in a folder that lives as long as the tests.
/// They are all written before the first is started: a file that is still open
/// for writing in somebody's fork cannot be executed.
static PROGRAMS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = open_folder();
    for (name, bytes) in coe::embedded::PROGRAMS {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("writing a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its permissions");
    }
    folder
});

/// A folder that every user may look into: programs that give root's rights
/// away go on in it.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), everybody).expect("its permissions");
    folder
}

/// The path of an embedded program on the host.
pub(crate) fn embedded(name: &str) -> PathBuf {
    let path = PROGRAMS.path().join(name);
    assert!(path.is_file(), "there is no embedded program {name}");
    path
}

/// Runs an embedded program natively and in the guest, and wants the same.
pub(crate) fn judge_embedded(name: &str, args: &[&str], stdio: Stdio) -> Outcome {
    let native = native(&embedded(name), args, stdio, b"");
    let guest = guest(OsStr::new(name), args, stdio);
    assert_eq!(
        guest, native,
        "guest (left) and native (right) differ: {name} {args:?}, {stdio:?}"
    );
    native
}

/// Runs a program of the host natively and in the guest, and wants the same.
pub(crate) fn judge_file(path: &Path, args: &[&str], stdio: Stdio) -> Outcome {
    let native = native(path, args, stdio, b"");
    let guest = guest(path.as_os_str(), args, stdio);
    assert_eq!(
        guest, native,
        "guest (left) and native (right) differ: {path:?} {args:?}, {stdio:?}"
    );
    native
}

/// Runs a program of the host natively and in the guest on a CPU of the third
/// level, and wants the same.
pub(crate) fn judge_file_on_v3(path: &Path, args: &[&str], stdio: Stdio) -> Outcome {
    let native = native(path, args, stdio, b"");
    let guest = guest_on("v3", path.as_os_str(), args, stdio);
    assert_eq!(
        guest, native,
        "guest (left) and native (right) differ: {path:?} {args:?}, {stdio:?}"
    );
    native
}

/// Runs a program in the guest.
pub(crate) fn guest(program: &OsStr, args: &[&str], stdio: Stdio) -> Outcome {
    guest_on("v2", program, args, stdio)
}

/// Runs a program in the guest on a CPU of this level.
pub(crate) fn guest_on(cpu: &str, program: &OsStr, args: &[&str], stdio: Stdio) -> Outcome {
    let mut command = coe();
    command.args(["run", "--quiet", "--cycles", CYCLES, "--memory", "256MiB"]);
    command.args(["--cpu", cpu]);
    command
        .args(["--stdio", stdio.word()])
        .arg(program)
        .args(args);
    run_coe(&mut command)
}

/// Runs `coe`; what it says on stderr is shown if the test fails.
pub(crate) fn run_coe(command: &mut Command) -> Outcome {
    let output = command
        .stdin(Standard::null())
        .output()
        .expect("coe starts");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Outcome {
        output: output.stdout,
        status: shell_status(output.status),
    }
}

/// Runs a program on the host's own Linux, in an empty folder.
pub(crate) fn native(program: &Path, args: &[&str], stdio: Stdio, input: &[u8]) -> Outcome {
    let folder = open_folder();
    let mut command = Command::new(program);
    command.args(args).current_dir(folder.path()).env_clear();
    // With a group to set, std forks and execs by itself: posix_spawn of glibc
    // would leave two real-time signals ignored.
    let own = fs::metadata("/proc/self").expect("our own process");
    command.gid(own.gid());
    command.envs([("PATH", "/bin"), ("HOME", "/"), ("TERM", "dumb")]);
    // Programs tell how nice they are, and begin as this thread is. If it may not
    // be less nice, they tell that.
    let _ = rustix::process::setpriority_process(None, 0);
    match stdio {
        Stdio::Pipe => through_pipe(&mut command, input),
        Stdio::Tty => through_terminal(&mut command, input),
    }
}

fn through_pipe(command: &mut Command, input: &[u8]) -> Outcome {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    command
        .stdin(Standard::piped())
        .stderr(writer.try_clone().expect("the pipe's end"))
        .stdout(writer);
    let mut child = command.spawn().expect("the program starts");
    // The command holds writing ends of the pipe; its output ends when all are closed.
    command.stdout(Standard::null()).stderr(Standard::null());
    let reading = thread::spawn(move || {
        let mut output = Vec::new();
        reader.read_to_end(&mut output).map(|_| output)
    });
    // A program that does not read its input does not mind losing it.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let status = wait(&mut child, &format!("{command:?}"));
    let output = reading
        .join()
        .expect("the reader")
        .expect("the program's output");
    Outcome {
        output,
        status: shell_status(status),
    }
}

fn through_terminal(command: &mut Command, input: &[u8]) -> Outcome {
    let (mut controller, user) = open_terminal().expect("a pseudo terminal");
    let end = || Standard::from(user.try_clone().expect("the terminal"));
    command.stdin(end()).stdout(end()).stderr(end());
    let mut child = command.spawn().expect("the program starts");
    command
        .stdin(Standard::null())
        .stdout(Standard::null())
        .stderr(Standard::null());
    controller.write_all(input).expect("typing");
    let reading = thread::spawn(move || read_terminal(&mut controller));
    let status = wait(&mut child, &format!("{command:?}"));
    // With our own end closed, the reader sees the terminal's end.
    drop(user);
    let output = reading.join().expect("the reader");
    Outcome {
        output,
        status: shell_status(status),
    }
}

/// A pseudo terminal: the side of who sits at it, and the program's side.
pub(crate) fn open_terminal() -> io::Result<(File, File)> {
    let controller = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    pty::grantpt(&controller)?;
    pty::unlockpt(&controller)?;
    let name = pty::ptsname(&controller, Vec::new())?;
    // std opens everything close-on-exec; without a session of its own the
    // program does not take it as its controlling terminal.
    let user = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(OsStr::from_bytes(name.to_bytes()))?;
    Ok((File::from(controller), user))
}

/// Everything until nobody has the terminal open, which Linux calls EIO.
fn read_terminal(terminal: &mut File) -> Vec<u8> {
    let mut output = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(count) = terminal.read(&mut bytes) {
        if count == 0 {
            break;
        }
        output.extend_from_slice(&bytes[..count]);
    }
    output
}

/// Waits, and gives up on a child that does not end.
pub(crate) fn wait(child: &mut Child, what: &str) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("waiting for the program") {
            return status;
        }
        if start.elapsed() > PATIENCE {
            // It may have ended this instant.
            let _ = child.kill();
            panic!("{what} did not end within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// A status as a shell says it.
pub(crate) fn shell_status(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .expect("it has ended")
}
