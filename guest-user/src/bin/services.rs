//! `services WORD`: the services of the mail on contexts of execution, each
//! made of tasks that share just what they need.
//!
//! - `io-daemon`: a child that shares the descriptor table opens files for its mother.
//! - `inetd`: each request is a task that shares the memory and nothing else.
//! - `cgi`: contexts that exec a program and go on sharing what exec leaves shared.
//! - `private-descriptors`: a thread with a descriptor table of its own.
#![no_std]
#![no_main]

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use guest_user::map::Stack;
use guest_user::out::must;
use guest_user::pthread::Thread;
use guest_user::signal::{self, Action, Info, SIGCHLD, SIGUSR1};
use guest_user::start::Args;
use guest_user::sys::{self, Fd, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, STDOUT};
use guest_user::sys_rows::umask;
use guest_user::task::{
    self, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_VM, Clone, Entry, Status,
};
use guest_user::{eprintln, println, program};

program!(main);

fn main(args: &Args) -> i32 {
    match args.text(1) {
        Some("io-daemon") => io_daemon(),
        Some("inetd") => inetd(args),
        Some("cgi") => cgi(args),
        Some("private-descriptors") => private_descriptors(),
        // What the others exec.
        Some("external-service") => external_service(args),
        Some("cgi-program") => cgi_program(args),
        _ => {
            eprintln!("services: io-daemon, inetd, cgi or private-descriptors");
            2
        }
    }
}

const FILE: &CStr = c"services.tmp";

/// The text that can be read from a descriptor now.
fn text_of(fd: Fd, buffer: &mut [u8]) -> &str {
    match sys::read(fd, buffer) {
        Ok(count) => {
            let bytes = buffer.get(..count).unwrap_or_default();
            core::str::from_utf8(bytes).unwrap_or("no text")
        }
        Err(errno) => errno.name().unwrap_or("an error"),
    }
}

// --- the external I/O daemon ---

/// Both directions of a conversation: what one side reads and what it writes.
#[derive(Clone, Copy)]
struct Daemon {
    requests: Fd,
    answers: Fd,
}

fn io_daemon() -> i32 {
    let (requests, to_daemon) = must(sys::pipe(0), "pipe");
    let (from_daemon, answers) = must(sys::pipe(0), "pipe");
    let ends = Daemon { requests, answers };
    let argument = &raw const ends as usize;
    // SAFETY: without CLONE_VM the child has its own copy of the memory.
    let daemon = unsafe { Clone::flags(CLONE_FILES | SIGCHLD).run(serve_files, argument) };
    let daemon = must(daemon, "clone");
    let ask = |request: u8| {
        must(sys::write_all(to_daemon, &[request]), "write");
        let mut answer = [0];
        must(sys::read(from_daemon, &mut answer), "read");
        Fd::from(answer[0])
    };
    let mut buffer = [0; 64];

    let opened = ask(b'o');
    println!(
        "mother reads what the daemon opened: {}",
        text_of(opened, &mut buffer)
    );
    // The other way round: she opens, the daemon reads from there.
    let own = must(sys::open(FILE, O_RDWR, 0), "open");
    must(sys::seek(own, 11, sys::SEEK_SET), "lseek");
    let read = ask(own as u8);
    println!("the daemon read {read} bytes from the mother's descriptor");
    ask(b'c');
    println!(
        "after the daemon closed it she gets {}",
        text_of(opened, &mut buffer)
    );
    let kept = ask(b'o');
    ask(b'q');
    let (_, status) = must(task::wait(daemon, 0), "wait");
    println!("the daemon {status}");
    println!(
        "what it had opened stays open: {}",
        text_of(kept, &mut buffer)
    );
    0
}

