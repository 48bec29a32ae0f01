//! The rows of the task model, as `docs/rows/*.toml` has them: which scenario
//! shows a row, which deliberate fault of the kernel breaks it, and how the
//! same program runs on Linux.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use coe::scenario::{Level, Scenario};
use serde::Deserialize;

use super::root;

/// What the files with rows are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default)]
    row: Vec<Row>,
    #[serde(default)]
    deviation: Vec<Deviation>,
}

/// One statement about tasks, and what proves it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The heading under which it stands.
    pub(crate) area: String,
    /// What it is about: a flag, a rule.
    pub(crate) name: String,
    /// What the scenario shows, in a line.
    pub(crate) shows: String,
    /// The scenario, from the root of the workspace.
    pub(crate) scenario: String,
    /// The fault with which that scenario's expectations are not met.
    pub(crate) mutant: String,
    /// The program and its arguments, as they run on Linux.
    native: Option<Vec<String>>,
    /// Linux lets only root do this.
    #[serde(default)]
    pub(crate) root: bool,
    /// Why it does not run on Linux.
    no_native: Option<String>,
    /// What differs from today's Linux, and why.
    pub(crate) deviation: Option<String>,
    /// Why the golden holds the outcome only and no order of events.
    no_order: Option<String>,
    /// The file that the row is from.
    #[serde(skip)]
    pub(crate) sheet: String,
}

/// Something that differs from today's Linux and is no row of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deviation {
    /// What differs.
    pub(crate) name: String,
    /// How, and why.
    pub(crate) text: String,
}

/// Who judges a row beside us.
pub(crate) enum Judge<'a> {
    /// Linux, by this program with these arguments.
    Linux(&'a str, &'a [String]),
    /// Nobody, for this reason.
    Nobody(&'a str),
}

impl Row {
    /// Where it stands, for a message.
    pub(crate) fn place(&self) -> String {
        format!("{}: row `{}`", self.sheet, self.name)
    }

    /// Who judges it; a row that names both or neither has none.
    pub(crate) fn judge(&self) -> Option<Judge<'_>> {
        match (&self.native, &self.no_native) {
            (Some(words), None) => {
                let (program, args) = words.split_first()?;
                Some(Judge::Linux(program, args))
            }
            (None, Some(reason)) => Some(Judge::Nobody(reason)),
            _ => None,
        }
    }

    /// The scenario's file.
    pub(crate) fn path(&self) -> PathBuf {
        root().join(&self.scenario)
    }

    /// The scenario, once [`Rows::complaints`] has found it in order.
    pub(crate) fn load(&self) -> Scenario {
        Scenario::load(&self.path()).unwrap_or_else(|error| panic!("{}: {error}", self.place()))
    }

    /// What is missing or wrong, as far as the row alone can tell.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (key, text) in [
            ("area", &self.area),
            ("name", &self.name),
            ("shows", &self.shows),
        ] {
            if text.trim().is_empty() || text.contains('\n') {
                complaints.push(format!("`{key}` is not one line of text"));
            }
        }
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.mutant.is_empty() || !self.mutant.chars().all(is_kebab) {
            complaints.push(format!("mutant `{}` is not in kebab-case", self.mutant));
        }
        match self.judge() {
            None => complaints.push("give either `native = [program, ...]` or `no_native`".into()),
            Some(Judge::Nobody(reason)) if reason.trim().is_empty() => {
                complaints.push("`no_native` gives no reason".into());
            }
            _ => {}
        }
        complaints.extend(self.complaint_about_scenario());
        complaints
    }

    fn complaint_about_scenario(&self) -> Option<String> {
        let path = Path::new(&self.scenario);
        if !path.starts_with("scenarios") || !self.path().is_file() {
            return Some(format!("there is no scenario {}", self.scenario));
        }
        let scenario = match Scenario::load(&self.path()) {
            Ok(scenario) => scenario,
            Err(error) => return Some(format!("{}: {error}", self.scenario)),
        };
        let golden = if self.no_order.is_some() {
            Level::Outcome
        } else {
            Level::Order
        };
        if scenario.golden != Some(golden) {
            let name = golden.name();
            return Some(format!("{} has no golden = \"{name}\"", self.scenario));
        }
        let expect = &scenario.expect;
        let events = !expect.counters.is_empty() || !expect.order.is_empty();
        if expect.ending.is_none() && expect.stdout.is_none() && !events {
            return Some(format!(
                "{} expects nothing: no end, stdout, counters or order",
                self.scenario
            ));
        }
        let Some(Judge::Linux(program, args)) = self.judge() else {
            return None;
        };
        (scenario.program.run.value != program || scenario.program.args != args).then(|| {
            format!(
                "`native` runs {program} {args:?}, {} runs {} {:?}",
                self.scenario, scenario.program.run.value, scenario.program.args
            )
        })
    }
}

