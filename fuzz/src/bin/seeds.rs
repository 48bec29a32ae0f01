//! `seeds FOLDER`: writes into a folder for each fuzz target what its inputs
//! look like when nothing is wrong with them.

use std::error::Error;
use std::fs;
use std::path::Path;

use coe::embedded;
use coe::images::cpio::Archive;
use coe::run::{self, Watcher};
use coe::trace::Writer;
use coe_fuzz::{HELLO, Silent, boot, elf, hello_setup};
// The code is instrumented, so what counts has to be linked.
use libfuzzer_sys as _;
use machine::Event;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A scenario that says everything that one can say.
const SCENARIO: &str = r#"
title = "everything"
program = { run = "hello", args = ["a"], env = { A = "b" }, with = ["x:/y"] }
machine = { memory = "64MiB", cpus = 1, cpu = "v3", seed = 1, cost = "unit", epoch = 1 }
limits = { cycles = 1_000 }
disk = { size = "4KiB" }
kernel = { options = ["a=b"] }
stdio = "pipe"
input = [{ at = 10, text = "ab\n" }]
golden = "exact"
[schedule]
policy = "fair"
slice = "10_000 cycles"
[expect]
exit = 0
stdout = ["hi"]
counters = { cow_copies = 3, forks = ">= 1" }
order = ["sched_process_fork child=main/1"]
"#;

/// A schedule in which every kind of line stands.
const SCHEDULE: &str = "coe schedule 1
# all of them
main/1 futex_look            => run main
main/2 start +1_204          => interrupt
then main/1 futex[2]         => pick main/2
any sched_wakeup[3] task=main => pick[2] init
main mmap[3]                 => fail
main exit_group              => policy
";

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    let folder = Path::new(&folder);
    let put = |target: &str, name: &str, bytes: &[u8]| -> Result<()> {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(name), bytes)?)
    };
    let small = elf(HELLO);
    put("scenario", "everything", SCENARIO.as_bytes())?;
    put("schedule", "everything", SCHEDULE.as_bytes())?;
    put("kernel", "hello", &small)?;
    put("program", "hello", &small)?;
    put("code", "hello", HELLO)?;
    put("code", "long-mode", LONG_MODE)?;
    put("initrd", "exit", &initrd())?;
    put("snapshot", "new", &boot(&small).ok_or("it boots")?.save())?;
    put("snapshot", "run", &after_a_while(&small)?)?;
    put("virtio", "request", &request())?;
    put("trace", "hello", &trace(0)?)?;
    put("trace", "fork", &trace(200)?)
}

fn after_a_while(kernel: &[u8]) -> Result<Vec<u8>> {
    let mut machine = boot(kernel).ok_or("it boots")?;
    machine.run(5, &mut Silent);
    Ok(machine.save())
}

/// Switches to 64-bit mode with the first MiB mapped by one large page, and
/// divides by zero there.
const LONG_MODE: &[u8] = &[
    0xC7, 0x05, 0x00, 0x00, 0x20, 0, 0x03, 0x10, 0x20, 0, // mov dword [0x200000], 0x201003
    0xC7, 0x05, 0x00, 0x10, 0x20, 0, 0x83, 0, 0, 0, // mov dword [0x201000], 0x83
    0x0F, 0x20, 0xE0, // mov eax, cr4
    0x83, 0xC8, 0x20, // or eax, 0x20
    0x0F, 0x22, 0xE0, // mov cr4, eax
    0xB8, 0, 0, 0x20, 0, // mov eax, 0x200000
    0x0F, 0x22, 0xD8, // mov cr3, eax
    0xB9, 0x80, 0, 0, 0xC0, // mov ecx, 0xC0000080
    0x0F, 0x32, // rdmsr
    0x0D, 0, 0x01, 0, 0, // or eax, 0x100
    0x0F, 0x30, // wrmsr
    0x0F, 0x20, 0xC0, // mov eax, cr0
    0x0D, 0, 0, 0, 0x80, // or eax, 0x80000000
    0x0F, 0x22, 0xC0, // mov cr0, eax
    0xF7, 0xF0, // div eax
];

/// An archive whose `/init` exits at once.
fn initrd() -> Vec<u8> {
    let mut archive = Archive::default();
    archive.program("/init", &exit_program());
    archive.data("/etc/coe/argv", b"/init\0");
    archive.finish()
}

/// A static program that exits with status 5.
fn exit_program() -> Vec<u8> {
    const CODE: &[u8] = &[
        0xBF, 5, 0, 0, 0, // mov edi, 5
        0xB8, 60, 0, 0, 0, // mov eax, 60
        0x0F, 0x05, // syscall
    ];
    elf(CODE)
}

/// The events of this run, at most so many, as the trace of a small one.
fn trace(events: usize) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("t.coe");
    let setup = hello_setup();
    let mut writer = Writer::create(&path, &setup)?;
    if events > 0 {
        for event in forks(events)? {
            writer.event(&event);
        }
    }
    let mut watchers: [&mut dyn Watcher; 1] = [&mut writer];
    let finished = run::run(&setup, &mut watchers)?;
    writer.finish(&finished)?;
    Ok(fs::read(path)?)
}

/// The last events of a run of `cow-fork`.
fn forks(count: usize) -> Result<Vec<Event>> {
    struct Keep(Vec<Event>);
    impl Watcher for Keep {
        fn event(&mut self, event: &Event) {
            self.0.push(event.clone());
        }
    }
    assert!(!embedded::PROGRAMS.is_empty());
    let text = "title = \"t\"\nprogram = { run = \"cow-fork\", args = [\"1\"] }\nmachine = { memory = \"16MiB\" }";
    let scenario = coe::scenario::Scenario::parse("seed.toml", text)?;
    let setup = coe::images::Setup::from_scenario(&scenario, Path::new("."))?;
    let mut keep = Keep(Vec::new());
    run::run(&setup, &mut [&mut keep])?;
    let from = keep.0.len().saturating_sub(count);
    Ok(keep.0.split_off(from))
}

/// A request as a driver makes it: a header, a page and a status, in the rings
/// at 0x100, 0x200 and 0x300.
fn request() -> Vec<u8> {
    let mut bytes = vec![0];
    let mut store = |at: u16, value: u32| {
        let [a, b] = at.to_le_bytes();
        bytes.extend([1, a, b, 4]);
        bytes.extend(value.to_le_bytes());
    };
    let chain = [
        (0x400, 16, 1 | 1 << 16),
        (0x500, 512, 3 | 2 << 16),
        (0x410, 1, 2),
    ];
    for (index, (at, len, rest)) in chain.into_iter().enumerate() {
        let place = 0x100 + 16 * index as u16;
        store(place, at);
        store(place + 8, len);
        store(place + 12, rest);
    }
    store(0x200, 1 << 16);
    bytes.extend([0, 0x50, 0, 0, 0, 0, 0, 0]);
    bytes.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}
