//! What a machine is started with: the kernel, the initrd, the command line and
//! the inputs that are known before it runs.

mod again;
pub mod cpio;
pub mod export;
mod guests;

pub use guests::Guests;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use abi::boot;
use machine::devices::disk::Contents;
use machine::{Config, Images, Input, bus, devices};

use crate::engine::Kind;
use crate::scenario::program::{self, GuestProgram, ProgramError};
use crate::scenario::{Disk, Hardware, Policy, Scenario, Slice, Typed};
use crate::schedule::Schedule;

/// Time between two bytes on a serial line of 115200 baud, in cycles of 1 ns.
const BYTE_CYCLES: u64 = 86_806;

/// Who answers the kernel's open choices.
#[derive(Clone, Debug)]
pub enum Chooser {
    /// The kernel has its defaults.
    Defaults,
    /// Drawn from this seed and the choice's place.
    Seeded(u64),
    /// As a schedule says, otherwise the defaults; where it does not fit any
    /// more, whoever else there is.
    Schedule(Arc<Schedule>, Box<Chooser>),
}

impl Chooser {
    /// Who answers under this scenario's policy, or its script.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Chooser {
        match scenario.schedule.policy {
            Policy::Random => Chooser::Seeded(scenario.machine.seed),
            Policy::RoundRobin | Policy::Fifo | Policy::Fair => Chooser::Defaults,
            Policy::Script => {
                let script = Arc::new(scenario.schedule.script.clone());
                Chooser::Schedule(script, Box::new(Chooser::Defaults))
            }
        }
    }
}

/// All that a machine is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// One line about what it shows.
    pub title: String,
    /// The text of the scenario, if there was one.
    pub scenario: String,
    /// The machine.
    pub hardware: Hardware,
    /// The kernel's ELF.
    pub kernel: Cow<'static, [u8]>,
    /// The initrd, if there is one.
    pub initrd: Option<Vec<u8>>,
    /// The kernel's command line.
    pub cmdline: String,
    /// What is on the disk at first, if there is one.
    pub disk: Option<Vec<u8>>,
    /// Inputs with their times.
    pub inputs: Vec<(u64, Input)>,
    /// True if somebody types while it runs.
    pub live: bool,
    /// Who answers choices.
    pub chooser: Chooser,
    /// When to give up, in cycles.
    pub limit: u64,
    /// What carries out instructions; nothing that comes out says so.
    pub engine: Kind,
}

impl Setup {
    /// What this scenario starts; paths in it are relative to `base`.
    ///
    /// # Errors
    /// A program or file that is not there or cannot be used.
    pub fn from_scenario(scenario: &Scenario, base: &Path) -> Result<Setup, crate::Error> {
        Setup::with_guests(scenario, base, &Guests::default())
    }

    /// The same with another kernel or other programs than the embedded ones.
    ///
    /// # Errors
    /// As [`Setup::from_scenario`].
    pub fn with_guests(
        scenario: &Scenario,
        base: &Path,
        guests: &Guests,
    ) -> Result<Setup, crate::Error> {
        let run = &scenario.program.run;
        let found =
            program::find(&run.value, base, guests).map_err(|error| blame(scenario, run, error))?;
        let mut archive = cpio::Archive::default();
        if let Some(bytes) = &found.bytes {
            archive.program(&found.guest_path, bytes);
        }
        for file in &scenario.program.with {
            add_file(&mut archive, &file.value, base)
                .map_err(|error| blame(scenario, file, error))?;
        }
        describe(&mut archive, scenario, &found);
        let mut initrd = guests.archive();
        initrd.extend(archive.finish());
        let mut setup = Setup {
            title: scenario.title.clone(),
            scenario: scenario.text.clone(),
            hardware: scenario.machine,
            kernel: guests.kernel.clone(),
            initrd: Some(initrd),
            cmdline: cmdline(scenario, &guests.options),
            disk: disk(scenario, base)?,
            inputs: keystrokes(&scenario.input),
            live: false,
            chooser: Chooser::of(scenario),
            limit: scenario.limit,
            engine: Kind::default(),
        };
        if let Some(file) = &scenario.schedule.file {
            let path = base.join(&file.value);
            let bytes = program::read(&path).map_err(|error| blame(scenario, file, error))?;
            setup.follow(Schedule::from_bytes(&path, bytes)?);
        }
        Ok(setup)
    }

