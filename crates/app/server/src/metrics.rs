//! Counters and histograms, in the text format of Prometheus.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Bounds in seconds: from what a list takes to what a client gives up at.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    /// A known action, or `-`: foreign text would make as many series as its sender likes.
    action: String,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Action {
    action: String,
}

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Action, Histogram>,
    /// Tasks that have not ended.
    pub(crate) tasks: Gauge<i64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::<Request, Counter>::default();
        let seconds = Family::<Action, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let tasks = Gauge::default();
        let mut registry = Registry::with_prefix("kiln");
        registry.register("requests", "Requests by action and code", requests.clone());
        registry.register("request_seconds", "Time to answer by action", seconds.clone());
        registry.register("unfinished_tasks", "Tasks that have not ended", tasks.clone());
        Self { registry, requests, seconds, tasks }
    }
}

impl Metrics {
    /// Count a request of a known action (or `-`), with the code that it was answered with.
    pub(crate) fn request(&self, action: &str, code: &str, elapsed: Duration) {
        let labels = Request { action: action.to_owned(), code: code.to_owned() };
        self.requests.get_or_create(&labels).inc();
        let action = Action { action: action.to_owned() };
        self.seconds.get_or_create(&action).observe(elapsed.as_secs_f64());
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_action_and_code() {
        let metrics = Metrics::default();
        metrics.request("DescribeImages", "OK", Duration::from_millis(3));
        metrics.request("DescribeImages", "OK", Duration::from_millis(3));
        let text = metrics.text();
        let line = "kiln_requests_total{action=\"DescribeImages\",code=\"OK\"} 2";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("kiln_request_seconds_bucket{le=\"0.005\",action=\"DescribeImages\"} 2")
        );
    }
}
