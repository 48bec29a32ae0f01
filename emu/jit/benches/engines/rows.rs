//! The rows of the two tables: what is run, and how much of it.

/// One workload or operation.
#[derive(Debug)]
pub(crate) struct Row {
    /// What the kernel calls it.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// How much is done: about half a second's work for QEMU's icount.
    pub(crate) amount: u64,
    pub(crate) kind: Kind,
}

/// What a row is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Guest instructions a second; counts in the geometric mean.
    Work,
    /// Iterations a second, and left out of the mean: an instruction may be
    /// thousands of them.
    Strings,
    /// Nanoseconds for each operation.
    Operation,
}

const fn work(name: &'static str, title: &'static str, amount: u64) -> Row {
    row(name, title, amount, Kind::Work)
}

const fn operation(name: &'static str, title: &'static str, amount: u64) -> Row {
    row(name, title, amount, Kind::Operation)
}

const fn row(name: &'static str, title: &'static str, amount: u64, kind: Kind) -> Row {
    Row {
        name,
        title,
        amount,
        kind,
    }
}

/// All of them, in the order of the tables.
pub(crate) const ROWS: &[Row] = &[
    work("alu", "a: ALU and branches", 200),
    work("sieve", "b1: sieve", 12),
    work("chase", "b2: 1,024 pages", 40),
    row("strings", "c1: REP strings", 1200, Kind::Strings),
    work("loops", "c2: plain loops", 8000),
    work("calls", "d: calls", 600),
    work("sha256", "e: SHA-256", 1200),
    work("doubles", "f: SSE2 doubles", 300),
    work("mix", "g: mix", 4000),
    work("many", "m: 1,500 functions", 6000),
    operation("syscall", "SYSCALL round trip", 4_000_000),
    operation("fault", "#PF, map, invlpg", 200_000),
    operation("cr3", "CR3 and 16 pages", 60_000),
    operation("int80", "int 0x80 and iretq", 1_000_000),
    operation("ipi", "xAPIC self-IPI", 300_000),
    operation("port", "port in or out", 4_000_000),
    operation("cold", "a function run once", 10_000),
    operation("patched", "code overwritten", 200_000),
];
