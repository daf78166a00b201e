//! For how long something is kept, as the configuration says it: `90 days`, `12h`, `forever`.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::Deserialize;

/// For how long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Keep(Option<SignedDuration>);

impl Keep {
    /// For how long; `None`: for ever.
    #[must_use]
    pub const fn duration(self) -> Option<SignedDuration> {
        self.0
    }
}

impl Default for Keep {
    /// A quarter of a year: long enough to look up what happened, and no table grows for ever.
    fn default() -> Self {
        Self(Some(SignedDuration::from_hours(90 * 24)))
    }
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim() == "forever" {
            return Ok(Self(None));
        }
        let refused = |why: String| {
            format!("`{text}` is no duration ({why}); write `90 days`, `12h` or `forever`")
        };
        // A day has 24 hours here. Months differ, and are refused.
        let span: Span =
            text.trim().parse().map_err(|error: jiff::Error| refused(error.to_string()))?;
        let days = SpanRelativeTo::days_are_24_hours();
        let duration = span.to_duration(days).map_err(|error| refused(error.to_string()))?;
        match duration.is_positive() {
            true => Ok(Self(Some(duration))),
            false => Err(refused("it must be longer than nothing".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_days_and_less() {
        let keep = |text: &str| Keep::try_from(text.to_owned());
        let hours = |hours| Ok(Keep(Some(SignedDuration::from_hours(hours))));
        assert_eq!(keep("forever"), Ok(Keep(None)));
        for (text, n) in [("90 days", 2160), ("12h", 12), ("1d 6h", 30), ("P2D", 48)] {
            assert_eq!(keep(text), hours(n), "{text}");
        }
        for text in ["", "90", "0d", "-1d", "3 months", "soon"] {
            let error = keep(text).unwrap_err();
            assert!(error.contains("is no duration"), "{error}");
        }
    }
}
