//! What only some models of the CPU have, where no host can be the judge: instructions that a
//! kernel has to switch on, and numbers that are drawn from the seed.

use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cpu::model::TABLE;
use machine::cpu::random::Random;
use machine::cpu::state::{Segment, cr0, cr4, efer, flag};
use machine::cpu::{CodeCache, Cpu, CpuModel, Cx};
use machine::mmu::Mmu;
use machine::{CostModel, cpu::Halt};

const TABLES: [u64; 3] = [0x1000, 0x2000, 0x3000];
const CODE: u64 = 0x8000;

/// A CPU in 64-bit mode at CPL 0 with memory mapped one to one. It has no interrupt table, so
/// that the first exception stops it.
fn cpu(model: CpuModel) -> Cpu {
    let mut cpu = Cpu {
        model,
        random: Random::new(1, 0),
        rip: CODE,
        cr0: cr0::PE | cr0::PG | cr0::WP | cr0::ET,
        cr3: TABLES[0],
        cr4: cr4::PAE,
        ..Cpu::default()
    };
    cpu.msr.efer = efer::LME | efer::LMA;
    cpu.seg[1] = Segment::flat(8, 0xA09B);
    cpu
}

/// Executes these bytes, one instruction; no answer if it raised an exception.
fn run(cpu: &mut Cpu, code: &[u8]) -> Option<()> {
    let mut bus = Bus::new(16 << 20, 0);
    for pair in TABLES.windows(2) {
        bus.write(PhysAddr(pair[0]), 8, pair[1] | 3, 0);
    }
    bus.write(PhysAddr(TABLES[2]), 8, 0x83, 0);
    assert!(bus.ram.load(PhysAddr(CODE), code));
    cpu.rip = CODE;
    let mut mmu = Mmu::default();
    let mut cx = Cx::new(cpu, &mut mmu, &mut bus, CostModel::Standard, u64::MAX);
    match cx.step(&mut CodeCache::default()) {
        Ok(()) => Some(()),
        Err(Halt::Triple(_)) => None,
        Err(Halt::Missing(what)) => panic!("{what} is missing"),
    }
}

/// `mov cr4, rax`
const WRITE_CR4: [u8; 3] = [0x0F, 0x22, 0xE0];
const RDFSBASE_ECX: [u8; 4] = [0xF3, 0x0F, 0xAE, 0xC1];
const RDGSBASE_RCX: [u8; 5] = [0xF3, 0x48, 0x0F, 0xAE, 0xC9];
const WRFSBASE_EAX: [u8; 4] = [0xF3, 0x0F, 0xAE, 0xD0];
const WRGSBASE_RAX: [u8; 5] = [0xF3, 0x48, 0x0F, 0xAE, 0xD8];

const FS: usize = 4;
const GS: usize = 5;

/// Intel SDM volume 2, RDFSBASE/RDGSBASE and WRFSBASE/WRGSBASE: #UD while CR4.FSGSBASE is 0.
#[test]
fn bases_are_the_programs_once_the_kernel_says_so() {
    let mut cpu = cpu(CpuModel::V3);
    assert_eq!(run(&mut cpu, &RDFSBASE_ECX), None);
    assert_eq!(run(&mut cpu, &WRGSBASE_RAX), None);
    cpu.cr4 |= cr4::FSGSBASE;
    cpu.seg[FS].base = 0x1234_5678_9ABC;
    cpu.gpr[1] = u64::MAX;
    assert_eq!(run(&mut cpu, &RDFSBASE_ECX), Some(()));
    // A 32-bit destination takes the lower half and clears its own upper one.
    assert_eq!(cpu.gpr[1], 0x5678_9ABC);
    cpu.gpr[0] = 0xFFFF_8000_1234_5678;
    assert_eq!(run(&mut cpu, &WRGSBASE_RAX), Some(()));
    assert_eq!(run(&mut cpu, &RDGSBASE_RCX), Some(()));
    assert_eq!(cpu.gpr[1], cpu.gpr[0]);
    assert_eq!(run(&mut cpu, &WRFSBASE_EAX), Some(()));
    assert_eq!(cpu.seg[FS].base, 0x1234_5678);
}

/// The same pages: #GP(0) if the base would not be canonical.
#[test]
fn a_base_is_canonical() {
    let mut cpu = cpu(CpuModel::V3);
    cpu.cr4 |= cr4::FSGSBASE;
    cpu.gpr[0] = 1 << 47;
    assert_eq!(run(&mut cpu, &WRGSBASE_RAX), None);
    assert_eq!(cpu.seg[GS].base, 0);
}

/// Intel SDM volume 3, 2.5: an attempt to set a reserved bit of CR4 is #GP(0), and a bit is
/// reserved on a CPU without its feature.
#[test]
fn a_bit_of_cr4_comes_with_its_feature() {
    for model in [CpuModel::V1, CpuModel::V2, CpuModel::V3] {
        let mut cpu = cpu(model);
        cpu.gpr[0] = cr4::PAE | cr4::FSGSBASE;
        let there = run(&mut cpu, &WRITE_CR4).is_some();
        assert_eq!(there, model == CpuModel::V3, "{model:?}");
    }
}