/// All rows, in the order of their files' names.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    pub(crate) deviations: Vec<Deviation>,
    /// Files that are no sheets of rows.
    unreadable: Vec<String>,
}

impl Rows {
    /// Reads `docs/rows`.
    pub(crate) fn read() -> Self {
        let mut all = Rows {
            rows: Vec::new(),
            deviations: Vec::new(),
            unreadable: Vec::new(),
        };
        for path in sheets() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let sheet = format!("docs/rows/{name}");
            let text = fs::read_to_string(&path).expect("a sheet of rows is text");
            match toml::from_str::<Sheet>(&text) {
                Ok(read) => {
                    all.deviations.extend(read.deviation);
                    all.rows.extend(read.row.into_iter().map(|row| Row {
                        sheet: sheet.clone(),
                        ..row
                    }));
                }
                Err(error) => all.unreadable.push(format!("{sheet}: {error}")),
            }
        }
        all
    }

    /// The rows, all of them complete.
    pub(crate) fn complete() -> Self {
        let rows = Rows::read();
        let complaints = rows.complaints();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        rows
    }

    /// Everything that is wrong with them.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = self.unreadable.clone();
        let mutants = mutants_of_the_kernel();
        let (mut names, mut used) = (BTreeMap::new(), BTreeMap::new());
        for row in &self.rows {
            let mut say = |what: String| complaints.push(format!("{}: {what}", row.place()));
            row.complaints().into_iter().for_each(&mut say);
            if let Some(other) = names.insert((&row.area, &row.name), row.place()) {
                say(format!("`{}` has this row already: {other}", row.area));
            }
            if let Some(other) = used.insert(&row.mutant, row.place()) {
                say(format!("mutant `{}` is also that of {other}", row.mutant));
            }
            if !mutants.contains(&row.mutant) {
                say(format!("the kernel has no mutant!(\"{}\")", row.mutant));
            }
        }
        for mutant in mutants.iter().filter(|mutant| !used.contains_key(mutant)) {
            complaints.push(format!("guest-kernel: mutant!(\"{mutant}\") has no row"));
        }
        for deviation in &self.deviations {
            if deviation.name.trim().is_empty() || deviation.text.trim().is_empty() {
                complaints.push(format!("deviation `{}` says nothing", deviation.name));
            }
        }
        complaints
    }

    /// The programs that are run on Linux.
    pub(crate) fn judged_programs(&self) -> BTreeSet<String> {
        let judged = self.rows.iter().filter_map(|row| match row.judge() {
            Some(Judge::Linux(program, _)) => Some(program.to_owned()),
            _ => None,
        });
        judged.collect()
    }
}

/// The files with rows, by name.
fn sheets() -> Vec<PathBuf> {
    let folder = root().join("docs/rows");
    let entries = fs::read_dir(folder).expect("docs/rows can be listed");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    found.sort();
    found
}

/// The names of the faults that a kernel with test switches can have.
fn mutants_of_the_kernel() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect_mutants(&root().join("guest-kernel/src"), &mut names);
    names
}

fn collect_mutants(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the kernel's sources can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_mutants(&path, names);
        } else {
            let text = fs::read_to_string(&path).expect("a source is text");
            // A line may be broken after the bracket.
            let calls = text.split("mutant!(").skip(1);
            let name = |call: &str| {
                Some(
                    call.trim_start()
                        .strip_prefix('"')?
                        .split_once('"')?
                        .0
                        .to_owned(),
                )
            };
            names.extend(calls.filter_map(name));
        }
    }
}
