//! How far `coe test` is, on a terminal; nothing anywhere else.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::live;

/// Often enough to look alive.
const TICK: Duration = Duration::from_millis(200);

/// A bar on stderr, if that is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    bad: AtomicUsize,
}

impl Progress {
    /// A bar for so many scenarios.
    pub(super) fn new(scenarios: usize) -> Self {
        let bar = ProgressBar::new(scenarios as u64);
        let template = "[{bar:30}] {pos}/{len} in {elapsed}{prefix}: {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Progress {
            bar,
            bad: AtomicUsize::new(0),
        }
    }

    /// This one begins.
    pub(super) fn begin(&self, path: &Path) {
        self.bar.set_message(path.display().to_string());
    }

    /// Says something on stdout while the bar is out of the way.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    /// One more is done.
    pub(super) fn done(&self, good: bool) {
        if !good {
            let bad = self.bad.fetch_add(1, Ordering::Relaxed) + 1;
            self.bar.set_prefix(format!(", {bad} not as expected"));
        }
        self.bar.inc(1);
    }

    /// Takes the bar away and says how long it took. That is the host's
    /// business: it stands in no report, so that equal runs give equal reports.
    pub(super) fn finish(&self, ran: usize) {
        let elapsed = self.bar.elapsed().as_secs_f64();
        let hidden = self.bar.is_hidden();
        self.bar.finish_and_clear();
        if !hidden {
            live::say(&format!("coe: {ran} scenarios in {elapsed:.1} s"));
        }
    }
}
