//! What the fuzz targets share: small kernels and a host that listens to nobody.

use std::path::Path;
use std::sync::LazyLock;

use coe::images::Setup;
use coe::scenario::Scenario;
use machine::{Choice, Config, Event, Host, Images, Input, Machine};

/// The smallest machine that there is.
pub const MEMORY: u64 = 16 << 20;

/// Hears nothing and leaves every choice to the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Host for Silent {
    fn event(&mut self, _event: Event) {}

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

/// Sends `hi` to the serial port, starts the APIC's timer and exits with 5.
pub const HELLO: &[u8] = &[
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3F8
    0xB0, b'h', 0xEE, // mov al, 'h'; out dx, al
    0xB0, b'i', 0xEE, // mov al, 'i'; out dx, al
    0xC7, 0x05, 0x80, 0x03, 0xE0, 0xFE, 0, 1, 0, 0, // mov dword [0xFEE00380], 256
    0xB8, 5, 0, 0, 0, // mov eax, 5
    0xE7, 0xF4, // out 0xF4, eax
    0xEB, 0xFE, // jmp .
];

/// An ELF that is entered at this code, a little above 1 MiB: as a kernel in
/// 32-bit mode through its PVH note, as a program of Linux in 64-bit mode.
#[must_use]
pub fn elf(code: &[u8]) -> Vec<u8> {
    const NOTE: u64 = 64 + 2 * 56;
    const CODE: u64 = NOTE + 20;
    /// As far into its page as into the file.
    const PLACE: u64 = 0x10_0000 + CODE;
    let mut elf = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [PLACE, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    segment(&mut elf, 4, NOTE, 0, 20);
    segment(&mut elf, 1, CODE, PLACE, code.len() as u64);
    for word in [4u32, 4, 18] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(b"Xen\0");
    elf.extend((PLACE as u32).to_le_bytes());
    elf.extend(code);
    elf
}

fn segment(elf: &mut Vec<u8>, kind: u32, offset: u64, place: u64, size: u64) {
    elf.extend(kind.to_le_bytes());
    elf.extend(7u32.to_le_bytes());
    for word in [offset, place, place, size, size, 1] {
        elf.extend(word.to_le_bytes());
    }
}

/// A machine that is about to enter this kernel, if there can be one. It has a
/// disk of one page, so that code can find its device.
#[must_use]
pub fn boot(kernel: &[u8]) -> Option<Machine> {
    let config = Config {
        memory: MEMORY,
        ..Config::default()
    };
    let images = Images {
        kernel,
        initrd: Some(b"initrd"),
        cmdline: "",
        disk: Some(&[7; 4096]),
    };
    Machine::boot(&config, &images).ok()
}

/// The setup of the smallest machine: embedded kernel, no files, no disk.
#[must_use]
pub fn setup(limit: u64) -> Setup {
    static BASE: LazyLock<Setup> = LazyLock::new(|| {
        let text = "title = \"fuzz\"\nprogram = \"hello\"\nmachine = { memory = \"16MiB\" }\n";
        let scenario = Scenario::parse("fuzz.toml", text).expect("it is in order");
        let setup = Setup::from_scenario(&scenario, Path::new(".")).expect("it is embedded");
        Setup {
            initrd: None,
            ..setup
        }
    });
    Setup {
        limit,
        ..BASE.clone()
    }
}

/// The setup of a run of [`HELLO`].
#[must_use]
pub fn hello_setup() -> Setup {
    Setup {
        kernel: elf(HELLO).into(),
        initrd: Some(b"initrd".to_vec()),
        disk: Some(vec![7; 4096]),
        inputs: vec![(5, Input::Console(b'x'))],
        ..setup(100_000)
    }
}
