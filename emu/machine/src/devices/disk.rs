//! What is on a disk: bytes in pages, of which only those with something
//! other than zeros take memory, and which copies of a machine share.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// The most pages of a disk: 1 GiB.
pub const PAGES_MAX: usize = 1 << 18;

/// One page of a disk.
pub type DiskPage = [u8; PAGE];

static ZERO: DiskPage = [0; PAGE];

/// The contents of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pages: Vec<Option<Arc<DiskPage>>>,
}

impl Contents {
    /// A disk that holds these bytes: whole pages, from one to [`PAGES_MAX`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (pages, rest) = bytes.as_chunks::<PAGE>();
        if pages.is_empty() || pages.len() > PAGES_MAX || !rest.is_empty() {
            return None;
        }
        let page = |page: &DiskPage| (page != &ZERO).then(|| Arc::new(*page));
        Some(Contents {
            pages: pages.iter().map(page).collect(),
        })
    }

    /// A disk of so many pages of zeros.
    pub(crate) fn zeroed(pages: usize) -> Self {
        Contents {
            pages: vec![None; pages],
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.pages.len() * PAGE) as u64
    }

    /// True if there is no disk at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// True if so many bytes from `at` on lie on the disk.
    pub(super) fn holds(&self, at: u64, len: u64) -> bool {
        at.checked_add(len).is_some_and(|end| end <= self.len())
    }

    /// Copies bytes out; those behind the end are left as they are.
    pub fn read(&self, at: u64, into: &mut [u8]) {
        let mut at = at as usize;
        let mut rest = into;
        while !rest.is_empty() {
            let Some(page) = self.pages.get(at / PAGE) else {
                return;
            };
            let within = at % PAGE;
            let count = (PAGE - within).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            let page = page.as_deref().unwrap_or(&ZERO);
            now.copy_from_slice(&page[within..within + count]);
            at += count;
            rest = later;
        }
    }

    /// Copies bytes in; those behind the end are dropped.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut at = at as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(page) = self.pages.get_mut(at / PAGE) else {
                return;
            };
            let within = at % PAGE;
            let (now, later) = rest.split_at((PAGE - within).min(rest.len()));
            let page = Arc::make_mut(page.get_or_insert_with(|| Arc::new(ZERO)));
            page[within..within + now.len()].copy_from_slice(now);
            at += now.len();
            rest = later;
        }
    }

    /// All bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.pages.len() * PAGE);
        for page in &self.pages {
            bytes.extend_from_slice(page.as_deref().unwrap_or(&ZERO));
        }
        bytes
    }

    /// The pages that hold something other than zeros, with their numbers.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u64, &DiskPage)> {
        self.pages.iter().enumerate().filter_map(|(index, page)| {
            let page = page.as_deref()?;
            (page != &ZERO).then_some((index as u64, page))
        })
    }

    /// The pages that hold something other than there, with their numbers.
    pub(crate) fn changes(&self, since: &Contents) -> Vec<(u64, &DiskPage)> {
        let pages = self.pages.iter().enumerate();
        let changes = pages.filter_map(|(index, here)| {
            let there = since.pages.get(index).unwrap_or(&None);
            let same = match (here, there) {
                (Some(here), Some(there)) => Arc::ptr_eq(here, there) || here == there,
                (here, there) => [here, there]
                    .into_iter()
                    .flatten()
                    .all(|page| **page == ZERO),
            };
            (!same).then(|| (index as u64, here.as_deref().unwrap_or(&ZERO)))
        });
        changes.collect()
    }

    /// Puts a page back by its number.
    pub(crate) fn put(&mut self, index: u64, page: &DiskPage) -> bool {
        let place = usize::try_from(index)
            .ok()
            .and_then(|at| self.pages.get_mut(at));
        place.is_some_and(|place| {
            *place = Some(Arc::from(Box::new(*page)));
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_whole_pages() {
        assert!(Contents::new(&[]).is_none());
        assert!(Contents::new(&[0; PAGE + 1]).is_none());
        assert_eq!(Contents::new(&[0; 2 * PAGE]).unwrap().len(), 8192);
    }

    #[test]
    fn what_is_written_is_read_across_pages() {
        let mut disk = Contents::zeroed(3);
        disk.write(4090, &[7; 20]);
        let mut got = [1; 24];
        disk.read(4088, &mut got);
        assert_eq!(got[..2], [0; 2]);
        assert_eq!(got[2..22], [7; 20]);
        assert_eq!(got[22..], [0; 2]);
        let indices: Vec<u64> = disk.pages().map(|(index, _)| index).collect();
        assert_eq!(indices, [0, 1]);
        assert_eq!(Contents::new(&disk.to_bytes()).unwrap(), {
            // The untouched page takes no memory in either.
            disk.clone()
        });
    }

    #[test]
    fn changes_are_what_is_different() {
        let before = Contents::new(&[[1; PAGE], [2; PAGE], [0; PAGE], [0; PAGE]].concat()).unwrap();
        let mut now = before.clone();
        let numbers = |now: &Contents, since: &Contents| -> Vec<u64> {
            let changes = now.changes(since).into_iter();
            changes.map(|(index, _)| index).collect()
        };
        assert!(numbers(&now, &before).is_empty());
        assert_eq!(numbers(&now, &Contents::default()), [0, 1]);
        now.write(0, &[1]);
        now.write(PAGE as u64, &[0; PAGE]);
        now.write(2 * PAGE as u64, &[0]);
        now.write(3 * PAGE as u64, &[5]);
        assert_eq!(numbers(&now, &before), [1, 3]);
        assert_eq!(now.changes(&before)[0].1, &ZERO);
        assert_eq!(numbers(&before, &now), [1, 3]);
    }

    #[test]
    fn copies_do_not_see_each_others_writes() {
        let mut one = Contents::new(&[1; PAGE]).unwrap();
        let other = one.clone();
        one.write(0, &[2]);
        let mut byte = [0];
        other.read(0, &mut byte);
        assert_eq!(byte, [1]);
    }
}
