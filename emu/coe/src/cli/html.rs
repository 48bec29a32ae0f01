//! `coe trace --format html`: one page to look at a trace, or at two.

use std::io::{self, Write};

use crate::Error;
use crate::report::html::{self, Head, Run};
use crate::trace::{Item, Record, Trace};

/// Writes the page of a trace, with another one to compare it with. Of a trace
/// that is damaged the page shows what there is; the damage is told after that.
pub(super) fn write(
    trace: &Trace,
    overlay: Option<&Trace>,
    out: &mut impl Write,
) -> io::Result<Option<Error>> {
    let (run, damage) = gather(trace);
    let other = overlay.map(gather);
    html::write(&run, other.as_ref().map(|(other, _)| other), out)?;
    Ok(damage.or(other.and_then(|(_, damage)| damage)))
}

fn gather(trace: &Trace) -> (Run, Option<Error>) {
    let mut run = Run::new(head(trace));
    for item in trace.items() {
        match item {
            Ok(Item::Record(Record::Event(event))) => run.take(&event),
            Ok(Item::Record(_)) => {}
            Ok(Item::End(end)) => {
                run.finish(end.cycle, end.ending.to_string());
                return (run, None);
            }
            Err(error) => {
                run.cut_off(error.to_string());
                return (run, Some(error.into()));
            }
        }
    }
    run.cut_off("the trace has no end".to_owned());
    (run, None)
}

fn head(trace: &Trace) -> Head {
    let header = &trace.header;
    Head {
        title: header.title.clone(),
        facts: vec![
            ("seed", header.seed.to_string()),
            ("memory", format!("{} MiB", header.memory >> 20)),
            ("CPU", header.cpu.name().to_owned()),
            ("cost model", header.cost_version.to_string()),
            ("kernel", header.kernel_hash.clone()),
            ("command line", header.cmdline.clone()),
        ],
    }
}