    /// Lets the run follow this schedule, and no other that the scenario has.
    pub fn follow(&mut self, schedule: Arc<Schedule>) {
        let chooser = std::mem::replace(&mut self.chooser, Chooser::Defaults);
        let otherwise = match chooser {
            Chooser::Schedule(_, otherwise) => otherwise,
            other => Box::new(other),
        };
        self.chooser = Chooser::Schedule(schedule, otherwise);
    }

    /// The schedule that the run follows, if there is one.
    #[must_use]
    pub fn schedule(&self) -> Option<Arc<Schedule>> {
        match &self.chooser {
            Chooser::Schedule(schedule, _) => Some(Arc::clone(schedule)),
            Chooser::Defaults | Chooser::Seeded(_) => None,
        }
    }

    /// Gives the memory of the images back, which the machine has in its RAM.
    pub fn drop_images(&mut self) {
        self.kernel = Cow::default();
        self.initrd = None;
        self.disk = None;
    }

    /// The machine's configuration.
    #[must_use]
    pub fn config(&self) -> Config {
        self.hardware.config()
    }

    /// The machine's images.
    #[must_use]
    pub fn images(&self) -> Images<'_> {
        Images {
            kernel: &self.kernel,
            initrd: self.initrd.as_deref(),
            cmdline: &self.cmdline,
            disk: self.disk.as_deref(),
        }
    }
}

fn blame<T>(
    scenario: &Scenario,
    place: &crate::scenario::At<T>,
    error: ProgramError,
) -> crate::Error {
    // A scenario made from the command line has no text to point into.
    if scenario.text.is_empty() {
        error.into()
    } else {
        scenario.blame(place, &error).into()
    }
}

/// What is on the disk at first: a copy, so that nothing that the guest writes
/// reaches the file.
fn disk(scenario: &Scenario, base: &Path) -> Result<Option<Vec<u8>>, crate::Error> {
    Ok(match &scenario.disk {
        None => None,
        Some(Disk::Size(bytes)) => Some(vec![0; *bytes as usize]),
        Some(Disk::Image(image)) => {
            let bytes = program::read(&base.join(&image.value))
                .map_err(|error| blame(scenario, image, error))?;
            if Contents::new(&bytes).is_none() {
                let error = ProgramError::NotADisk {
                    name: image.value.clone(),
                    len: bytes.len() as u64,
                };
                return Err(blame(scenario, image, error));
            }
            Some(bytes)
        }
    })
}

/// `HOST` or `HOST:GUEST`; without a place in the guest it goes to `/bin`.
fn add_file(archive: &mut cpio::Archive, with: &str, base: &Path) -> Result<(), ProgramError> {
    let (host, guest) = match with.rsplit_once(':') {
        Some((host, guest)) if guest.starts_with('/') => (host, Some(guest.to_owned())),
        _ => (with, None),
    };
    let path = base.join(host);
    let contents = program::read(&path)?;
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let guest = guest.unwrap_or_else(|| format!("{}/{name}", boot::BIN_DIR));
    if contents.starts_with(b"\x7fELF") {
        program::check(host, &contents)?;
        archive.program(&guest, &contents);
    } else {
        archive.data(&guest, &contents);
    }
    Ok(())
}

/// The files from which `init` learns what to run.
fn describe(archive: &mut cpio::Archive, scenario: &Scenario, found: &GuestProgram) {
    let mut argv = nul_ended([found.guest_path.as_str()]);
    argv.extend(nul_ended(scenario.program.args.iter().map(String::as_str)));
    archive.data(boot::ARGV_FILE, &argv);
    let env: Vec<String> = scenario
        .program
        .env
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    archive.data(
        boot::ENVIRON_FILE,
        &nul_ended(env.iter().map(String::as_str)),
    );
    archive.data(boot::STDIO_FILE, scenario.stdio.name().as_bytes());
}

