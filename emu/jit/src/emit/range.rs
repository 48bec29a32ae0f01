//! What is known of a number before it is computed: how large and how small it
//! may be.

/// A number that is zero, or whose magnitude lies from 2^low to 2^high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: i32,
    pub(super) high: i32,
}

/// Exponent fields of doubles that compiled code is made for: 512 of them around
/// that of one, so that a sum of products is surely a normal number, and two bits
/// tell whether a number is among them.
pub(super) const FIRST_FIELD: u64 = 767;
pub(super) const WINDOW: Range = Range {
    low: -256,
    high: 256,
};

/// The least and the greatest exponents of normal doubles.
const LEAST: i32 = -1022;
const GREATEST: i32 = 1023;

impl Range {
    /// Of an integer.
    pub(super) const fn of_integer(bits: u32) -> Range {
        Range {
            low: 0,
            high: bits as i32 - 1,
        }
    }

    /// Of a normal single.
    pub(super) const OF_SINGLE: Range = Range {
        low: -126,
        high: 128,
    };

    /// Of one of two numbers, whichever.
    pub(super) fn either(self, other: Range) -> Option<Range> {
        Some(Range {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        })
    }

    /// Of a sum or a difference: if it is not zero, it is a multiple of the last
    /// place of one of the two.
    pub(super) fn sum(self, other: Range) -> Option<Range> {
        Range {
            low: self.low.min(other.low) - 52,
            high: self.high.max(other.high) + 1,
        }
        .normal()
    }

    pub(super) fn product(self, other: Range) -> Option<Range> {
        Range {
            low: self.low + other.low,
            high: self.high + other.high,
        }
        .normal()
    }

    /// The same if all numbers in it are normal ones.
    fn normal(self) -> Option<Range> {
        (self.low >= LEAST && self.high <= GREATEST).then_some(self)
    }

    /// The exponent fields from its least number on, and beyond its greatest.
    pub(super) fn fields(self) -> (u64, u64) {
        let field = |exponent: i32| (exponent.clamp(LEAST, GREATEST + 1) + GREATEST) as u64;
        (field(self.low), field(self.high))
    }

    pub(super) const fn is_within(self, other: Range) -> bool {
        self.low >= other.low && self.high <= other.high
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, WINDOW};

    #[test]
    fn sums_of_products_are_normal() {
        let product = WINDOW.product(WINDOW).expect("a normal number");
        assert_eq!((product.low, product.high), (-512, 512));
        let sum = product.sum(product).expect("a normal number");
        assert_eq!((sum.low, sum.high), (-564, 513));
        assert_eq!(sum.product(product), None);
        assert!(sum.sum(WINDOW).is_some());
        let large = Range { low: 0, high: 1023 };
        let small = Range { low: -800, high: 0 };
        assert_eq!(
            (small.product(WINDOW), small.sum(small)),
            (None, Some(Range { low: -852, high: 1 }))
        );
        assert_eq!((large.sum(WINDOW), large.product(WINDOW)), (None, None));
    }

    /// Numbers at the edges of the window and next to them.
    fn numbers() -> Vec<f64> {
        let edges = [0x2FF0, 0x2FFF, 0x3FF0, 0x4FE0].map(|top: u64| top << 48);
        let below = (0x4FF0_u64 << 48) - 1;
        let near = edges.iter().flat_map(|bits| [*bits, bits + 1, bits + 2]);
        let all = near.chain([below, below - 1]).map(f64::from_bits);
        all.flat_map(|x| [x, -x]).collect()
    }

    fn holds(range: Range, x: f64) -> bool {
        let (low, high) = (2_f64.powi(range.low), 2_f64.powi(range.high));
        x == 0.0 || (low..=high).contains(&x.abs())
    }

    #[test]
    fn ranges_hold_what_is_computed() {
        let sum = WINDOW.sum(WINDOW).expect("a range");
        let product = WINDOW.product(WINDOW).expect("a range");
        let more = product.sum(sum).expect("a range");
        for a in numbers() {
            assert!(holds(WINDOW, a), "{a:e}");
            for b in numbers() {
                assert!(holds(sum, a + b), "{a:e} + {b:e}");
                assert!(holds(product, a * b), "{a:e} * {b:e}");
                for c in numbers() {
                    let x = a * b + (a + c);
                    assert!(holds(more, x), "{a:e} * {b:e} + ({a:e} + {c:e})");
                }
            }
        }
    }

    #[test]
    fn integers_are_within_the_window() {
        assert!(Range::of_integer(64).is_within(WINDOW));
        assert!(!WINDOW.is_within(Range::of_integer(64)));
    }
}