/// Opens, reads and closes on behalf of its mother, in the table of both.
extern "C" fn serve_files(ends: usize) -> i32 {
    // SAFETY: the child's own copy of what the mother passed.
    let Daemon { requests, answers } = unsafe { *(ends as *const Daemon) };
    let mut opened = -1;
    let mut buffer = [0; 64];
    loop {
        let mut request = [0];
        must(sys::read(requests, &mut request), "the daemon's read");
        let answer = match request[0] {
            b'o' => {
                opened = must(sys::open(FILE, O_RDWR | O_CREAT | O_TRUNC, 0o600), "open");
                must(sys::write_all(opened, b"put there by the daemon"), "write");
                must(sys::seek(opened, 0, sys::SEEK_SET), "lseek");
                opened as u8
            }
            b'c' => {
                must(sys::close(opened), "the daemon's close");
                0
            }
            b'q' => 0,
            fd => text_of(Fd::from(fd), &mut buffer).len() as u8,
        };
        must(sys::write_all(answers, &[answer]), "the daemon's write");
        if request[0] == b'q' {
            return 0;
        }
    }
}

// --- the threaded inetd ---

/// Requests that were answered in place, counted in memory that all share.
static ANSWERED_IN_PLACE: AtomicUsize = AtomicUsize::new(0);

/// What the task of a request gets.
struct Request {
    connection: Fd,
    path: *const CStr,
    environment: *const *const core::ffi::c_char,
}

fn inetd(args: &Args) -> i32 {
    let mut path = [0; 256];
    let Some(path) = args.beside("services", &mut path) else {
        return 1;
    };
    let services: [(&str, Entry); 3] = [
        ("time", answer_in_place),
        ("external", answer_by_program),
        ("time", answer_in_place),
    ];
    let connections = [connect(), connect(), connect()];
    let requests = connections.map(|(_, connection)| Request {
        connection,
        path,
        environment: args.environment(),
    });
    let stacks = [stack(), stack(), stack()];
    let mut children = [0; 3];
    for (at, (_, service)) in services.iter().enumerate() {
        let request = &raw const requests[at];
        let clone = Clone::on_stack(CLONE_VM | SIGCHLD, &stacks[at]);
        // SAFETY: each has a stack of its own; all are waited for below, and
        // the requests live until then.
        children[at] = must(unsafe { clone.run(*service, request as usize) }, "clone");
    }
    for (at, (name, _)) in services.iter().enumerate() {
        let (answers, connection) = connections[at];
        must(sys::close(connection), "close");
        let (_, status) = must(task::wait(children[at], 0), "wait");
        let mut buffer = [0; 128];
        let answer = text_of(answers, &mut buffer);
        println!("{name}: {}; its task {status}", answer.trim_end());
        // The other tasks have copies of every connection: this one ends when
        // all of them have gone.
    }
    for (at, (answers, _)) in connections.into_iter().enumerate() {
        println!(
            "connection {at} is at its end: {}",
            sys::read(answers, &mut [0; 8]) == Ok(0)
        );
    }
    println!("answered in place: {}", ANSWERED_IN_PLACE.load(Relaxed));
    0
}

fn connect() -> (Fd, Fd) {
    must(sys::pipe(0), "pipe")
}

fn stack() -> Stack {
    must(Stack::new(64 * 1024), "stack")
}

/// An internal service. Its descriptors close when it exits.
extern "C" fn answer_in_place(request: usize) -> i32 {
    // SAFETY: the mother keeps the request until this task has ended.
    let request = unsafe { &*(request as *const Request) };
    ANSWERED_IN_PLACE.fetch_add(1, Relaxed);
    must(sys::write_all(request.connection, b"it is late\n"), "write");
    0
}

/// An external service: another program takes the task over.
extern "C" fn answer_by_program(request: usize) -> i32 {
    // SAFETY: as above; the path is the mother's.
    let (request, path) = unsafe {
        let request = &*(request as *const Request);
        (request, &*request.path)
    };
    must(sys::dup2(request.connection, STDOUT), "dup2");
    let words = [c"services", c"external-service", c"its words"];
    let errno = task::exec(path, &words, request.environment);
    eprintln!("{path:?}: {errno}");
    127
}

fn external_service(args: &Args) -> i32 {
    println!("another program says {}", args.text(2).unwrap_or("nothing"));
    3
}

// --- the CGI server ---

