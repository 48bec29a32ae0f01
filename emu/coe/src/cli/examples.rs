//! The examples at the end of each command's help. The test `help` runs them,
//! in this order and in one folder, so each may use what those before it wrote.

pub(super) const LIST: &str = "\
Examples:
  coe list
  coe list scenarios/futex --format json";

pub(super) const NEW: &str = "\
Examples:
  coe new first
  coe new scenarios-of-mine/threads --run threads";

pub(super) const RUN: &str = "\
Examples:
  coe run first.toml
  coe run scenarios/seeds/cow-fork.toml
  coe run cow-fork 5
  coe run --policy random --seed 7 threads 3
  coe run --schedule cow.schedule scenarios/seeds/cow-fork.toml
  coe run --interactive echo-stdin";

pub(super) const RECORD: &str = "\
Examples:
  coe record scenarios/seeds/cow-fork.toml -o cow.coe
  coe record --snapshot-every 500000 scenarios/seeds/threads.toml -o threads.coe
  coe record --quiet -o hello.coe hello";

pub(super) const REPLAY: &str = "\
Examples:
  coe replay cow.coe
  coe replay threads.coe --to 1200000";

pub(super) const TRACE: &str = "\
Examples:
  coe trace cow.coe
  coe trace cow.coe --task main/1 --event page_fault
  coe trace cow.coe --syscall write --from 1200000 --to 1400000
  coe trace cow.coe --statistics
  coe trace cow.coe --format html -o cow.html
  coe trace cow.coe --format jsonl -o cow.jsonl
  coe trace cow.coe --format perfetto -o cow.pftrace
  coe trace cow.coe --format schedule -o cow.schedule";

pub(super) const TEST: &str = "\
Examples:
  coe test scenarios/seeds
  coe test --filter fork --jobs 2 scenarios/seeds
  coe test --partition 1/4 --junit results.xml scenarios/seeds
  coe test --bless first.toml";

pub(super) const IMAGES: &str = "\
Examples:
  coe images --out guest
  coe images --out threads-guest scenarios/seeds/threads.toml";

pub(super) const BOOT: &str = "\
Examples:
  coe boot guest/kernel.elf --initrd guest/initrd.cpio --cycles 50000000";

pub(super) const SCHEMA: &str = "\
Examples:
  coe schema";

pub(super) const COMPLETIONS: &str = "\
Examples:
  coe completions bash
  coe completions zsh

To install them for bash:
  coe completions bash >~/.local/share/bash-completion/completions/coe";

pub(super) const MAN: &str = "\
Examples:
  coe man
  coe man --out man/man1";
