//! `limits`: how much a thread group may have.

use alloc::string::ToString;
use alloc::sync::Arc;

use super::task_directory::At;
use super::text::{Text, put};
use crate::errno::Result;
use crate::task::Task;

/// The resources by number, with their units.
const NAMES: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

/// The table.
pub(super) fn limits(_: &At, task: &Arc<Task>, text: &mut Text) -> Result<()> {
    let line = |text: &mut Text, cells: [&str; 4]| {
        let [name, soft, hard, unit] = cells;
        put!(text, "{name:<25} {soft:<20} {hard:<20} {unit:<10}\n");
        Ok(())
    };
    line(text, ["Limit", "Soft Limit", "Hard Limit", "Units"])?;
    let shown = |limit: u64| match limit {
        u64::MAX => "unlimited".to_string(),
        limit => limit.to_string(),
    };
    for (resource, (name, unit)) in NAMES.iter().enumerate() {
        let (soft, hard) = task.group().limit(resource);
        line(text, [name, &shown(soft), &shown(hard), unit])?;
    }
    Ok(())
}
