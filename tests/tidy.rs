//! Who may import what, and what may stand nowhere: the rules of ARCHITECTURE.md.
//!
//! A rule that is broken fails here with its place.

use std::fs;
use std::path::{Path, PathBuf};

/// One crate: the modules below its `src`, and which of them each may import.
struct Rooms {
    src: &'static str,
    may: &'static [(&'static str, &'static [&'static str])],
}

const MACHINE: Rooms = Rooms {
    src: "emu/machine/src",
    may: &[
        ("addr", &[]),
        ("cost", &[]),
        ("event", &[]),
        ("devices", &["addr", "event"]),
        ("bus", &["addr", "devices", "event"]),
        ("mmu", &["addr", "bus"]),
        ("cpu", &["addr", "bus", "cost", "event", "mmu"]),
        ("engine", &["addr", "bus", "cpu"]),
    ],
};

const COE: Rooms = Rooms {
    src: "emu/coe/src",
    may: &[
        ("exit", &[]),
        // Which program a task runs is told by events, and what is in it by images.
        ("symbols", &["events", "images"]),
        ("names", &[]),
        ("events", &["names"]),
        (
            "scenario",
            &[
                "embedded", "error", "events", "exit", "golden", "images", "mistake", "names",
                "schedule",
            ],
        ),
        ("schedule", &["error", "events", "mistake", "names"]),
        ("mistake", &["exit"]),
        ("timeline", &["events", "names"]),
        ("report", &["events", "names", "timeline"]),
        ("diff", &["events", "golden", "names", "run"]),
    ],
};

const KERNEL: Rooms = Rooms {
    src: "guest-kernel/src",
    may: &[
        ("errno", &[]),
        ("probe", &[]),
        ("count", &[]),
        ("sync", &["arch", "probe"]),
        ("sched", &["arch", "errno", "probe", "sync"]),
        ("mm", &["arch", "count", "errno", "probe", "sync", "sched"]),
        (
            "block",
            &["arch", "count", "errno", "probe", "sync", "sched", "mm"],
        ),
        (
            "fs",
            &[
                "arch", "block", "count", "errno", "probe", "sync", "sched", "mm",
            ],
        ),
        (
            "signal",
            &[
                "arch", "block", "count", "errno", "probe", "sync", "sched", "mm", "fs",
            ],
        ),
    ],
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust source below a folder but unit tests, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
    found
}

/// The source without its comments and without its unit tests, which may look anywhere.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or("")))
}

/// The names after each `crate::` of a line.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::")
        .filter(|(at, _)| {
            !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
        })
        .map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            &rest[..end]
        })
}

fn check(rooms: &Rooms) -> Vec<String> {
    let src = root().join(rooms.src);
    let mut wrong = Vec::new();
    for (room, may) in rooms.may {
        let file = src.join(format!("{room}.rs"));
        let files = if file.exists() {
            vec![file]
        } else {
            sources(&src.join(room))
        };
        assert!(
            !files.is_empty(),
            "{} has no room {room}: the table is stale",
            rooms.src
        );
        for file in files {
            let text = fs::read_to_string(&file).expect("a source can be read");
            for (number, line) in code_lines(&text) {
                for name in imports(line) {
                    let is_module = rooms.may.iter().any(|(known, _)| *known == name)
                        || src.join(name).is_dir()
                        || src.join(format!("{name}.rs")).exists();
                    let allowed = name == *room || name == "mutant" || may.contains(&name);
                    if is_module && !allowed {
                        wrong.push(format!(
                            "{}:{number}: {room} must not import {name}",
                            file.display()
                        ));
                    }
                }
            }
        }
    }
    wrong
}

#[test]
fn each_room_imports_only_what_it_may() {
    let wrong: Vec<String> = [MACHINE, COE, KERNEL].iter().flat_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What would make the machine's state depend on its host.
const UNFIT_FOR_THE_MACHINE: [&str; 8] = [
    "std::time",
    "Instant::",
    "SystemTime",
    "thread::",
    "env::",
    "HashMap<",
    "HashSet<",
    "f64",
];

#[test]
fn the_machine_asks_its_host_for_nothing() {
    let mut wrong = Vec::new();
    for file in sources(&root().join(MACHINE.src)) {
        let text = fs::read_to_string(&file).expect("a source can be read");
        for (number, line) in code_lines(&text) {
            for word in UNFIT_FOR_THE_MACHINE {
                if line.contains(word) {
                    wrong.push(format!("{}:{number}: {word}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_decoder_knows_iced() {
    let src = root().join(MACHINE.src);
    for file in sources(&src) {
        let text = fs::read_to_string(&file).expect("a source can be read");
        let relative = file
            .strip_prefix(&src)
            .expect("it lies below")
            .to_string_lossy()
            .into_owned();
        if !relative.starts_with("cpu/decode") {
            for (number, line) in code_lines(&text) {
                assert!(
                    !line.contains("iced_x86"),
                    "{relative}:{number} names iced's types"
                );
            }
        }
    }
}

/// No list, type or branch of the kernel knows anything but tasks.
#[test]
fn the_kernel_has_tasks_and_nothing_else() {
    for file in sources(&root().join(KERNEL.src)) {
        let text = fs::read_to_string(&file).expect("a source can be read");
        for (number, line) in code_lines(&text) {
            // Names in /proc, which are Linux's.
            let line = line.replace("thread-self", "").replace("Threads:", "");
            // What a deliberate fault is called is no name of the kernel's.
            let line = line
                .split_once("mutant!(")
                .map_or(line.as_str(), |(before, _)| before);
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words {
                let lower = word.to_lowercase();
                let allowed = [
                    "kthread",
                    "sched_process",
                    "schedprocess",
                    "clone_thread",
                    "same_thread",
                ];
                let rest = allowed
                    .iter()
                    .fold(lower.clone(), |rest, ok| rest.replace(ok, ""));
                assert!(
                    !(word.starts_with("Process")
                        || word.starts_with("Thread")
                        || rest == "process"
                        || rest == "thread"),
                    "{}:{number}: {word}: there are only tasks",
                    file.display()
                );
            }
        }
    }
}
