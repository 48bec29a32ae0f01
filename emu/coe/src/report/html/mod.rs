//! One page with a timeline to look at, zoom into and search: a file that needs
//! nothing else, no network and no fonts.
//!
//! The page's own code is in the files beside this one. Everything about a run
//! goes into it as data; see `data` for how.

mod data;
mod difference;
mod marks;

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use machine::Event;
use serde_json::json;

use crate::timeline::Timeline;
use marks::Marks;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// The page's code in the order in which it is read.
const CODE: [&str; 8] = [
    include_str!("unpack.js"),
    include_str!("run.js"),
    include_str!("rows.js"),
    include_str!("raster.js"),
    include_str!("draw.js"),
    include_str!("sharing.js"),
    include_str!("panel.js"),
    include_str!("page.js"),
];

/// What stands above the timeline.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// What the run is called.
    pub title: String,
    /// What else there is to know, as pairs of a word and what it is.
    pub facts: Vec<(&'static str, String)>,
}

/// Gathers what a page shows of one run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    head: Head,
    timeline: Timeline,
    marks: Marks,
}

impl Run {
    /// A run of which nothing is known but its head.
    #[must_use]
    pub fn new(head: Head) -> Run {
        Run {
            head,
            ..Run::default()
        }
    }

    /// Takes in the next event.
    pub fn take(&mut self, event: &Event) {
        let lane = self.timeline.take(event);
        self.marks.take(event, lane);
    }

    /// The run has ended: at this cycle, and how.
    pub fn finish(&mut self, cycle: u64, ending: String) {
        self.head.facts.insert(0, ("ended with", ending));
        self.close(cycle);
    }

    /// The trace ends here, but the run did not.
    pub fn cut_off(&mut self, why: String) {
        self.head.facts.insert(0, ("not whole", why));
        self.close(self.timeline.end());
    }

    fn close(&mut self, cycle: u64) {
        self.marks.finish();
        self.timeline.finish(cycle);
    }
}

/// Writes the page: one run, and maybe a second one to compare it with.
///
/// # Errors
/// If it cannot be written.
pub fn write(run: &Run, other: Option<&Run>, out: &mut impl Write) -> io::Result<()> {
    let runs: Vec<&Run> = std::iter::once(run).chain(other).collect();
    let packed: Vec<data::Packed> = runs.iter().map(|run| data::pack(run)).collect();
    let difference = other.map(|other| difference::first(run, other));
    let heads: Vec<_> = packed.iter().map(|packed| &packed.head).collect();
    let head = json!({ "runs": heads, "difference": difference });
    // In a page `</script` would end the data wherever it stands.
    let head = head.to_string().replace('<', "\\u003c");
    for part in parts(PAGE) {
        match part {
            Part::Text(text) => out.write_all(text.as_bytes())?,
            Part::Place("title") => out.write_all(escape(&run.head.title).as_bytes())?,
            Part::Place("style") => out.write_all(STYLE.as_bytes())?,
            Part::Place("head") => out.write_all(head.as_bytes())?,
            Part::Place("runs") => {
                for packed in &packed {
                    write_run(&packed.bytes, out)?;
                }
            }
            Part::Place("code") => {
                for code in CODE {
                    out.write_all(code.as_bytes())?;
                }
            }
            Part::Place(unknown) => unreachable!("page.html has no place {unknown}"),
        }
    }
    Ok(())
}

fn write_run(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"<script type=\"application/octet-stream\" class=\"run\">")?;
    out.write_all(STANDARD.encode(bytes).as_bytes())?;
    out.write_all(b"</script>\n")
}

enum Part<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// The template cut at its `{{places}}`.
fn parts(template: &str) -> impl Iterator<Item = Part<'_>> {
    template.split("{{").enumerate().flat_map(|(at, piece)| {
        let (place, text) = match piece.split_once("}}") {
            Some((place, text)) if at > 0 => (Some(place), text),
            _ => (None, piece),
        };
        place
            .map(Part::Place)
            .into_iter()
            .chain(std::iter::once(Part::Text(text)))
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::boot;

    fn page() -> String {
        let mut run = Run::new(Head {
            title: "a <b> & </script>".to_owned(),
            facts: vec![("seed", "1".to_owned())],
        });
        for event in boot() {
            run.take(&event);
        }
        run.finish(9, "exit 0".to_owned());
        let mut page = Vec::new();
        write(&run, Some(&run.clone()), &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = page();
        for word in [
            "http:", "https:", "//cdn", "@import", "src=", "<link", "url(",
        ] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(!page.contains("{{"));
    }

    #[test]
    fn what_the_scenario_says_cannot_break_out() {
        let page = page();
        assert!(page.contains("<title>a &lt;b&gt; &amp; &lt;/script&gt;"));
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, page.matches("</script>").count());
        assert_eq!(scripts, 4);
    }

    #[test]
    fn the_same_run_gives_the_same_page() {
        assert_eq!(page(), page());
    }
}
