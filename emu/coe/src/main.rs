//! `coe`: the laboratory around the machine.

fn main() {}
