//! Which scenarios there are, which of them are meant, and which goldens
//! nobody uses.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Error;
use crate::golden;
use crate::scenario::Scenario;
use crate::scenario::program::ProgramError;

/// A folder with this file in it holds what can be made again (cargo's `target`
/// is one): nobody keeps scenarios there.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// One of several runs that share a list of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which one, from 1 on.
    index: usize,
    /// Of how many.
    count: usize,
}

impl Partition {
    /// The part of the list that falls to this run: every `count`-th.
    #[must_use]
    pub fn of<T>(self, list: Vec<T>) -> Vec<T> {
        list.into_iter()
            .skip(self.index - 1)
            .step_by(self.count)
            .collect()
    }

    /// True for the run that also does what is done once.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.index == 1
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let parsed = numbers.and_then(|(index, count)| {
            Some(Partition {
                index: index.parse().ok()?,
                count: count.parse().ok()?,
            })
        });
        match parsed {
            Some(partition) if (1..=partition.count).contains(&partition.index) => Ok(partition),
            _ => Err("give which part of how many, as 1/3, 2/3, 3/3".to_owned()),
        }
    }
}

/// What lies under some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The scenarios, sorted, each once.
    pub scenarios: Vec<PathBuf>,
    /// Goldens that no scenario uses, sorted.
    pub unused: Vec<PathBuf>,
}

impl Found {
    /// Keeps what has one of these texts in its path; without texts all.
    pub fn filter(&mut self, texts: &[String]) {
        let meant = |path: &PathBuf| {
            let path = path.to_string_lossy();
            texts.is_empty() || texts.iter().any(|text| path.contains(text.as_str()))
        };
        self.scenarios.retain(meant);
        self.unused.retain(meant);
    }

    /// Keeps the part that falls to one of several runs.
    pub fn partition(&mut self, partition: Partition) {
        self.scenarios = partition.of(std::mem::take(&mut self.scenarios));
        if !partition.is_first() {
            self.unused.clear();
        }
    }
}

/// What lies under these paths. A file that is named counts as a scenario
/// whatever it is called; in a folder, and in the folders in it, every `*.toml`
/// counts that has a title or a program. Hidden folders, linked folders and
/// caches are passed over.
///
/// # Errors
/// If a path is not there or cannot be read.
pub fn find(paths: &[PathBuf]) -> Result<Found, Error> {
    let (mut scenarios, mut goldens) = (Vec::new(), BTreeSet::new());
    for path in paths {
        if path.is_dir() {
            collect(path, &mut scenarios, &mut goldens)?;
        } else if path.exists() {
            scenarios.push(path.clone());
            goldens.extend(Some(golden::path(path)).filter(|golden| golden.is_file()));
        } else {
            return Err(ProgramError::NotFound { path: path.clone() }.into());
        }
    }
    scenarios.sort();
    let mut seen = BTreeSet::new();
    scenarios.retain(|path| seen.insert(same(path)));
    let used: BTreeSet<_> = scenarios
        .iter()
        .filter(|path| uses_golden(path))
        .map(|path| same(&golden::path(path)))
        .collect();
    let mut reported = BTreeSet::new();
    let unused = goldens
        .into_iter()
        .filter(|path| !used.contains(&same(path)) && reported.insert(same(path)))
        .collect();
    Ok(Found { scenarios, unused })
}

/// What two spellings of one path have in common.
fn same(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn collect(
    folder: &Path,
    scenarios: &mut Vec<PathBuf>,
    goldens: &mut BTreeSet<PathBuf>,
) -> Result<(), Error> {
    let unreadable = |source| ProgramError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if !hidden && !path.join(CACHE_TAG).is_file() {
                collect(&path, scenarios, goldens)?;
            }
            continue;
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") if is_scenario(&path) => scenarios.push(path),
            Some("golden") => {
                goldens.insert(path);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Not every TOML file is a scenario: `Cargo.toml` is none. One that cannot be
/// read as TOML counts, so that its mistake is told.
fn is_scenario(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path) else {
        return true;
    };
    match text.parse::<toml::Table>() {
        Ok(table) => table.contains_key("title") || table.contains_key("program"),
        Err(_) => true,
    }
}

/// A scenario with a mistake in it may mean its golden.
fn uses_golden(path: &Path) -> bool {
    Scenario::load(path).map_or(true, |scenario| scenario.golden.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "title = \"t\"\nprogram = \"hello\"\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(folder: &tempfile::TempDir, paths: &[PathBuf]) -> Vec<String> {
        let relative = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
        paths
            .iter()
            .map(|path| relative(path).to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_folder_gives_its_scenarios_and_nothing_else() {
        let folder = folder(&[
            ("b/two.toml", PLAIN),
            ("a.toml", PLAIN),
            ("broken.toml", "title = "),
            ("Cargo.toml", "[package]\nname = \"x\"\n"),
            (".hidden/no.toml", PLAIN),
            ("target/CACHEDIR.TAG", ""),
            ("target/no.toml", PLAIN),
            ("notes.txt", PLAIN),
        ]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop")).unwrap();
        let twice = [folder.path().to_owned(), folder.path().join("./b/")];
        let found = find(&twice).unwrap();
        assert_eq!(
            names(&folder, &found.scenarios),
            ["a.toml", "b/two.toml", "broken.toml"]
        );
        let named = folder.path().join("notes.txt");
        assert_eq!(
            find(std::slice::from_ref(&named)).unwrap().scenarios,
            [named]
        );
    }

    #[test]
    fn goldens_that_nobody_uses_are_found() {
        let with = format!("{PLAIN}golden = \"order\"\n");
        let folder = folder(&[
            ("used.toml", &with),
            ("used.golden", ""),
            ("level-less.toml", PLAIN),
            ("level-less.golden", ""),
            ("mistaken.toml", "titel = "),
            ("mistaken.golden", ""),
            ("deep/left-over.golden", ""),
        ]);
        let mut found = find(&[folder.path().to_owned()]).unwrap();
        assert_eq!(
            names(&folder, &found.unused),
            ["deep/left-over.golden", "level-less.golden"]
        );
        let one = find(&[folder.path().join("level-less.toml")]).unwrap();
        assert_eq!(names(&folder, &one.unused), ["level-less.golden"]);
        found.filter(&["deep".to_owned()]);
        assert_eq!(names(&folder, &found.unused), ["deep/left-over.golden"]);
        found.partition("2/2".parse().unwrap());
        assert!(found.unused.is_empty());
    }

    #[test]
    fn partitions_share_the_list_evenly_and_wholly() {
        let all: Vec<u32> = (0..10).collect();
        let parts: Vec<Vec<u32>> = (1..=3)
            .map(|index| Partition { index, count: 3 }.of(all.clone()))
            .collect();
        assert_eq!(parts[0], [0, 3, 6, 9]);
        assert_eq!(parts[1], [1, 4, 7]);
        assert_eq!(parts[2], [2, 5, 8]);
        for wrong in ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(wrong.parse::<Partition>().is_err(), "{wrong}");
        }
    }
}
