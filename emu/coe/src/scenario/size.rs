//! Sizes of memory: `64MiB`, `1GiB`.

/// The machine's smallest and largest memory.
pub(super) const MEMORY: std::ops::RangeInclusive<u64> = 16 << 20..=16 << 30;

/// What a size has to look like.
pub(super) const EXPECTED: &str =
    "a whole number of MiB or GiB from 16MiB to 16GiB, as in \"64MiB\"";

/// Reads a size of memory.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn memory(text: &str) -> Result<u64, String> {
    let compact: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '_')
        .collect();
    let (digits, shift) = match (compact.strip_suffix("MiB"), compact.strip_suffix("GiB")) {
        (Some(digits), _) => (digits, 20),
        (_, Some(digits)) => (digits, 30),
        _ => return Err(format!("expected {EXPECTED}")),
    };
    let count: u64 = digits.parse().map_err(|_| format!("expected {EXPECTED}"))?;
    let bytes = count.saturating_mul(1 << shift);
    if bytes < *MEMORY.start() {
        return Err("too small: the kernel and its programs need at least 16MiB".to_owned());
    }
    if bytes > *MEMORY.end() {
        return Err("too large: this machine takes at most 16GiB".to_owned());
    }
    Ok(bytes)
}

/// Reads the size of a disk.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(super) fn disk(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a multiple of 4KiB up to 1GiB, as in \"64KiB\" or \"1MiB\"";
    let compact: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '_')
        .collect();
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let bytes = units.into_iter().find_map(|(unit, shift)| {
        let count: u64 = compact.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(1 << shift)
    });
    let possible = |bytes: &u64| bytes.is_multiple_of(4096) && (4096..=1 << 30).contains(bytes);
    bytes.filter(possible).ok_or_else(|| EXPECTED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{disk, memory};

    #[test]
    fn sizes_have_a_unit_and_limits() {
        assert_eq!(memory("64MiB"), Ok(64 << 20));
        assert_eq!(memory("1 GiB"), Ok(1 << 30));
        assert!(memory("8MiB").unwrap_err().contains("at least 16MiB"));
        assert!(memory("17GiB").unwrap_err().contains("at most 16GiB"));
        assert!(memory("99999999999999999999GiB").is_err());
        assert!(
            memory("18446744073709551615GiB")
                .unwrap_err()
                .contains("at most")
        );
        assert!(memory("64MB").unwrap_err().contains("expected"));
        assert!(memory("64").is_err());
    }

    #[test]
    fn disks_have_whole_pages() {
        assert_eq!(disk("8KiB"), Ok(8192));
        assert_eq!(disk("1 MiB"), Ok(1 << 20));
        for text in [
            "0KiB",
            "6KiB",
            "2GiB",
            "8192",
            "1MB",
            "99999999999999999GiB",
        ] {
            assert!(disk(text).is_err(), "{text}");
        }
    }
}
