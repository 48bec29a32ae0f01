//! What runs in the machine beside the scenario's own program: the kernel, its
//! options, and the programs that scenarios name. The embedded ones, unless a
//! person who builds their own says otherwise.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use super::cpio;
use crate::embedded;
use crate::scenario::program::{self, ProgramError};

/// A program that scenarios name: its name and its ELF.
type Named = (String, Cow<'static, [u8]>);

/// Kernel, options and programs.
#[derive(Clone, Debug)]
pub struct Guests {
    /// The kernel's ELF.
    pub kernel: Cow<'static, [u8]>,
    /// Further words for the kernel's command line.
    pub options: Vec<String>,
    /// The programs, sorted by name.
    programs: Vec<Named>,
}

impl Default for Guests {
    fn default() -> Self {
        let program = |&(name, bytes): &(&str, &'static [u8])| (name.to_owned(), bytes.into());
        Guests {
            kernel: embedded::KERNEL.into(),
            options: Vec::new(),
            programs: embedded::PROGRAMS.iter().map(program).collect(),
        }
    }
}

impl Guests {
    /// Takes every ELF of a folder in, in the place of one of the same name.
    ///
    /// # Errors
    /// If the folder or a file in it cannot be read.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), ProgramError> {
        let unreadable = |source: std::io::Error| {
            let path = folder.to_owned();
            match source.kind() {
                std::io::ErrorKind::NotFound => ProgramError::NotFound { path },
                _ => ProgramError::Unreadable { path, source },
            }
        };
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if !path.is_file() {
                continue;
            }
            let bytes = program::read(&path)?;
            if bytes.starts_with(b"\x7fELF") {
                self.programs.retain(|(known, _)| known != name);
                self.programs.push((name.to_owned(), bytes.into()));
            }
        }
        self.programs.sort();
        Ok(())
    }

    /// True if scenarios may name this program.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.programs.iter().any(|(known, _)| known == name)
    }

    /// The programs' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.programs.iter().map(|(name, _)| name.as_str())
    }

    /// The archive of the programs, the same for every scenario.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let sizes = self.programs.iter().map(|(_, bytes)| bytes.len());
        let mut archive = cpio::Archive::with_room(sizes);
        for (name, bytes) in &self.programs {
            archive.program(&program::guest_path(name), bytes);
        }
        archive.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_elfs_take_the_place_of_embedded_ones_and_other_files_do_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hello"), b"\x7fELF of mine").unwrap();
        fs::write(folder.path().join("another"), b"\x7fELF").unwrap();
        fs::write(folder.path().join("notes"), b"text").unwrap();
        let mut guests = Guests::default();
        let before = guests.names().count();
        guests.add_folder(folder.path()).unwrap();
        assert_eq!(guests.names().count(), before + 1);
        assert!(guests.has("another") && !guests.has("notes"));
        let hello = guests.programs.iter().find(|(name, _)| name == "hello");
        assert_eq!(hello.unwrap().1.as_ref(), b"\x7fELF of mine");
        assert!(guests.names().is_sorted());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Guests::default().add_folder(Path::new("/no/such/folder"));
        assert!(
            matches!(error, Err(ProgramError::NotFound { .. })),
            "{error:?}"
        );
    }
}
