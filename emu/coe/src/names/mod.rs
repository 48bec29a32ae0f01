//! Numbers as the words that people know them by.

pub mod clone_flags;
pub mod errors;
pub mod signals;
pub mod syscalls;
pub mod tasks;

/// The known word nearest to one that is not known, if any is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_finds_its_word_and_nonsense_does_not() {
        let known = ["machine", "program", "limits"];
        assert_eq!(nearest("machin", known), Some("machine"));
        assert_eq!(nearest("progarm", known), Some("program"));
        assert_eq!(nearest("zzzz", known), None);
    }
}
