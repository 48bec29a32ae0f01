//! Walking paths.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::directory::NAME_MAX;
use super::inode::Kind;
use super::permission;
use super::place::Place;
use super::special::Jump;
use crate::errno::{Errno, Result};

/// The longest path, with the NUL at its end.
pub const PATH_MAX: usize = 4096;

/// How many symbolic links one walk follows.
const LINKS_MAX: u32 = 40;

/// Where a walk begins.
pub struct Start {
    /// Where `/` is, and what `..` does not leave.
    pub root: Place,
    /// Where a relative path begins.
    pub base: Place,
}

/// What is done about a symbolic link at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LastLink {
    /// It is followed.
    Follow,
    /// It is what was looked for, unless a slash stands behind it.
    Keep,
    /// It is a name like any other, even with a slash behind it: the caller
    /// makes or removes names.
    Name,
}

impl LastLink {
    /// `Follow` or `Keep`.
    pub fn follow_if(follow: bool) -> Self {
        if follow {
            LastLink::Follow
        } else {
            LastLink::Keep
        }
    }

    fn follows(self, slash: bool) -> bool {
        match self {
            LastLink::Follow => true,
            LastLink::Keep => slash,
            LastLink::Name => false,
        }
    }
}

/// The end of a walk.
pub struct Found {
    /// The directory that holds, or would hold, the last name.
    pub parent: Place,
    /// The last name; empty if the path ends in `/`-only, `.` or `..`, or in
    /// a link that leads to no name.
    pub name: Vec<u8>,
    /// What is there.
    pub place: Option<Place>,
    /// The path ends in a slash: only a directory will do.
    pub slash: bool,
    /// The directory and the name that led there, where a link has led to
    /// something that was opened by them.
    opened_as: Option<Origin>,
}

/// A directory, and a name in it.
pub type Origin = (Place, Box<[u8]>);

impl Found {
    /// The directory and the name that led there, if any did.
    pub fn origin(&self) -> Option<Origin> {
        if self.name.is_empty() {
            return self.opened_as.clone();
        }
        Some((self.parent.clone(), self.name.as_slice().into()))
    }

    /// What is there.
    ///
    /// # Errors
    /// ENOENT, or ENOTDIR for a slash behind something else.
    pub fn existing(self) -> Result<Place> {
        let place = self.place.ok_or(Errno::ENOENT)?;
        if self.slash {
            place.inode().check_directory()?;
        }
        Ok(place)
    }
}

/// Walks a path to what it names.
///
/// # Errors
/// Linux's, as for [`walk`], and ENOENT.
pub fn lookup(start: &Start, path: &[u8], follow: bool) -> Result<Place> {
    walk(start, path, LastLink::follow_if(follow))?.existing()
}

/// Walks a path up to its last name, which need not exist.
///
/// # Errors
/// ENOENT (also for an empty path), ENOTDIR, ENAMETOOLONG and ELOOP, as Linux
/// gives them.
pub fn walk(start: &Start, path: &[u8], last_link: LastLink) -> Result<Found> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut walk = Walk {
        start,
        at: start.base.clone(),
        rest: path.to_vec(),
        links: 0,
        opened_as: None,
    };
    walk.run(last_link)
}

struct Walk<'a> {
    start: &'a Start,
    at: Place,
    rest: Vec<u8>,
    links: u32,
    opened_as: Option<Origin>,
}

impl Walk<'_> {
    fn run(&mut self, last_link: LastLink) -> Result<Found> {
        loop {
            if self.rest.first() == Some(&b'/') {
                self.at = self.start.root.clone();
            }
            let Some((name, last, slash)) = self.next_name() else {
                return Ok(self.ended_here(true));
            };
            self.at.inode().check_directory()?;
            permission::permission(self.at.inode(), permission::EXEC)?;
            let next = match name.as_slice() {
                b"." => Some(self.at.clone()),
                b".." => Some(self.at.parent(&self.start.root)?),
                _ if name.len() > NAME_MAX => return Err(Errno::ENAMETOOLONG),
                _ => self.at.child(&name)?,
            };
            let is_link = next.as_ref().is_some_and(|next| {
                matches!(next.inode().kind(), Kind::Symlink(_) | Kind::Magic(_))
            });
            if let Some(link) = next.as_ref()
                && is_link
                && (!last || last_link.follows(slash))
            {
                if self.enter_link(link, slash)? && last {
                    return Ok(self.ended_here(slash));
                }
                continue;
            }
            if last {
                if name == b"." || name == b".." {
                    self.at = next.ok_or(Errno::ENOENT)?;
                    return Ok(self.ended_here(slash));
                }
                return Ok(Found {
                    parent: self.at.clone(),
                    name,
                    place: next,
                    slash,
                    opened_as: None,
                });
            }
            self.at = next.ok_or(Errno::ENOENT)?;
            self.at.inode().check_directory()?;
        }
    }

    /// Takes the next name off the path: the name, whether it is the last one,
    /// and whether a slash follows it.
    fn next_name(&mut self) -> Option<(Vec<u8>, bool, bool)> {
        let begin = self.rest.iter().position(|byte| *byte != b'/')?;
        let tail = &self.rest[begin..];
        let length = tail.iter().position(|byte| *byte == b'/');
        let name = tail[..length.unwrap_or(tail.len())].to_vec();
        let slash = length.is_some();
        let behind = &tail[name.len()..];
        let next = behind.iter().position(|byte| *byte != b'/');
        // Without the slashes: only a path that begins with one is absolute.
        self.rest = next.map_or_else(Vec::new, |next| behind[next..].to_vec());
        Some((name, next.is_none(), slash))
    }

    /// Goes on with a link's target, and with what stood behind the link.
    /// True if the link has led to a place and not to another path.
    fn enter_link(&mut self, link: &Place, slash: bool) -> Result<bool> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP);
        }
        let target = match link.inode().kind() {
            Kind::Symlink(target) => target.to_vec(),
            Kind::Magic(link) => match link.follow()? {
                Jump::Text(target) => target,
                Jump::Place(place) => {
                    self.at = place;
                    return Ok(true);
                }
                Jump::File(file) => {
                    self.at = file.place().clone();
                    self.opened_as = file.origin().cloned();
                    return Ok(true);
                }
            },
            _ => return Err(Errno::EINVAL),
        };
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        let mut rest = target;
        if slash {
            rest.push(b'/');
        }
        rest.extend_from_slice(&self.rest);
        self.rest = rest;
        Ok(false)
    }

    fn ended_here(&self, slash: bool) -> Found {
        Found {
            parent: self.at.clone(),
            name: Vec::new(),
            place: Some(self.at.clone()),
            slash,
            opened_as: self.opened_as.clone(),
        }
    }
}
