//! The table of costs, as a guest finds it that knows none of it: the kernel in
//! `tests/kernels/stopwatch` measures sequences by RDTSC, and here the cost of
//! each class is worked out from what it measured, without a look at the table.
//! Then both have to be the same, in both models.
//!
//! `docs/cycles.md` is made here, too: `COE_BLESS_DOCS=1` writes it again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use machine::cost::Class::{self, *};
use machine::{Choice, Config, CostModel, Event, Host, Images, Machine, Payload, Stop};

/// What each sequence consists of, in classes. Who measures does not know it.
const SEQUENCES: &[(&str, &[(Class, u64)])] = &[
    ("add", &[(Simple, 1)]),
    ("shift", &[(Simple, 1)]),
    ("imul", &[(Mul, 1)]),
    ("div", &[(Simple, 1), (Div, 1)]),
    ("jump", &[(Branch, 1)]),
    ("branch not taken", &[(Branch, 1)]),
    ("load", &[(Simple, 1), (Load, 1)]),
    ("store", &[(Simple, 1), (Store, 1)]),
    ("add to memory", &[(Simple, 1), (Load, 1), (Store, 1)]),
    (
        "locked add to memory",
        &[(Simple, 1), (Load, 1), (Store, 1), (Locked, 1)],
    ),
    ("push and pop", &[(Simple, 2), (Load, 1), (Store, 1)]),
    ("call and return", &[(Branch, 2), (Load, 1), (Store, 1)]),
    ("scasb", &[(StringIteration, 1), (Load, 1)]),
    ("stosq", &[(StringIteration, 1), (Store, 1)]),
    ("a round of rep stosb", &[(StringIteration, 1), (Store, 1)]),
    (
        "a round of rep movsb",
        &[(StringIteration, 1), (Load, 1), (Store, 1)],
    ),
    ("addps", &[(SseSimple, 1)]),
    ("pxor", &[(SseSimple, 1)]),
    ("movaps from memory", &[(SseSimple, 1), (Load, 1)]),
    ("mulpd", &[(SseMul, 1)]),
    ("cvtdq2ps", &[(SseMul, 1)]),
    ("divps", &[(SseDiv, 1)]),
    ("sqrtsd", &[(SseSqrt, 1)]),
    ("fadd", &[(X87Simple, 1)]),
    ("fmul", &[(X87Simple, 1)]),
    ("fdiv", &[(X87Div, 1)]),
    ("fsqrt", &[(X87Div, 1)]),
    ("fsin", &[(X87Transcendental, 1)]),
    ("f2xm1", &[(X87Transcendental, 1)]),
    ("rdtsc", &[(Msr, 1)]),
    ("rdmsr", &[(Msr, 1)]),
    ("wrmsr", &[(Msr, 1)]),
    ("cpuid", &[(Cpuid, 1)]),
    ("invlpg", &[(Invlpg, 1)]),
    ("write cr8", &[(CrWrite, 1)]),
    ("write cr0", &[(CrWrite, 1)]),
    ("load a segment", &[(CrWrite, 1), (Load, 1)]),
    ("lidt", &[(CrWrite, 1), (Load, 2)]),
    ("in", &[(PortIo, 1)]),
    ("out", &[(PortIo, 1)]),
    ("load from a device", &[(Simple, 1), (Load, 1), (Mmio, 1)]),
    ("store to a device", &[(Simple, 1), (Store, 1), (Mmio, 1)]),
    (
        "load from a new page of 4 KiB, and add",
        &[(Simple, 2), (Load, 1), (TlbMiss, 1), (WalkStep, 4)],
    ),
    (
        "load from a new page of 2 MiB, and add",
        &[(Simple, 2), (Load, 1), (TlbMiss, 1), (WalkStep, 3)],
    ),
    (
        "load from a new page of 1 GiB, and add",
        &[(Simple, 2), (Load, 1), (TlbMiss, 1), (WalkStep, 2)],
    ),
    ("the last table of a walk", &[(WalkStep, 1)]),
    // A gate of 16 bytes and a code segment are read, SS to RIP pushed.
    (
        "int3",
        &[(Branch, 1), (Exception, 1), (Load, 3), (Store, 5)],
    ),
    (
        "int n",
        &[(Branch, 1), (Exception, 1), (Load, 3), (Store, 5)],
    ),
    ("interrupt", &[(Interrupt, 1), (Load, 3), (Store, 5)]),
    ("pushing a frame", &[(Simple, 5), (Store, 5)]),
    // RIP to SS are popped, a code segment is read.
    (
        "pushing a frame and iret",
        &[(Simple, 5), (Store, 5), (Iret, 1), (Load, 6)],
    ),
    ("syscall and a jump back", &[(Syscall, 1), (Branch, 1)]),
    ("syscall and sysret", &[(Syscall, 1), (Sysret, 1)]),
];

