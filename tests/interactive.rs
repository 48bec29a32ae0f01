//! `-i`: what is typed at coe, by a person at a terminal or by a pipe.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

mod common;
#[path = "tiny/mod.rs"]
mod tiny;

use common::{coe, folder, has, open_terminal, shell_status, wait, write};

const BASH: &str = "/bin/bash-static";
const BUSYBOX: &str = "/bin/busybox:/bin/busybox";
const PROMPT: &str = "bash-static-5";

/// How long something on the screen may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// coe with a person at a terminal. Its console goes into a pipe, so that it
/// can be compared byte by byte.
struct Person {
    child: Child,
    keys: File,
    terminal: File,
    cooked: Termios,
    before: String,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Person {
    fn sits_at(command: &mut Command) -> Person {
        let (keys, terminal) = open_terminal().expect("a pseudo terminal");
        let cooked = tcgetattr(&terminal).expect("its settings");
        let before = settings(&terminal);
        let mut child = command
            .stdin(terminal.try_clone().expect("the terminal"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("coe starts");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let mut stdout = child.stdout.take().expect("a pipe");
        let shared = screen.clone();
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                shared.lock().expect("the screen").extend(&bytes[..count]);
            }
        });
        Person {
            child,
            keys,
            terminal,
            cooked,
            before,
            screen,
            reader: Some(reader),
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typing");
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().expect("the screen")).into_owned()
    }

