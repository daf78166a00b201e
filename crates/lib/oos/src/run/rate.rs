//! How fast a loop goes, and how much of it may fail: `RateControl`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::LoopMode;
use crate::value::{kind, text};

/// The least concurrency inside of batches where none is given.
const CONCURRENCY_IN_BATCHES: u32 = 20;

/// The plan of a loop: items by batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The items.
    pub items: Vec<Value>,
    /// The batches in order; their sizes add up to the number of items.
    pub batches: Vec<Batch>,
    /// How many items may fail.
    pub max_errors: u32,
    /// When to pause between batches.
    pub pause: LoopMode,
    /// The batch that is at work, or waited before.
    pub batch: usize,
    /// The rate as it was given, for people.
    pub rate: Value,
    /// What is counted while the loop runs; counted again from the items after a restart.
    #[serde(skip)]
    pub counts: Counts,
}

/// Items that are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// How many.
    pub size: u32,
    /// How many at a time.
    pub concurrency: u32,
}

/// How far a loop is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items that were started.
    pub started: u32,
    /// Items at work.
    pub running: u32,
    /// Items that ended well.
    pub success: u32,
    /// Items that failed.
    pub failed: u32,
    /// Items that were cancelled.
    pub cancelled: u32,
    /// Items whose condition did not hold.
    pub skipped: u32,
}

impl Plan {
    /// The plan for `items` by `rate`, a map of the keys of `RateControl`, or null.
    ///
    /// # Errors
    ///
    /// What is wrong with the rate.
    pub fn new(items: Vec<Value>, rate: &Value, given: Option<LoopMode>) -> Result<Self, String> {
        let n = u32::try_from(items.len()).map_err(|_| "has too many items".to_owned())?;
        let empty = serde_json::Map::new();
        let map = match rate {
            Value::Null => &empty,
            Value::Object(map) => map,
            Value::String(text) if text.trim().is_empty() => &empty,
            other => return Err(format!("RateControl must be a map, and is {}", kind(other))),
        };
        let get = |name: &str| map.get(name).filter(|value| !value.is_null());
        let max_errors = match get("MaxErrors") {
            Some(value) => share("MaxErrors", value, n, 0)?,
            None => 0,
        };
        let mode = get("Mode").map_or_else(|| "Concurrency".to_owned(), tidy);
        let batches = match mode.as_str() {
            "Concurrency" => match get("Concurrency") {
                Some(Value::Array(sizes)) => sized(sizes, n)?,
                Some(value) => {
                    vec![Batch { size: n, concurrency: share("Concurrency", value, n, 1)? }]
                }
                None => vec![Batch { size: n, concurrency: 1 }],
            },
            "Batch" => batches(get("Batch"), get("ConcurrencyInBatches"), n)?,
            other => {
                return Err(format!("Mode must be Concurrency or Batch, and is `{other}`"));
            }
        };
        let pause = match (given, get("BatchPauseOption").map(tidy).as_deref()) {
            (Some(mode), _) => mode,
            (None, None | Some("Automatic" | "")) => LoopMode::Automatic,
            (None, Some("FirstBatchPause")) => LoopMode::FirstBatchPause,
            (None, Some("EveryBatchPause")) => LoopMode::EveryBatchPause,
            (None, Some(other)) => {
                return Err(format!(
                    "BatchPauseOption must be Automatic, FirstBatchPause or EveryBatchPause, and \
                     is `{other}`"
                ));
            }
        };
        let (batch, counts, rate) = (0, Counts::default(), rate.clone());
        Ok(Self { items, batches, max_errors, pause, batch, rate, counts })
    }

    /// How many items are in the batches up to and with the one at work.
    #[must_use]
    pub fn end_of_batch(&self) -> u32 {
        self.batches.iter().take(self.batch.saturating_add(1)).map(|batch| batch.size).sum()
    }

    /// How many may run at a time now.
    #[must_use]
    pub fn concurrency(&self) -> u32 {
        self.batches.get(self.batch).map_or(0, |batch| batch.concurrency.max(1))
    }

    /// Whether no more items are started because too many failed.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.counts.failed > self.max_errors
    }

    /// Whether to pause after the batch at work.
    #[must_use]
    pub fn pauses_now(&self) -> bool {
        match self.pause {
            LoopMode::Automatic => false,
            LoopMode::FirstBatchPause => self.batch == 0,
            LoopMode::EveryBatchPause => true,
        }
    }

    /// How many items there are.
    #[must_use]
    pub fn n_items(&self) -> u32 {
        u32::try_from(self.items.len()).unwrap_or(u32::MAX)
    }
}

/// A word as templates have it: one published template ships `"Concurrency,"`.
fn tidy(value: &Value) -> String {
    text(value).trim().trim_end_matches(',').trim_end().to_owned()
}