#[test]
fn a_guest_measures_what_the_table_says() {
    let Some(kernel) = build() else {
        return;
    };
    for model in [CostModel::Standard, CostModel::Unit] {
        let measured = measure(&kernel, model);
        let costs = solve(&measured);
        for class in Class::ALL {
            let found = costs.get(&(*class as u8));
            assert_eq!(found, Some(&model.cycles(*class)), "{class:?} in {model:?}");
        }
    }
}

/// The kernel; none (and a word about it) without a compiler, which CI has.
fn build() -> Option<Vec<u8>> {
    let sources = root().join("tests/kernels/stopwatch");
    let kernel = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stopwatch");
    let built = Command::new("gcc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"])
        .args(["-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone"])
        .args(["-mgeneral-regs-only", "-fno-stack-protector"])
        .args(["-fcf-protection=none", "-fno-asynchronous-unwind-tables"])
        .args(["-nostdlib", "-static", "-Wl,--build-id=none"])
        .args(["-Wl,-z,noexecstack", "-Wl,--no-warn-rwx-segments"])
        .arg(format!("-Wl,-T,{}", sources.join("link.ld").display()))
        .args([sources.join("kernel.c"), sources.join("start.S")])
        .arg("-o")
        .arg(&kernel)
        .status();
    match built {
        Ok(status) => assert!(status.success(), "gcc: {status}"),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "gcc: {error}");
            eprintln!("skipped: gcc: {error}");
            return None;
        }
    }
    Some(std::fs::read(kernel).expect("the kernel that was built"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Keeps the console.
#[derive(Default)]
struct Console(String);

impl Host for Console {
    fn event(&mut self, event: Event) {
        if let Payload::Console(byte) = event.payload {
            self.0.push(char::from(byte));
        }
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

/// Runs the kernel: what it says that each sequence costs.
fn measure(kernel: &[u8], cost: CostModel) -> BTreeMap<String, u64> {
    let config = Config {
        cost,
        ..Config::default()
    };
    let images = Images {
        kernel,
        initrd: None,
        cmdline: "",
        disk: None,
    };
    let mut machine = Machine::boot(&config, &images).expect("a kernel that can be loaded");
    let mut console = Console::default();
    let stop = machine.run(100_000_000, &mut console);
    assert_eq!(stop, Stop::Reset, "{}", console.0);
    console.0.lines().map(parse).collect()
}

fn parse(line: &str) -> (String, u64) {
    let (name, cost) = line.rsplit_once(": ").expect("a name and a cost");
    let cost = cost.parse().unwrap_or_else(|_| panic!("not whole: {line}"));
    (name.to_owned(), cost)
}

/// The cost of each class, by its number: sequence by sequence in which all but
/// one are known. Every sequence has to agree.
fn solve(measured: &BTreeMap<String, u64>) -> BTreeMap<u8, u64> {
    assert_eq!(measured.len(), SEQUENCES.len(), "{measured:?}");
    let mut costs = BTreeMap::new();
    let mut left: Vec<_> = SEQUENCES.iter().collect();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(name, parts)| {
            let whole = *measured.get(*name).unwrap_or_else(|| panic!("{name}"));
            !settle(name, whole, parts, &mut costs)
        });
        assert!(left.len() < before, "cannot be told apart: {left:?}");
    }
    costs
}

/// False if more than one class of the sequence is unknown.
fn settle(name: &str, whole: u64, parts: &[(Class, u64)], costs: &mut BTreeMap<u8, u64>) -> bool {
    let (known, unknown): (Vec<_>, Vec<_>) = parts
        .iter()
        .partition(|(class, _)| costs.contains_key(&(*class as u8)));
    let sum: u64 = known.iter().map(|(c, n)| costs[&(*c as u8)] * n).sum();
    match unknown.as_slice() {
        [] => assert_eq!(sum, whole, "{name}"),
        [(class, count)] => {
            let rest = whole
                .checked_sub(sum)
                .unwrap_or_else(|| panic!("{name} costs {whole}, its parts {sum}"));
            assert_eq!(rest % count, 0, "{name}");
            costs.insert(*class as u8, rest / count);
        }
        _ => return false,
    }
    true
}

#[test]
fn the_page_about_cycles_is_up_to_date() {
    let path = root().join("docs/cycles.md");
    let page = page();
    if std::env::var_os("COE_BLESS_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/cycles.md is out of date: \
         COE_BLESS_DOCS=1 cargo test -p machine --test cycles"
    );
}

const INTRODUCTION: &str = "\
# What everything costs

This page is made from `emu/machine/src/cost.rs` by `emu/machine/tests/cycles.rs`:
`COE_BLESS_DOCS=1 cargo test -p machine --test cycles` writes it again.

A cycle is a nanosecond of the guest. An instruction costs its class, and on top of
that an extra for each thing that it had to do: accesses to memory, translations that
the TLB did not have, table entries that a page walk read, a locked bus, the delivery
of an exception. Nothing else has a part in it: no cache, no branch prediction, no two
instructions at once. `machine.cost = \"unit\"` counts instructions and rounds of
string instructions, and no extras.

- An access of up to 32 bytes is one load or store, also where it crosses a page.
- Read, change and write is a load and a store.
- A TLB miss costs the miss and one step for each table entry: four for a page of
  4 KiB, three for 2 MiB, two for 1 GiB. Entries of tables are not kept.
- An exception or interrupt in 64-bit mode reads its gate (two loads) and the code
  segment (one), and pushes five times, six with an error code. IRET pops five times
  and reads a segment for each selector that is not null.
- An instruction that faults costs what it did until then, and then the exception.
- What a halted CPU sleeps through are cycles like all others.
";

/// The page: an introduction, the table, and what was measured.
fn page() -> String {
    let mut page = format!(
        "{INTRODUCTION}\n## The table (version {})\n\n\
         | class | cycles | unit | what |\n|---|---|---|---|\n",
        machine::cost::VERSION
    );
    let words = words();
    for class in Class::ALL {
        let name = format!("{class:?}");
        let cycles = [CostModel::Standard, CostModel::Unit].map(|model| model.cycles(*class));
        let [standard, unit] = cycles;
        writeln!(page, "| {name} | {standard} | {unit} | {} |", words[&name]).unwrap();
    }
    page.push_str(
        "\n## What a guest measures\n\n\
         The kernel in `tests/kernels/stopwatch` knows nothing of the table. It measures these\n\
         sequences by RDTSC; the test works the table out from them and compares.\n\n\
         | sequence | cycles | made of |\n|---|---|---|\n",
    );
    for (name, parts) in SEQUENCES {
        let cycles: u64 = (parts.iter())
            .map(|(class, count)| CostModel::Standard.cycles(*class) * count)
            .sum();
        let parts: Vec<String> = parts.iter().map(part).collect();
        writeln!(page, "| {name} | {cycles} | {} |", parts.join(" + ")).unwrap();
    }
    page
}

fn part((class, count): &(Class, u64)) -> String {
    match count {
        1 => format!("{class:?}"),
        _ => format!("{count} {class:?}"),
    }
}

/// What the source says about each class.
fn words() -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    let mut said = String::new();
    for line in include_str!("../src/cost.rs").lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("/// ") {
            said = format!("{said} {more}").trim().to_owned();
            continue;
        }
        let said = std::mem::take(&mut said);
        if let Some((name, _)) = line.split_once(" = ") {
            words.insert(name.to_owned(), said);
        }
    }
    words
}
