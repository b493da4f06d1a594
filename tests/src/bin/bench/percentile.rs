//! Percentiles of what was measured.

use anyhow::{Context, Result};

/// The value below which 99 of 100 of these are.
pub fn percentile_99(mut all: Vec<f64>) -> Result<f64> {
    all.sort_by(f64::total_cmp);
    let index = (all.len() * 99).div_ceil(100).saturating_sub(1);
    all.get(index).copied().context("nothing was measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_what_99_of_100_do_not_pass() {
        assert_eq!(percentile_99((1..=100).map(f64::from).collect()).unwrap(), 99.0);
        assert_eq!(percentile_99(vec![2.0, 1.0]).unwrap(), 2.0);
        assert!(percentile_99(Vec::new()).is_err());
    }
}
