//! `docs/system-calls.md`: which system calls there are, written from the
//! kernel's own table, and what a caller of the others gets, asked in the
//! guest. With `COE_BLESS_DOCS=1` the page is written again.

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;

use common::{Stdio, guest, root};

/// No call of Linux has a higher number today.
const LAST: u64 = 470;

/// What is there and does not do all that Linux does, or not as Linux does it.
fn notes() -> BTreeMap<String, String> {
    let path = root().join("docs/system-calls.toml");
    let text = fs::read_to_string(&path).expect("the notes");
    let table: toml::Table = text.parse().expect("notes are TOML");
    table
        .into_iter()
        .map(|(name, note)| (name, note.as_str().expect("a note is text").to_owned()))
        .collect()
}

/// The calls of the kernel's table: name, handler and kinds of arguments.
fn there() -> BTreeMap<String, (String, String)> {
    let path = root().join("guest-kernel/src/syscall/table.rs");
    let text = fs::read_to_string(path).expect("the kernel's table");
    let entry = |line: &str| {
        let rest = line.trim().strip_prefix("__NR_")?.strip_suffix("];")?;
        let (words, arguments) = rest.split_once(" [")?;
        let mut words = words.split(' ').skip(1);
        let (name, handler) = (words.next()?, words.next()?);
        let file = handler.rsplit("::").nth(1)?;
        Some((name.to_owned(), (file.to_owned(), arguments.to_owned())))
    };
    text.lines().filter_map(entry).collect()
}

/// Numbers and names of all calls of Linux.
fn known() -> Vec<(u64, &'static str)> {
    let name = |nr| Some((nr, coe::names::syscalls::name(nr)?));
    (0..=LAST).filter_map(name).collect()
}

fn page() -> String {
    let (there, notes, known) = (there(), notes(), known());
    let mut page = String::from(
        "# System calls\n\n\
         Written by `tests/system_calls.rs` from the kernel's table (`guest-kernel/src/syscall/table.rs`) \
         and from `docs/system-calls.toml`; `COE_BLESS_DOCS=1 cargo test -p coe --test system_calls` writes it again.\n\n",
    );
    let missing: Vec<&str> = known
        .iter()
        .filter(|(_, name)| !there.contains_key(*name))
        .map(|(_, name)| *name)
        .collect();
    let _ = writeln!(
        page,
        "{} of Linux's {} x86-64 calls are there.\n\n## What is there\n\n\
         A call takes Linux's arguments and gives Linux's errors; where it does less or otherwise, that stands in the last column.\n\n\
         | number | call | arguments | in | limits |\n|---|---|---|---|---|",
        known.len() - missing.len(),
        known.len()
    );
    for (nr, name) in &known {
        let Some((file, arguments)) = there.get(*name) else {
            continue;
        };
        let arguments = arguments.to_lowercase().replace(' ', ", ");
        let note = notes.get(*name).map_or("", String::as_str);
        let _ = writeln!(page, "| {nr} | {name} | {arguments} | {file} | {note} |");
    }
    page.push_str(
        "\n## What is not there\n\n\
         The caller gets ENOSYS, as on a Linux that was built without the call, and the trace has an event `sys_missing` with its name. \
         A number that Linux does not know gets the same.\n\n",
    );
    for name in missing {
        let _ = writeln!(page, "- {name}");
    }
    page
}

#[test]
fn every_call_of_the_table_has_its_linux_name() {
    let known: Vec<&str> = known().iter().map(|(_, name)| *name).collect();
    for name in there().keys() {
        assert!(known.contains(&name.as_str()), "Linux has no call {name}");
    }
    for name in notes().keys() {
        assert!(
            there().contains_key(name),
            "a note on {name}, which is not there"
        );
    }
}

#[test]
fn the_page_of_system_calls_is_up_to_date() {
    let path = root().join("docs/system-calls.md");
    let page = page();
    if std::env::var_os("COE_BLESS_DOCS").is_some() {
        fs::write(&path, &page).expect("writing the page");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/system-calls.md is out of date: COE_BLESS_DOCS=1 cargo test -p coe --test system_calls"
    );
}

#[test]
fn whoever_calls_what_is_not_there_hears_so() {
    let there = there();
    let missing: Vec<String> = (0..=LAST)
        .filter(|nr| !coe::names::syscalls::name(*nr).is_some_and(|name| there.contains_key(name)))
        .map(|nr| nr.to_string())
        .collect();
    let arguments: Vec<&str> = missing.iter().map(String::as_str).collect();
    let outcome = guest(OsStr::new("calls"), &arguments, Stdio::Pipe);
    let said = format!("{} calls, of which 0 are there\n", missing.len());
    assert_eq!(
        outcome.output.escape_ascii().to_string(),
        said.escape_default().to_string()
    );
}
