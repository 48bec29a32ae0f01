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

#[cfg(test)]
mod tests {
    use super::memory;

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
}
