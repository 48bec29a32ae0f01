//! Long lists.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// How many stand together.
const PIECE: usize = 256;

/// A list that grows by pieces: it is megabytes, and moving it to a larger place would take twice
/// that for good, since small things then settle in the old one.
#[derive(Debug)]
pub(crate) struct Pieces<T>(Vec<Vec<T>>);

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Pieces(Vec::new())
    }
}

impl<T> Pieces<T> {
    pub(crate) fn len(&self) -> usize {
        match self.0.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < PIECE => last.push(item),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(item);
                self.0.push(piece);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T> Index<usize> for Pieces<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.0[at / PIECE][at % PIECE]
    }
}

impl<T> IndexMut<usize> for Pieces<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.0[at / PIECE][at % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_found_at_its_place() {
        let mut list = Pieces::default();
        for n in 0..3 * PIECE + 7 {
            assert_eq!(list.len(), n);
            list.push(n);
            assert_eq!((list[n], list[0], list[n / 2]), (n, 0, n / 2));
        }
        list[PIECE] = 1;
        assert_eq!((list[PIECE - 1], list[PIECE]), (PIECE - 1, 1));
        list.clear();
        assert_eq!(list.len(), 0);
    }
}