fn nul_ended<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    texts
        .into_iter()
        .flat_map(|text| text.bytes().chain([0]))
        .collect()
}

fn cmdline(scenario: &Scenario, further: &[String]) -> String {
    let policy = match scenario.schedule.policy {
        // The draw, as the script, is the laboratory's: the kernel asks, as it does under round-robin.
        Policy::Random | Policy::Script | Policy::RoundRobin => boot::POLICIES[0],
        Policy::Fifo => boot::POLICIES[1],
        Policy::Fair => boot::POLICIES[2],
    };
    let slice = match scenario.schedule.slice {
        Slice::Instructions(count) => format!("{}={count}", boot::KEY_SLICE),
        Slice::Cycles(count) => format!("{}={count}", boot::KEY_SLICE_CYCLES),
    };
    let mut line = format!(
        "{}={policy} {slice} {}={} {}={}",
        boot::KEY_SCHED,
        boot::KEY_SEED,
        scenario.machine.seed,
        boot::KEY_EPOCH,
        scenario.machine.epoch
    );
    if scenario.disk.is_some() {
        line.push_str(&format!(
            " {}={}@{:#x}:{}",
            boot::KEY_DISK,
            bus::DISK_SIZE,
            bus::DISK,
            devices::DISK_LINE
        ));
    }
    for option in scenario.kernel_options.iter().chain(further) {
        line.push(' ');
        line.push_str(option);
    }
    line
}

/// Each text byte by byte, as fast as the line carries it.
fn keystrokes(typed: &[Typed]) -> Vec<(u64, Input)> {
    let mut inputs = Vec::new();
    let mut free = 0;
    for typed in typed {
        for byte in typed.text.bytes() {
            let at = typed.at.max(free);
            free = at.saturating_add(BYTE_CYCLES);
            inputs.push((at, Input::Console(byte)));
        }
    }
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(lines: &str) -> Scenario {
        Scenario::parse(
            "x.toml",
            &format!("title = \"t\"\nprogram = \"p\"\n{lines}"),
        )
        .unwrap()
    }

    #[test]
    fn the_command_line_carries_schedule_seed_and_date() {
        let text =
            "[machine]\nseed = 9\nepoch = 8\n[schedule]\npolicy = \"fifo\"\nslice = \"7 cycles\"";
        assert_eq!(
            cmdline(&scenario(text), &[]),
            "sched=fifo slice_cycles=7 seed=9 epoch=8"
        );
        let text = "[schedule]\npolicy = \"random\"\nslice = 5";
        assert!(cmdline(&scenario(text), &[]).starts_with("sched=round-robin slice=5 seed=1 "));
    }

    #[test]
    fn a_disk_is_announced_as_linux_has_it() {
        let line = cmdline(&scenario("[disk]\nsize = \"4KiB\""), &[]);
        assert!(
            line.ends_with(" virtio_mmio.device=512@0xfeb00000:16"),
            "{line}"
        );
    }

    #[test]
    fn kernel_options_follow_in_their_order() {
        let text = "[kernel]\noptions = [\"clone_stopped=on\"]";
        let line = cmdline(&scenario(text), &["mutant=x".to_owned()]);
        assert!(line.ends_with(" clone_stopped=on mutant=x"), "{line}");
    }

    #[test]
    fn typed_text_arrives_byte_by_byte_and_never_twice_at_once() {
        let inputs = keystrokes(
            &scenario("input = [{ at = 10, text = \"ab\" }, { at = 11, text = \"c\" }]").input,
        );
        assert_eq!(
            inputs,
            [
                (10, Input::Console(b'a')),
                (10 + BYTE_CYCLES, Input::Console(b'b')),
                (10 + 2 * BYTE_CYCLES, Input::Console(b'c')),
            ]
        );
    }
}
