//! Random numbers that are a function of what is asked about, and draws from tables.
//! Knows no people. Only integer arithmetic and the five IEEE operations, so every machine draws alike.

/// Numbers of one stream: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of a seed, a profile and a purpose.
    pub(super) fn new(seed: u64, profile: u32, purpose: u32) -> Self {
        let place = u64::from(purpose) << 32 | u64::from(profile);
        Random(mix(mix(seed.wrapping_add(GOLDEN)) ^ mix(place.wrapping_mul(GOLDEN).wrapping_add(1))))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A whole number below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(end)) >> 32) as u32
    }

    /// A number from 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True in `share` of all cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// A number of about the normal distribution: the sum of eight even ones, so never beyond ±4.9.
    pub(super) fn normal(&mut self) -> f64 {
        let (a, b) = (self.bits(), self.bits());
        let sum: u64 = (0..4).map(|at| (a >> (16 * at) & 0xffff) + (b >> (16 * at) & 0xffff)).sum();
        const DEVIATION: f64 = 0.816_496_580_927_726;
        ((sum as f64 + 4.0) / 65_536.0 - 4.0) / DEVIATION
    }
}

/// Draws a place by weights in constant time (Vose: "A linear algorithm for generating random numbers with a given
/// distribution", 1991).
#[derive(Debug, Clone)]
pub(super) struct Weighted {
    /// For each place the 32-bit limit under which it is drawn itself, else its alias.
    places: Vec<(u32, u32)>,
}

impl Weighted {
    pub(super) fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let mut scaled: Vec<f64> = weights.iter().map(|w| w / total * weights.len() as f64).collect();
        let mut places: Vec<(u32, u32)> = (0..weights.len() as u32).map(|at| (u32::MAX, at)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|at| scaled[*at] < 1.0);
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            places[less] = ((scaled[less] * 4_294_967_296.0) as u32, more as u32);
            scaled[more] -= 1.0 - scaled[less];
            if scaled[more] < 1.0 {
                small.extend(large.pop());
            }
        }
        Weighted { places }
    }

    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        let bits = random.bits();
        let at = ((bits >> 32) * self.places.len() as u64) >> 32;
        let (limit, alias) = self.places[at as usize];
        if (bits as u32) < limit { at as u32 } else { alias }
    }
}

/// e to the power of `x`, the same on every machine; to about 14 digits.
pub(super) fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let power = (x * std::f64::consts::LOG2_E).round();
    let rest = x - power * std::f64::consts::LN_2;
    let mut sum = 1.0;
    for term in (1..=13).rev() {
        sum = 1.0 + rest / f64::from(term) * sum;
    }
    sum * f64::from_bits(((power as i64 + 1023) as u64) << 52)
}

/// The natural logarithm of a number from 1 on, the same on every machine.
pub(super) fn ln(x: f64) -> f64 {
    let (mut x, mut halvings) = (x, 0.0);
    while x > 1.5 {
        x /= 2.0;
        halvings += 1.0;
    }
    let y = (x - 1.0) / (x + 1.0);
    let series: f64 = (0..30).rev().fold(0.0, |sum, at| sum * y * y + 1.0 / f64::from(2 * at + 1));
    halvings * std::f64::consts::LN_2 + 2.0 * y * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_met() {
        let table = Weighted::new(&[5.0, 0.0, 3.0, 2.0]);
        let mut random = Random::new(1, 2, 3);
        let mut counts = [0u32; 4];
        (0..100_000).for_each(|_| counts[table.draw(&mut random) as usize] += 1);
        for (count, expected) in counts.into_iter().zip([50_000u32, 0, 30_000, 20_000]) {
            assert!(count.abs_diff(expected) < 700, "{counts:?}");
        }
    }

    #[test]
    fn own_functions_agree_with_the_library() {
        for x in [-20.0, -1.0, -0.3, 0.0, 0.5, 1.0, 7.7, 30.0] {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 1e-13, "{x}");
        }
        for x in [1.0, 1.2, 2.0, 3.7, 340.0, 1e9] {
            assert!((ln(x) - f64::ln(x)).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_deviation_one() {
        let mut random = Random::new(7, 0, 0);
        let draws: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|d| d * d).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }
}
