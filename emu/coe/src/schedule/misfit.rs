//! How a schedule does not fit a run.

use std::fmt;

/// Where a schedule no longer fits, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where the line stands: `x.schedule:3`.
    pub place: String,
    /// The line.
    pub line: String,
    /// The cycle at which it turned out; `None` at the end of the run.
    pub cycle: Option<u64>,
    /// What was otherwise than the line says.
    pub why: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: ", self.place, self.line)?;
        match self.cycle {
            Some(cycle) => write!(f, "at cycle {cycle} {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}
