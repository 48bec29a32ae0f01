//! What `functions.py` has computed.

/// One exact result, cut to 128 bits.
pub(crate) struct Reference {
    pub(crate) function: &'static str,
    /// Sign and exponent, and significand: ST1 before ST0 where there are two.
    pub(crate) operands: Vec<(u16, u64)>,
    pub(crate) sign: bool,
    pub(crate) exp: i32,
    pub(crate) sig: u128,
}

/// All lines of the file.
pub(crate) fn references() -> impl Iterator<Item = Reference> {
    include_str!("functions.txt").lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [function, operands @ .., sign, exp, sig] = &words[..] else {
            panic!("{line}");
        };
        let operand = |word: &&str| {
            (
                u16::from_str_radix(&word[..4], 16).unwrap(),
                u64::from_str_radix(&word[4..], 16).unwrap(),
            )
        };
        Reference {
            function,
            operands: operands.iter().map(operand).collect(),
            sign: *sign == "-",
            exp: exp.parse().unwrap(),
            sig: u128::from_str_radix(sig, 16).unwrap(),
        }
    })
}
