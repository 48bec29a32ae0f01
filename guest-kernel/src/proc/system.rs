//! The texts about the whole machine.

use alloc::string::String;
use core::arch::x86_64::__cpuid;

use abi::event::FrameKind;

use super::Proc;
use super::text::{Text, put};
use crate::errno::Result;
use crate::fs::super_block;
use crate::mm::frame;
use crate::sched::Time;
use crate::task::tree::TREE;
use crate::task::uts;

/// `uptime`: seconds since the start, and those in which nothing ran.
pub(super) fn uptime(_: &Proc, text: &mut Text) -> Result<()> {
    let hundredths = |nanoseconds: u64| {
        let all = nanoseconds / 10_000_000;
        (all / 100, all % 100)
    };
    let (up, up_part) = hundredths(Time::now().0);
    let (idle, idle_part) = hundredths(idle_time());
    put!(text, "{up}.{up_part:02} {idle}.{idle_part:02}\n");
    Ok(())
}

/// The idle task's CPU time.
fn idle_time() -> u64 {
    let idle = TREE.lock().task(0);
    idle.map_or(0, |idle| idle.account().clock.times().total())
}

/// `version`
pub(super) fn version(_: &Proc, text: &mut Text) -> Result<()> {
    put!(
        text,
        "{} version {} (coe) {}\n",
        uts::SYSTEM,
        uts::RELEASE,
        uts::VERSION
    );
    Ok(())
}

/// `filesystems`: the types that can be mounted; none needs a device.
pub(super) fn filesystems(_: &Proc, text: &mut Text) -> Result<()> {
    for name in super_block::types() {
        put!(text, "nodev\t{name}\n");
    }
    Ok(())
}

/// `meminfo`: what memory is taken for.
pub(super) fn meminfo(_: &Proc, text: &mut Text) -> Result<()> {
    let taken = frame::taken;
    let lines = [
        ("MemTotal", frame::total()),
        ("MemFree", frame::free()),
        ("MemAvailable", frame::free()),
        ("Cached", taken(FrameKind::PageCache)),
        ("AnonPages", taken(FrameKind::User)),
        ("Slab", taken(FrameKind::Slab)),
        ("KernelStack", taken(FrameKind::KernelStack)),
        ("PageTables", taken(FrameKind::PageTable)),
        ("SwapTotal", 0),
        ("SwapFree", 0),
    ];
    for (name, pages) in lines {
        let mut label = String::from(name);
        label.push(':');
        put!(text, "{label:<16}{:8} kB\n", pages * 4);
    }
    Ok(())
}

/// `cpuinfo`: what CPUID says.
pub(super) fn cpuinfo(_: &Proc, text: &mut Text) -> Result<()> {
    let vendor = __cpuid(0);
    let words = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    let about = __cpuid(1).eax;
    let mut family = about >> 8 & 0xF;
    let mut model = about >> 4 & 0xF;
    if matches!(family, 6 | 15) {
        model |= about >> 12 & 0xF0;
    }
    if family == 15 {
        family += about >> 20 & 0xFF;
    }
    put!(text, "processor\t: 0\nvendor_id\t: ");
    text.push(words.as_flattened())?;
    put!(text, "\ncpu family\t: {family}\nmodel\t\t: {model}\n");
    put!(text, "stepping\t: {}\n\n", about & 0xF);
    Ok(())
}
