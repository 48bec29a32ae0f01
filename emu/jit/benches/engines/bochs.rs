//! Bochs, which starts from a disk.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workloads;

/// Sectors on a track, tracks in a cylinder, cylinders: a disk of 10 MiB.
const GEOMETRY: (usize, usize, usize) = (63, 16, 20);
const SECTOR: usize = 512;

/// The program, and the files that it boots from.
pub(crate) struct Bochs {
    program: OsString,
    /// Whether it is built to debug guests and waits for commands.
    debugs: bool,
    folder: PathBuf,
}

impl Bochs {
    /// Looks for it.
    pub(crate) fn find() -> Option<Bochs> {
        let program = std::env::var_os("BOCHS").unwrap_or_else(|| "bochs".into());
        let help = Command::new(&program).arg("--help").output().ok()?;
        let help = [help.stdout, help.stderr].concat();
        let help = String::from_utf8_lossy(&help).into_owned();
        help.contains("Bochs").then(|| Bochs {
            program,
            debugs: help.contains("-rc filename"),
            folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("bochs"),
        })
    }

    /// Writes the disk with the kernel and this command line.
    pub(crate) fn with_disk(self, kernel: &Path, line: &str) -> Bochs {
        let at = |name: &str| self.folder.join(name);
        fs::create_dir_all(&self.folder).expect("a folder for the disk");
        // One that was killed leaves its lock, and the next would not start.
        let _none = fs::remove_file(at("disk.lock"));
        let (mut boot, kernel) = workloads::flat(&self.folder, kernel);
        let sectors = kernel.len().div_ceil(SECTOR) as u16;
        // The boot sector's last word but one: see disk.S.
        boot[SECTOR - 4..SECTOR - 2].copy_from_slice(&sectors.to_le_bytes());
        let mut disk = boot;
        disk.extend(line.bytes());
        assert!(disk.len() < 2 * SECTOR, "the command line fits a sector");
        disk.resize(2 * SECTOR, 0);
        disk.extend(kernel);
        disk.resize(SECTOR * GEOMETRY.0 * GEOMETRY.1 * GEOMETRY.2, 0);
        fs::write(at("disk"), disk).expect("the disk");
        fs::write(at("commands"), "c\n").expect("the commands");
        fs::write(at("bochsrc"), self.configuration()).expect("the configuration");
        self
    }

    /// Without a speaker: where there is no card for sound, 2.7 dies of looking for one.
    fn configuration(&self) -> String {
        let (track, tracks, cylinders) = GEOMETRY;
        let disk = self.folder.join("disk");
        let log = self.folder.join("log");
        let roms = match std::env::var_os("BXSHARE") {
            Some(_) => {
                "romimage: file=$BXSHARE/BIOS-bochs-latest\n\
                 vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest\n"
            }
            None => "",
        };
        format!(
            "display_library: rfb, options=\"timeout=0\"\n{roms}\
             memory: guest=64, host=64\n\
             cpu: model=corei7_haswell_4770, count=1, ips=1000000000\n\
             ata0-master: type=disk, path={}, mode=flat, cylinders={cylinders}, heads={tracks}, spt={track}\n\
             boot: disk\n\
             com1: enabled=1, mode=file, dev=/dev/fd/2\n\
             clock: sync=none\n\
             plugin_ctrl: speaker=0\n\
             log: {}\n",
            disk.display(),
            log.display(),
        )
    }

    /// The program and its arguments.
    pub(crate) fn add_to(&self, command: &mut Command) {
        let at = |name: &str| self.folder.join(name);
        command
            .arg(&self.program)
            .args(["-q", "-f"])
            .arg(at("bochsrc"));
        if self.debugs {
            command.arg("-rc").arg(at("commands"));
        }
    }
}
