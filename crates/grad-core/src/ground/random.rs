//! A small generator of numbers that look random and are the same every time.

/// The generator splitmix64: one seed, one sequence, on every machine.
///
/// Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    /// What comes first.
    choices: std::vec::IntoIter<u64>,
}

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Random { state: seed, choices: Vec::new().into_iter() }
    }

    /// The sequence that begins with `choices`, so that a generator that shrinks can make them; and
    /// goes on as that of seed 0.
    pub fn beginning_with(choices: Vec<u64>) -> Self {
        Random { state: 0, choices: choices.into_iter() }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        if let Some(bits) = self.choices.next() {
            return bits;
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `n`; 0 if there is none.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 11).checked_rem(n as u64).unwrap_or(0) as usize
    }

    /// One of `choices`, which are not empty.
    pub fn choose<X: Clone>(&mut self, choices: &[X]) -> X {
        choices[self.below(choices.len())].clone()
    }

    /// A number in [−1, 1).
    pub fn signed_unit(&mut self) -> f64 {
        // 2⁻⁵²: 53 random bits as a number in [0, 2).
        (self.bits() >> 11) as f64 * f64::EPSILON - 1.0
    }

    /// `n` numbers in [−1, 1).
    pub fn signed_units(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.signed_unit()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn signed_units_fill_the_interval() {
        let mut units = Random::new(7).signed_units(1000);
        units.sort_by(f64::total_cmp);
        assert!(units[0] >= -1.0 && units[0] < -0.99);
        assert!(units[999] < 1.0 && units[999] > 0.99);
    }

    #[test]
    fn below_nothing_is_zero() {
        assert_eq!(Random::new(7).below(0), 0);
    }
}
