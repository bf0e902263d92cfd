//! Percentiles of latencies.

use std::time::Duration;

/// Latencies in nanoseconds.
#[derive(Default)]
pub struct Latencies(Vec<u64>);

impl Latencies {
    /// Remembers one.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(latency.as_nanos() as u64);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The members of a JSON object: median, 99th percentile and maximum in microseconds.
    pub fn json(&mut self) -> String {
        self.0.sort_unstable();
        let at = |share: f64| match self.0.len() {
            0 => "null".to_owned(),
            count => format!("{:.1}", self.0[((count - 1) as f64 * share).round() as usize] as f64 / 1000.0),
        };
        format!("\"p50_us\": {}, \"p99_us\": {}, \"max_us\": {}", at(0.5), at(0.99), at(1.0))
    }
}