    /// Waits until this is on the screen so many times.
    fn sees(&self, text: &str, times: usize) {
        let start = Instant::now();
        while self.screen().matches(text).count() < times {
            assert!(
                start.elapsed() < PATIENCE,
                "no {times} {text:?} in {:?}",
                self.screen()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for coe's end; the terminal has to be as it was before.
    fn leaves(mut self) -> (i32, Vec<u8>) {
        let status = shell_status(wait(&mut self.child, "coe"));
        assert_eq!(settings(&self.terminal), self.before, "the terminal");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader");
        }
        let screen = self.screen.lock().expect("the screen").clone();
        (status, screen)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(terminal: &File) -> String {
    format!("{:?}", tcgetattr(terminal).expect("its settings"))
}

fn shells() -> bool {
    has("bash-static", "bash-static") && has("busybox", "busybox-static")
}

fn bash(command: &str) -> Command {
    let mut coe = coe();
    coe.args([command, "-i", "--memory", "128MiB", "--with", BUSYBOX]);
    coe
}

fn replay(trace: &Path) -> (i32, Vec<u8>) {
    let output = coe().arg("replay").arg(trace).output().expect("coe starts");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    (shell_status(output.status), output.stdout)
}

fn processor_time(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its times");
    let fields: Vec<&str> = stat.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("ticks");
    ticks(13) + ticks(14)
}

/// Jobs are stopped, go on and are interrupted; a busy guest hears of keys as
/// well; and the recording replays to the byte.
#[test]
fn a_person_at_bash() {
    if !shells() {
        return;
    }
    let folder = folder();
    let trace = folder.path().join("t.coe");
    let mut command = bash("record");
    command.arg("-o").arg(&trace).args([BASH, "--norc", "-i"]);
    let mut person = Person::sits_at(&mut command);
    person.sees(PROMPT, 1);
    person.types("echo $((6*7))\r");
    person.sees("\r\n42\r\n", 1);
    person.types("busybox sleep 1000\r");
    person.sees("sleep 1000\r\n", 1);
    thread::sleep(Duration::from_millis(200));
    person.types("\x1a");
    person.sees("Stopped", 1);
    person.types("fg\r");
    person.sees("busybox sleep 1000\r\n", 3);
    thread::sleep(Duration::from_millis(200));
    person.types("\x03");
    person.sees("^C", 1);
    person.types("echo status $?\r");
    person.sees("status 130\r\n", 1);
    person.types("while :; do :; done\r");
    person.sees("done\r\n", 1);
    thread::sleep(Duration::from_millis(200));
    person.types("\x03");
    person.sees("^C", 2);
    person.types("exit 7\r");
    let (status, screen) = person.leaves();
    assert_eq!(status, 7);
    let (status, again) = replay(&trace);
    assert_eq!(status, 0, "the replay went another way");
    assert_eq!(
        String::from_utf8_lossy(&again),
        String::from_utf8_lossy(&screen)
    );
}

/// While nobody types coe does nothing, and the guest's clock goes as ours does.
#[test]
fn waiting_costs_nothing_and_takes_its_time() {
    if !shells() {
        return;
    }
    let mut command = bash("run");
    command.args([BASH, "--norc", "-i"]);
    let mut person = Person::sits_at(&mut command);
    person.sees(PROMPT, 1);
    thread::sleep(Duration::from_millis(300));
    let (before, start) = (processor_time(person.pid()), Instant::now());
    thread::sleep(Duration::from_millis(1200));
    let used = processor_time(person.pid()) - before;
    assert!(used <= 3, "{used} ticks at a prompt");
    // The guest's own clock has not stood still meanwhile.
    person.types("s=$SECONDS; busybox sleep 1; echo waited $((s > 0)) $((SECONDS - s))\r");
    person.sees("waited 1 1\r\n", 1);
    assert!(start.elapsed() > Duration::from_millis(2100));
    person.types("exit\r");
    assert_eq!(person.leaves().0, 0);
}

/// Ctrl-] ends the run; so does a signal, of which coe then dies. The terminal
/// is sane again and the trace is whole.
#[test]
fn whoever_leaves_or_kills_has_a_sane_terminal_and_a_trace() {
    if !shells() {
        return;
    }
    type Way = fn(&mut Person);
    let key: Way = |person| person.types("\x1d");
    let kill: Way = |person| kill_process(person.pid(), Signal::TERM).expect("a signal");
    let hang: Way = |person| kill_process(person.pid(), Signal::HUP).expect("a signal");
    for busy in [true, false] {
        for (way, expected) in [(key, 120), (kill, 128 + 15), (hang, 128 + 1)] {
            let folder = folder();
            let trace = folder.path().join("t.coe");
            let mut command = bash("record");
            command.arg("-o").arg(&trace).args([BASH, "--norc", "-i"]);
            let mut person = Person::sits_at(&mut command);
            person.sees(PROMPT, 1);
            assert_ne!(settings(&person.terminal), person.before, "raw");
            if busy {
                person.types("while :; do :; done\r");
                person.sees("done\r\n", 1);
            }
            thread::sleep(Duration::from_millis(50));
            way(&mut person);
            let (status, screen) = person.leaves();
            assert_eq!(status, expected);
            assert_eq!(replay(&trace), (0, screen));
        }
    }
}

/// A shell that stops coe has the terminal as it likes it; coe takes it back
/// when it goes on.
#[test]
fn the_terminal_is_the_guests_again_after_a_stop() {
    let folder = folder();
    let kernel = write(&folder, "forever", tiny::kernel(tiny::FOREVER));
    let mut command = coe();
    command.args(["boot", "-i"]).arg(kernel);
    let mut person = Person::sits_at(&mut command);
    let becomes = |person: &Person, raw: bool| {
        let start = Instant::now();
        while (settings(&person.terminal) == person.before) == raw {
            assert!(start.elapsed() < PATIENCE, "raw: {raw}");
            thread::sleep(Duration::from_millis(2));
        }
    };
    becomes(&person, true);
    kill_process(person.pid(), Signal::STOP).expect("a signal");
    tcsetattr(&person.terminal, OptionalActions::Now, &person.cooked).expect("its settings");
    becomes(&person, false);
    kill_process(person.pid(), Signal::CONT).expect("a signal");
    becomes(&person, true);
    person.types("\x1d");
    assert_eq!(person.leaves().0, 120);
}

/// How fast it goes is told to a person at a terminal, and to nobody else:
/// what a script reads never varies.
#[test]
fn the_speed_is_for_people() {
    let (mut screen, terminal) = open_terminal().expect("a pseudo terminal");
    let run = |stderr: Stdio| {
        let mut command = coe();
        command.args(["run", "hello"]).stderr(stderr);
        command.stdin(Stdio::null()).output().expect("coe starts")
    };
    let piped = run(Stdio::piped());
    let said = String::from_utf8_lossy(&piped.stderr);
    assert!(said.contains("digest") && !said.contains("MIPS"), "{said}");
    assert_eq!(run(terminal.into()).stdout, piped.stdout);
    let mut bytes = [0; 4096];
    let count = screen.read(&mut bytes).expect("what is on the screen");
    let said = String::from_utf8_lossy(&bytes[..count]);
    assert!(
        said.contains("ms of guest time") && said.contains("MIPS"),
        "{said}"
    );
}

/// Types all at once, or with pauses.
fn through_pipe(command: &mut Command, pieces: &[&str], pause: Duration) -> (i32, Vec<u8>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("coe starts");
    let mut keys = child.stdin.take().expect("a pipe");
    for piece in pieces {
        keys.write_all(piece.as_bytes()).expect("typing");
        thread::sleep(pause);
    }
    drop(keys);
    let output = child.wait_with_output().expect("its output");
    (shell_status(output.status), output.stdout)
}

/// A pipe's bytes make the same run whenever they come, and its end is the
/// input's end for everybody who reads.
#[test]
fn the_same_pipe_gives_the_same_run() {
    if !shells() {
        return;
    }
    let script = [
        "read -t 5 x; ec",
        "ho got $x\nhello\nbusybox sl",
        "eep 3; busybox cat; echo then\n",
        "to cat\nhalf a line",
    ];
    let folder = folder();
    let mut runs = Vec::new();
    for (name, pause) in [("fast", 0), ("slow", 700)] {
        let trace = folder.path().join(name);
        let mut command = bash("record");
        command
            .args(["--stdio", "pipe", "-o"])
            .arg(&trace)
            .arg(BASH);
        let (status, said) = through_pipe(&mut command, &script, Duration::from_millis(pause));
        assert_eq!(
            (status, String::from_utf8_lossy(&said)),
            (0, "got hello\nto cat\nhalf a linethen\n".into())
        );
        assert_eq!(replay(&trace), (0, said));
        runs.push(fs::read(trace).expect("the trace"));
    }
    assert!(runs[0] == runs[1], "the traces differ");
}

/// Without -i nobody looks at standard input, and who waits for it is told of -i.
#[test]
fn without_the_option_nothing_is_read() {
    let run = |further: &[&str]| {
        let mut command = coe();
        command.args(["run", "--stdio", "pipe"]).args(further);
        command.stderr(Stdio::piped());
        let mut child = command
            .args(["--with", BUSYBOX, "/bin/busybox", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("coe starts");
        let mut keys = child.stdin.take().expect("a pipe");
        // It may have ended without having read.
        let _ = keys.write_all(b"typed\n");
        drop(keys);
        let output = child.wait_with_output().expect("its output");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (shell_status(output.status), output.stdout, said)
    };
    if !has("busybox", "busybox-static") {
        return;
    }
    let (status, console, said) = run(&[]);
    assert_eq!((status, console), (120, Vec::new()));
    assert!(
        said.contains("asleep for ever") && said.contains("-i "),
        "{said}"
    );
    let (status, console, _) = run(&["-i"]);
    assert_eq!((status, console), (0, b"typed\n".to_vec()));
}

/// A kernel that never sleeps, but looks at the serial port all the time.
#[test]
fn any_kernel_can_be_typed_at() {
    let folder = folder();
    let kernel = write(&folder, "echo", tiny::kernel(tiny::ECHO));
    let mut command = coe();
    command.args(["boot", "-i"]).arg(kernel);
    let mut person = Person::sits_at(&mut command);
    person.types("q");
    assert_eq!(person.leaves(), (i32::from(b'q'), b"q".to_vec()));
}
