//! Says what a few values of the same kind come to.

use std::fmt;

/// Values of which the median, the lowest and the highest are told.
#[derive(Default)]
pub struct Spread(Vec<f64>);

impl Spread {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Pads like a string.
impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.sorted().as_slice() {
            [] => "-".to_owned(),
            [lowest, .., highest] => format!("{:.2} ({lowest:.2}-{highest:.2})", self.median()),
            [only] => format!("{only:.2}"),
        };
        out.pad(&text)
    }
}