const RDRAND_RCX: [u8; 4] = [0x48, 0x0F, 0xC7, 0xF1];
const RDSEED_CX: [u8; 4] = [0x66, 0x0F, 0xC7, 0xF9];

/// CF says that there is a number, the other status flags are cleared; narrow forms take the
/// lowest bits of a whole draw.
#[test]
fn numbers_are_drawn_from_the_seed() {
    let mut expected = Random::new(1, 0);
    let [first, second] = [expected.draw(), expected.draw()];
    let mut cpu = cpu(CpuModel::V3);
    cpu.rflags |= flag::STATUS & !flag::CF;
    assert_eq!(run(&mut cpu, &RDRAND_RCX), Some(()));
    assert_eq!((cpu.gpr[1], cpu.rflags & flag::STATUS), (first, flag::CF));
    assert_eq!(run(&mut cpu, &RDSEED_CX), Some(()));
    assert_eq!(cpu.gpr[1], first & !0xFFFF | second & 0xFFFF);
    assert_eq!(cpu.random, expected);
}

/// CPUID
const CPUID: [u8; 2] = [0x0F, 0xA2];

/// eax to edx for this leaf and subleaf.
fn cpuid(model: CpuModel, leaf: u64, subleaf: u64) -> [u64; 4] {
    let mut cpu = cpu(model);
    (cpu.gpr[0], cpu.gpr[1]) = (leaf, subleaf);
    assert_eq!(run(&mut cpu, &CPUID), Some(()));
    [cpu.gpr[0], cpu.gpr[3], cpu.gpr[1], cpu.gpr[2]]
}

/// Intel SDM volume 2, CPUID: beyond the highest leaf the data of the highest basic one is
/// returned; a leaf below it that is not there gives zeros.
#[test]
fn leaves_that_are_not_there() {
    let highest = cpuid(CpuModel::V2, 0, 0)[0];
    let crystal = cpuid(CpuModel::V2, highest, 0);
    assert_eq!(crystal, [1, 40, 25_000_000, 0]);
    for leaf in [highest + 1, 0x3FFF_FFFF, 0x8000_0009, 0xFFFF_FFFF] {
        assert_eq!(cpuid(CpuModel::V2, leaf, 0), crystal, "{leaf:#x}");
    }
    assert_eq!(cpuid(CpuModel::V2, 3, 0), [0; 4]);
    // The hypervisor's leaf is no part of that.
    assert_ne!(cpuid(CpuModel::V2, 0x4000_0000, 0), crystal);
}

/// Every feature has its bit for the models that have it, and nothing else has one: but for
/// OSXSAVE, which is the kernel's to set.
#[test]
fn cpuid_says_what_the_table_says() {
    for (_, model) in CpuModel::WORDS {
        for row in TABLE {
            let place = row.word.place();
            let (leaf, register) = place.split_once(' ').expect("a leaf and a register");
            let (leaf, subleaf) = leaf.split_once('.').unwrap_or((leaf, "0"));
            let leaf = match leaf.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => leaf.parse(),
            };
            let subleaf = subleaf.parse().expect("a number");
            let register = ["eax", "ebx", "ecx", "edx"]
                .iter()
                .position(|r| *r == register);
            let words = cpuid(model, leaf.expect("a number"), subleaf);
            let word = words[register.expect("a register")];
            let there = row.since <= model;
            assert_eq!(
                word >> row.bit & 1 != 0,
                there,
                "{model:?} {:?}",
                row.feature
            );
        }
    }
}

const INTRODUCTION: &str = "\
# What each model of the CPU announces

This page is made from the table in `emu/machine/src/cpu/model.rs` by
`emu/machine/tests/cpu_models.rs`: `COE_BLESS_DOCS=1 cargo test -p machine --test cpu_models`
writes it again. [docs/cpu.md](cpu.md) tells the rest about the CPU.

";

/// The page: all features by their places in CPUID.
fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| leaf | bit | what | v1 | v2 | v3 |\n|---|---|---|---|---|---|\n");
    for row in TABLE {
        let models = CpuModel::WORDS.map(|(_, model)| {
            let there = model.features().has(row.feature);
            if there { "yes" } else { "" }
        });
        let about = row.about.trim_end_matches('.');
        let (place, bit) = (row.word.place(), row.bit);
        let line = format!("| {place} | {bit} | {about} | {} |\n", models.join(" | "));
        page.push_str(&line);
    }
    page
}

#[test]
fn the_page_about_features_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cpu-features.md");
    if std::env::var_os("COE_BLESS_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(path, page()).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page(),
        "docs/cpu-features.md is out of date: \
         COE_BLESS_DOCS=1 cargo test -p machine --test cpu_models"
    );
}
