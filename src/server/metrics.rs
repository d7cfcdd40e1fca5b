//! Metrics: counters and histograms of fixed size, in Prometheus' text format.
//! Knows numbers and names; no value of a tag, no identity and no token ever becomes a label.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that goes up.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub(super) struct Gauge(AtomicU64);

impl Gauge {
    /// Counts one until the guard is dropped.
    pub(super) fn enter(&self) -> Entered<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(self)
    }
}

/// One thing that is there.
pub(super) struct Entered<'a>(&'a Gauge);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bounds of the buckets, in microseconds.
const BUCKETS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000, 60_000_000,
];

/// How long something took.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    fn observe(&self, elapsed: Duration) {
        let us = elapsed.as_micros() as u64;
        if let Some(bucket) = BUCKETS_US.iter().position(|bound| us <= *bound) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

/// Statuses that are told apart; others count by their hundreds.
const STATUSES: [u16; 16] = [200, 400, 401, 403, 404, 405, 406, 408, 409, 413, 422, 429, 499, 500, 503, 504];

/// What is counted of one route.
#[derive(Debug, Default)]
pub(super) struct RouteMetrics {
    statuses: [Counter; STATUSES.len()],
    others: [Counter; 6],
    elapsed: Histogram,
}

impl RouteMetrics {
    /// Counts a request and its time until the answer began.
    pub(super) fn observe(&self, status: u16, elapsed: Duration) {
        match STATUSES.iter().position(|known| *known == status) {
            Some(at) => self.statuses[at].add(1),
            None => self.others[usize::from(status / 100).min(5)].add(1),
        }
        self.elapsed.observe(elapsed);
    }

    fn by_status(&self) -> impl Iterator<Item = (String, u64)> {
        let known = STATUSES.iter().zip(&self.statuses).map(|(status, n)| (status.to_string(), n.get()));
        let others = self.others.iter().enumerate().map(|(hundred, n)| (format!("{hundred}xx"), n.get()));
        known.chain(others).filter(|(_, n)| *n > 0)
    }
}

/// What is counted of the whole server.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub(super) connections: Gauge,
    pub(super) connections_refused: Counter,
    pub(super) connections_cut: Counter,
    pub(super) in_flight: Gauge,
    pub(super) rejected: Counter,
    pub(super) panics: Counter,
    /// Of requests that fit no route.
    pub(super) unknown: RouteMetrics,
}

/// Metrics as text, family by family.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample; `labels` as they stand between the braces.
    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
        let _ = writeln!(self.0, "{name}{open}{labels}{close} {value}");
    }

    /// A family of one sample.
    pub(super) fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    /// What the server counts of itself.
    pub(super) fn server(&mut self, metrics: &Metrics) {
        let gauge = |gauge: &Gauge| gauge.0.load(Ordering::Relaxed);
        self.single("headcount_connections", "gauge", "Connections that are open.", gauge(&metrics.connections));
        self.single("headcount_requests_in_flight", "gauge", "Requests under way.", gauge(&metrics.in_flight));
        for (name, help, counter) in [
            ("headcount_connections_refused_total", "Connections beyond the limit.", &metrics.connections_refused),
            ("headcount_connections_cut_total", "Connections that were too slow.", &metrics.connections_cut),
            ("headcount_rejected_total", "Requests refused for load.", &metrics.rejected),
            ("headcount_panics_total", "Requests that the server failed at.", &metrics.panics),
        ] {
            self.single(name, "counter", help, counter.get());
        }
    }

    /// Requests by route and status, and how long they took.
    pub(super) fn routes<'m>(&mut self, routes: impl Iterator<Item = (String, &'m RouteMetrics)> + Clone) {
        self.family("headcount_requests_total", "counter", "Requests by route and status.");
        for (route, metrics) in routes.clone() {
            for (status, n) in metrics.by_status() {
                self.sample("headcount_requests_total", &format!("{route},status=\"{status}\""), n);
            }
        }
        let name = "headcount_request_seconds";
        self.family(name, "histogram", "Time until the answer begins, by route.");
        for (route, metrics) in routes {
            let elapsed = &metrics.elapsed;
            let count = elapsed.count.load(Ordering::Relaxed);
            if count == 0 {
                continue;
            }
            let mut below = 0;
            for (bucket, bound) in elapsed.buckets.iter().zip(BUCKETS_US) {
                below += bucket.load(Ordering::Relaxed);
                self.sample(&format!("{name}_bucket"), &format!("{route},le=\"{}\"", bound as f64 / 1e6), below);
            }
            self.sample(&format!("{name}_bucket"), &format!("{route},le=\"+Inf\""), count);
            self.sample(&format!("{name}_sum"), &route, elapsed.sum_us.load(Ordering::Relaxed) as f64 / 1e6);
            self.sample(&format!("{name}_count"), &route, count);
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_fall_into_buckets() {
        let route = RouteMetrics::default();
        route.observe(200, Duration::from_micros(90));
        route.observe(200, Duration::from_millis(3));
        route.observe(418, Duration::from_secs(100));
        let mut page = Page::default();
        page.routes([("route=\"/x\"".to_string(), &route)].into_iter());
        let text = String::from_utf8(page.into_bytes()).unwrap();
        for line in [
            "headcount_requests_total{route=\"/x\",status=\"200\"} 2",
            "headcount_requests_total{route=\"/x\",status=\"4xx\"} 1",
            "headcount_request_seconds_bucket{route=\"/x\",le=\"0.0001\"} 1",
            "headcount_request_seconds_bucket{route=\"/x\",le=\"60\"} 2",
            "headcount_request_seconds_bucket{route=\"/x\",le=\"+Inf\"} 3",
            "headcount_request_seconds_count{route=\"/x\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
