//! How long things took: all values, so that every quantile is exact.

/// Cycles, as many as there were of a thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// In any order until it is asked about them.
    values: Vec<u64>,
}

/// What a distribution comes down to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// The smallest value.
    pub min: u64,
    /// Half of the values are not larger than this one.
    pub median: u64,
    /// 95 of 100 are not larger.
    pub p95: u64,
    /// The largest.
    pub max: u64,
}

impl Distribution {
    /// Takes in a value.
    pub fn add(&mut self, value: u64) {
        self.values.push(value);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.values.len() as u64
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.values.iter().sum()
    }

    /// The quantiles, each a value that occurred; nothing if there is none.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        let mut sorted = self.values.clone();
        sorted.sort_unstable();
        // The smallest value that so many percent do not exceed.
        let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).max(1) - 1;
        Some(Quantiles {
            min: *sorted.first()?,
            median: sorted[rank(50)],
            p95: sorted[rank(95)],
            max: *sorted.last()?,
        })
    }

    /// The values by powers of two, from the smallest class that has any to the
    /// largest: (n, how many lie from 2^n up to below 2^(n+1)). Zero counts as one.
    #[must_use]
    pub fn histogram(&self) -> Vec<(u32, u64)> {
        let class = |value: &u64| value.checked_ilog2().unwrap_or(0);
        let classes = || self.values.iter().map(class);
        let (Some(first), Some(last)) = (classes().min(), classes().max()) else {
            return Vec::new();
        };
        let mut histogram: Vec<_> = (first..=last).map(|class| (class, 0)).collect();
        for class in classes() {
            histogram[(class - first) as usize].1 += 1;
        }
        histogram
    }

    /// Takes in all values of another one.
    pub fn extend(&mut self, other: &Distribution) {
        self.values.extend(&other.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        values.into_iter().for_each(|value| distribution.add(value));
        distribution
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(of([]).quantiles(), None);
        let one = of([7]).quantiles().unwrap();
        assert_eq!((one.min, one.median, one.p95, one.max), (7, 7, 7, 7));
        let many = of((1..=100).rev()).quantiles().unwrap();
        assert_eq!(
            (many.min, many.median, many.p95, many.max),
            (1, 50, 95, 100)
        );
        let three = of([30, 10, 20]).quantiles().unwrap();
        assert_eq!((three.median, three.p95), (20, 30));
    }

    #[test]
    fn classes_are_powers_of_two_without_gaps() {
        let histogram = of([0, 1, 2, 3, 9]).histogram();
        assert_eq!(histogram, [(0, 2), (1, 2), (2, 0), (3, 1)]);
        assert_eq!(of([9]).histogram(), [(3, 1)]);
        assert!(of([]).histogram().is_empty());
    }
}