/// A number, or a share such as `"20%"` of `n`, rounded up.
fn share(name: &str, value: &Value, n: u32, least: u32) -> Result<u32, String> {
    let text = tidy(value);
    let refused = || format!("{name} must be a number or a share such as 20%, and is `{text}`");
    let count = match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| refused())?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(refused());
            }
            whole((percent * f64::from(n) / 100.0).ceil(), n)
        }
        None => match text.parse::<f64>() {
            Ok(count) if count >= 0.0 && count.fract() == 0.0 => whole(count, u32::MAX),
            _ => return Err(refused()),
        },
    };
    Ok(count.max(least))
}

/// A whole number, or `most` where that is less: the smallest that is not below it.
fn whole(number: f64, most: u32) -> u32 {
    let (mut least, mut most) = (0, most);
    while least < most {
        let middle = least + (most - least) / 2;
        match f64::from(middle) >= number {
            true => most = middle,
            false => least = middle + 1,
        }
    }
    least
}

/// Batches of given sizes, each taken at once. What the sizes leave over is a last batch.
fn sized(sizes: &[Value], n: u32) -> Result<Vec<Batch>, String> {
    let mut left = n;
    let mut batches = Vec::new();
    for size in sizes {
        if left == 0 {
            break;
        }
        let size = share("Concurrency", size, n, 0)?.min(left);
        if size > 0 {
            batches.push(Batch { size, concurrency: size });
            left -= size;
        }
    }
    if left > 0 {
        batches.push(Batch { size: left, concurrency: left });
    }
    Ok(batches)
}

/// Batches of mode `Batch`: the last size and the last concurrency are repeated.
fn batches(sizes: Option<&Value>, within: Option<&Value>, n: u32) -> Result<Vec<Batch>, String> {
    let list = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let sizes = sizes.map(list).filter(|sizes| !sizes.is_empty());
    let sizes = sizes.ok_or("Mode Batch needs Batch, a list of sizes")?;
    let within = within.map(list).unwrap_or_default();
    let mut left = n;
    let mut batches = Vec::new();
    while left > 0 {
        let at = batches.len();
        let Some(size) = sizes.get(at).or(sizes.last()) else { break };
        let size = share("Batch", size, n, 1)?.min(left);
        let concurrency = match within.get(at).or(within.last()) {
            Some(value) => share("ConcurrencyInBatches", value, size, 1)?,
            None => CONCURRENCY_IN_BATCHES,
        };
        batches.push(Batch { size, concurrency });
        left -= size;
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(n: usize, rate: &Value) -> Result<Vec<(u32, u32)>, String> {
        let plan = Plan::new(vec![Value::Null; n], rate, None)?;
        Ok(plan.batches.iter().map(|batch| (batch.size, batch.concurrency)).collect())
    }

    #[test]
    fn items_are_cut_into_batches() {
        for (n, rate, batches) in [
            (5, json!(null), vec![(5, 1)]),
            (5, json!({}), vec![(5, 1)]),
            (5, json!({"Concurrency": 3}), vec![(5, 3)]),
            (5, json!({"Concurrency": "20%"}), vec![(5, 1)]),
            (5, json!({"Concurrency": "21%"}), vec![(5, 2)]),
            (5, json!({"Concurrency": "0%"}), vec![(5, 1)]),
            (5, json!({"Concurrency": [3, 2]}), vec![(3, 3), (2, 2)]),
            (5, json!({"Concurrency": [3]}), vec![(3, 3), (2, 2)]),
            (5, json!({"Mode": "Concurrency,", "MaxErrors": "0,"}), vec![(5, 1)]),
            (5, json!({"Mode": "Batch", "Batch": [1, 2]}), vec![(1, 20), (2, 20), (2, 20)]),
            (
                5,
                json!({"Mode": "Batch", "Batch": [1, "50%"], "ConcurrencyInBatches": [1, 2]}),
                vec![(1, 1), (3, 2), (1, 2)],
            ),
            (0, json!({"Mode": "Batch", "Batch": [1]}), vec![]),
        ] {
            assert_eq!(plan(n, &rate).unwrap(), batches, "{rate}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_rate_is_named() {
        for (rate, message) in [
            (json!("x"), "RateControl must be a map, and is a string"),
            (json!({"Mode": "x"}), "Mode must be Concurrency or Batch, and is `x`"),
            (json!({"Mode": "Batch"}), "Mode Batch needs Batch, a list of sizes"),
            (
                json!({"Concurrency": "many"}),
                "Concurrency must be a number or a share such as 20%, and is `many`",
            ),
            (
                json!({"MaxErrors": "-1"}),
                "MaxErrors must be a number or a share such as 20%, and is `-1`",
            ),
            (
                json!({"BatchPauseOption": "x"}),
                "BatchPauseOption must be Automatic, FirstBatchPause or EveryBatchPause, and is `x`",
            ),
        ] {
            assert_eq!(plan(2, &rate).unwrap_err(), message);
        }
    }
}