/// How often the server's handler ran.
static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(_: i32, _: *const Info, _: *mut c_void) {
    HANDLED.fetch_add(1, Relaxed);
}

/// The program that a context execs: its path and environment.
struct Cgi {
    path: *const CStr,
    environment: *const *const core::ffi::c_char,
}

fn cgi(args: &Args) -> i32 {
    let mut path = [0; 256];
    let Some(path) = args.beside("services", &mut path) else {
        return 1;
    };
    must(sys::chdir(c"/"), "chdir");
    umask(0o022);
    must(
        signal::set_action(SIGUSR1, &Action::handler(on_signal, 0)),
        "sigaction",
    );
    // The program is told to use descriptor 3.
    let page = must(sys::open(c"/dev/null", O_RDONLY, 0), "open");
    let page = must(sys::dup2(page, 3), "dup2");
    let program = Cgi {
        path,
        environment: args.environment(),
    };
    let status = run_context(&program);
    println!("the program {status}");

    let mut buffer = [0; 64];
    println!(
        "server's folder: {}",
        must(sys::getcwd(&mut buffer), "getcwd")
    );
    println!("server's umask: {:03o}", umask(0o022));
    println!(
        "server's descriptor is open: {}",
        sys::descriptor_flags(page).is_ok()
    );
    must(signal::kill(sys::getpid(), SIGUSR1), "kill");
    println!("server's handler ran: {}", HANDLED.load(Relaxed));
    0
}

fn run_context(program: &Cgi) -> Status {
    let stack = stack();
    let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD;
    let argument: *const Cgi = program;
    // SAFETY: the context has a stack of its own, and we wait for its end.
    let context = unsafe { Clone::on_stack(flags, &stack).run(become_program, argument as usize) };
    must(task::wait(must(context, "clone"), 0), "wait").1
}

extern "C" fn become_program(cgi: usize) -> i32 {
    // SAFETY: the server waits meanwhile and keeps both.
    let (cgi, path) = unsafe {
        let cgi = &*(cgi as *const Cgi);
        (cgi, &*cgi.path)
    };
    let errno = task::exec(path, &[c"services", c"cgi-program"], cgi.environment);
    eprintln!("{path:?}: {errno}");
    127
}

/// Changes everything that it can of its context.
fn cgi_program(_: &Args) -> i32 {
    println!(
        "program: descriptor 3 is open: {}",
        sys::descriptor_flags(3).is_ok()
    );
    let inherited = must(signal::set_action(SIGUSR1, &Action::IGNORE), "sigaction");
    println!(
        "program: the handler is its default: {}",
        inherited.is_default()
    );
    must(sys::close(3), "close");
    must(sys::chdir(c"/dev"), "chdir");
    println!("program: umask was {:03o}", umask(0o077));
    4
}

// --- threads with private descriptor tables ---

const DESCRIPTORS: usize = 100;

fn private_descriptors() -> i32 {
    let (lowest, open) = (lowest_free(), open_here());
    let thread = must(Thread::spawn_without(CLONE_FILES, open_many, 0), "spawn");
    let opened = must(thread.join(), "join");
    println!("a thread with a table of its own opened {opened} descriptors");
    println!("of those {} are open here", open_here() - open);
    println!(
        "the lowest free one is the same: {}",
        lowest_free() == lowest
    );
    let thread = must(Thread::spawn(open_many, 0), "spawn");
    let opened = must(thread.join(), "join");
    println!("a thread that shares the table opened {opened}");
    println!("of those {} are open here", open_here() - open);
    0
}

fn open_here() -> usize {
    (0..128)
        .filter(|&fd| sys::descriptor_flags(fd).is_ok())
        .count()
}

fn lowest_free() -> Fd {
    let fd = must(sys::open(c"/dev/null", O_RDONLY, 0), "open");
    must(sys::close(fd), "close");
    fd
}

fn open_many(_: usize) -> usize {
    (0..DESCRIPTORS)
        .filter(|_| sys::open(c"/dev/null", O_RDONLY, 0).is_ok())
        .count()
}
