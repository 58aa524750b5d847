//! What is told of many messages: how many a second, and how long each took.

use core::fmt;
use core::time::Duration;

/// Buckets for each power of two of microseconds.
const STEPS: usize = 32;

/// How long messages took, counted in buckets that are 3 % wide.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; 64 * STEPS], count: 0, longest: Duration::ZERO }
    }
}

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.longest = self.longest.max(latency);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// The time that so many of a hundred messages did not exceed.
    fn percentile(&self, percent: u64) -> Duration {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper_end(index)).min(self.longest);
            }
        }
        self.longest
    }
}

fn bucket(micros: u64) -> usize {
    let steps = STEPS as u64;
    if micros < steps {
        return usize::try_from(micros).unwrap_or_default();
    }
    // The highest five bits behind the first.
    let power = micros.ilog2() - steps.ilog2();
    let step = (micros >> power) - steps;
    (power as usize + 1) * STEPS + usize::try_from(step).unwrap_or_default()
}

/// The longest time that falls into a bucket, in microseconds.
fn upper_end(index: usize) -> u64 {
    let (group, step) = (index / STEPS, (index % STEPS) as u64);
    match group {
        0 => step,
        _ => ((STEPS as u64 + step) << (group - 1)) + ((1 << (group - 1)) - 1),
    }
}

/// A run that is over.
pub(crate) struct Report<'a> {
    pub(crate) connections: u32,
    pub(crate) elapsed: Duration,
    pub(crate) message_size: u64,
    pub(crate) accepted: u64,
    /// Refused for at least one recipient.
    pub(crate) refused: u64,
    /// Not sent, or not answered.
    pub(crate) failed: u64,
    pub(crate) latencies: &'a Latencies,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, elapsed, accepted, refused, failed, .. } = self;
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let per_second = *accepted as f64 / seconds;
        let rate = per_second * self.message_size as f64 / f64::from(1u32 << 20);
        writeln!(f, "accepted {accepted}, refused {refused}, failed {failed}")?;
        writeln!(
            f,
            "{seconds:.2} s over {connections} connections: {per_second:.0} messages/s, {rate:.1} MiB/s"
        )?;
        if self.latencies.count == 0 {
            return Ok(());
        }
        f.write_str("latency")?;
        for percent in [50, 90, 99] {
            write!(f, " p{percent} {},", shown(self.latencies.percentile(percent)))?;
        }
        writeln!(f, " max {}", shown(self.latencies.longest))
    }
}

fn shown(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_falls_into_a_bucket_that_ends_just_above_it() {
        let mut last = 0;
        for micros in (0..5000).chain([1 << 20, (1 << 40) + 12345, u64::MAX]) {
            let index = bucket(micros);
            assert!(index >= last, "in order: {micros}");
            last = index;
            let end = upper_end(index);
            assert!(end >= micros && end - micros <= micros / STEPS as u64, "{micros} {end}");
        }
    }

    #[test]
    fn percentiles_are_told_within_a_bucket() {
        let mut latencies = Latencies::default();
        for millis in 1..=100 {
            latencies.add(Duration::from_millis(millis));
        }
        for (percent, millis) in [(50, 50), (90, 90), (99, 99), (100, 100)] {
            let found = latencies.percentile(percent).as_micros();
            assert!((millis * 1000..=millis * 1035).contains(&found), "{percent} {found}");
        }
        let mut both = latencies.clone();
        both.merge(&latencies);
        assert_eq!((both.count, both.percentile(50)), (200, latencies.percentile(50)));
    }

    #[test]
    fn a_report_says_how_many_a_second() {
        let mut latencies = Latencies::default();
        latencies.add(Duration::from_micros(1500));
        let report = Report {
            connections: 2,
            elapsed: Duration::from_secs(2),
            message_size: 1 << 20,
            accepted: 10,
            refused: 1,
            failed: 2,
            latencies: &latencies,
        };
        assert_eq!(
            report.to_string(),
            "accepted 10, refused 1, failed 2\n2.00 s over 2 connections: 5 messages/s, 5.0 MiB/s\n\
             latency p50 1.50 ms, p90 1.50 ms, p99 1.50 ms, max 1.50 ms\n"
        );
    }
}
