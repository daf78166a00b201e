//! Times: hours added, formatted, the span between two.
//!
//! A time is ISO 8601 with `Z` or an offset, as `ACS::CurrentUTCTime` and the answers of APIs have
//! it; results are UTC to the second. None of this asks a clock.

use jiff::civil::Time;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::argument::{Call, Operand};
use super::error::FunctionError;
use crate::value::Number;

const UTC_SECONDS: &str = "%Y-%m-%dT%H:%M:%SZ";
const WANTED_TIME: &str = "a time such as 2024-07-15T16:00:00Z";

/// A format is literal text for the most part; a directive can pad to 255 characters.
const MAX_FORMAT_BYTES: usize = 1000;

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// `[time, hours]`; hours may be a fraction and negative.
pub(super) fn add_hour(call: Call<'_>) -> Result<Value, FunctionError> {
    let [time_operand, hours_operand] = call.items()?;
    let (time, hours) = (time(&time_operand)?, hours_operand.number()?);
    let seconds = match hours {
        Number::Int(hours) => hours.checked_mul(3600).and_then(|s| i64::try_from(s).ok()),
        Number::Float(hours) => Number::Float((hours * 3600.0).round())
            .whole()
            .and_then(|seconds| i64::try_from(seconds).ok()),
    };
    seconds
        .and_then(|seconds| time.checked_add(SignedDuration::from_secs(seconds)).ok())
        .filter(|time| time.to_zoned(TimeZone::UTC).year() >= 0)
        .and_then(|time| format(UTC_SECONDS, time).ok())
        .map(Value::from)
        .ok_or_else(|| call.failed(&hours_operand.place, "leads out of the years 0 to 9999"))
}

/// `[time, format]` with the letters of strftime. What no letter is, is text.
pub(super) fn format_utc_time(call: Call<'_>) -> Result<Value, FunctionError> {
    let [time_operand, format_operand] = call.items()?;
    let (time, pattern) = (time(&time_operand)?, format_operand.text()?);
    if pattern.len() > MAX_FORMAT_BYTES {
        let wanted = format!("a format of at most {MAX_FORMAT_BYTES} bytes");
        return Err(format_operand.must_be(wanted));
    }
    format(&pattern, time).map(Value::from).map_err(|_| {
        format_operand.must_be("a format of strftime such as %Y-%m-%d (a percent sign is %%)")
    })
}

fn format(pattern: &str, time: Timestamp) -> Result<String, jiff::Error> {
    strtime::format(pattern, &time.to_zoned(TimeZone::UTC))
}

/// `[start, end]`: two times of day, where an earlier end is one of the next day, or two times.
pub(super) fn duration_between(call: Call<'_>) -> Result<Value, FunctionError> {
    let [start, end] = call.items()?;
    let seconds = match (time_of_day(&start)?, time_of_day(&end)?) {
        (Some(start), Some(end)) => (end - start).rem_euclid(SECONDS_PER_DAY),
        (None, None) => time(&end)?.duration_since(time(&start)?).as_secs(),
        _ => {
            return Err(
                end.must_be("a time of day if the first is, and a time with its date if not")
            );
        }
    };
    if seconds < 0 {
        return Err(call.failed(&end.place, "is before the first"));
    }
    Ok(format!("PT{seconds}S").into())
}

fn time(operand: &Operand<'_>) -> Result<Timestamp, FunctionError> {
    let text = operand.value.as_str().ok_or_else(|| operand.must_be(WANTED_TIME))?;
    let time = text.trim().parse().map_err(|_| operand.must_be(WANTED_TIME))?;
    Ok(time)
}

/// The seconds since midnight of `HH:mm:ssZ`; `None` where the text has a date.
fn time_of_day(operand: &Operand<'_>) -> Result<Option<i64>, FunctionError> {
    const WANTED: &str = "a time of day such as 08:30:00Z, or a time with its date";
    let text = operand.value.as_str().ok_or_else(|| operand.must_be(WANTED))?.trim();
    let clock = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let time = Time::strptime("%H:%M:%S", clock).or_else(|_| Time::strptime("%H:%M", clock));
    match time {
        Ok(time) => {
            let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(i64::from);
            Ok(Some((hour * 60 + minute) * 60 + second))
        }
        Err(_) if text.contains('-') => Ok(None),
        Err(_) => Err(operand.must_be(WANTED)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Function::*, tests::check};

    #[test]
    fn add_hour() {
        for (argument, expected) in [
            (json!(["2024-02-28T23:30:00Z", 1]), "2024-02-29T00:30:00Z"),
            (json!(["2024-01-01T00:00:00Z", -1]), "2023-12-31T23:00:00Z"),
            (json!(["2024-01-01T00:00:00Z", "-720"]), "2023-12-02T00:00:00Z"),
            (json!(["2024-01-01T00:00:00Z", 1.5]), "2024-01-01T01:30:00Z"),
            (json!(["2024-01-01T08:00:00+08:00", 0]), "2024-01-01T00:00:00Z"),
            (json!(["2024-01-01T00:00:00.75Z", 0]), "2024-01-01T00:00:00Z"),
            (json!([" 2024-01-01T00:00Z ", 0]), "2024-01-01T00:00:00Z"),
        ] {
            check(AddHour, argument, Ok(json!(expected)));
        }
        let now = "2024-01-01T00:00:00Z";
        for hours in [json!(1e300), json!(i64::MAX), json!(u64::MAX), json!(-90_000_000)] {
            let error = "Fn::AddHour: the second item leads out of the years 0 to 9999";
            check(AddHour, json!([now, hours]), Err(error));
        }
        for (argument, error) in [
            (json!([now, "x"]), "the second item must be a number, and is `x`"),
            (json!([now, null]), "the second item must be a number, and is null"),
            (
                json!(["yesterday", 1]),
                "the first item must be a time such as 2024-07-15T16:00:00Z, and is `yesterday`",
            ),
            (
                json!(["2024-02-30T00:00:00Z", 1]),
                "the first item must be a time such as 2024-07-15T16:00:00Z, and is `2024-02-30T00:00:00Z`",
            ),
            (
                json!([null, 1]),
                "the first item must be a time such as 2024-07-15T16:00:00Z, and is null",
            ),
        ] {
            check(AddHour, argument, Err(&format!("Fn::AddHour: {error}")));
        }
    }

    #[test]
    fn format_utc_time() {
        for (time, format, expected) in [
            ("2024-07-05T06:07:08Z", "%Y%m%d%H%M%S", "20240705060708"),
            ("2024-07-05T06:07:08Z", "%Y-%m-%dT00:00Z", "2024-07-05T00:00Z"),
            ("2024-07-05T06:07:08.5Z", "%H:%M:%S", "06:07:08"),
            ("2024-07-05T06:07:08+08:00", "%d %H", "04 22"),
            ("2024-07-05T06:07:08Z", "日 %j 100%%", "日 187 100%"),
            ("2024-07-05T06:07:08Z", "%s %z %Z %Q", "1720159628 +0000 UTC UTC"),
            ("2024-07-05T06:07:08Z", "", ""),
        ] {
            check(FormatUTCTime, json!([time, format]), Ok(json!(expected)));
        }
        for format in ["%", "%Y-%", "%!", "%é", "%N%"] {
            let error = format!(
                "Fn::FormatUTCTime: the second item must be a format of strftime such as %Y-%m-%d \
                 (a percent sign is %%), and is `{format}`"
            );
            check(FormatUTCTime, json!(["2024-07-05T06:07:08Z", format]), Err(&error));
        }
        check(
            FormatUTCTime,
            json!(["2024-07-05T06:07:08Z", "x".repeat(1001)]),
            Err(
                "Fn::FormatUTCTime: the second item must be a format of at most 1000 bytes, and is a text of 1001 bytes",
            ),
        );
        check(
            FormatUTCTime,
            json!(["2024-07-05", "%Y"]),
            Err(
                "Fn::FormatUTCTime: the first item must be a time such as 2024-07-15T16:00:00Z, and is `2024-07-05`",
            ),
        );
    }

    #[test]
    fn duration_between() {
        for (start, end, expected) in [
            ("08:00:00Z", "20:30:15Z", "PT45015S"),
            ("20:00:00Z", "08:00:00Z", "PT43200S"),
            ("08:00:00Z", "08:00:00Z", "PT0S"),
            ("23:59:59Z", "00:00:00Z", "PT1S"),
            ("08:00", "09:00Z", "PT3600S"),
            ("2024-07-05T00:00:00Z", "2024-07-06T00:00:01Z", "PT86401S"),
            ("2024-07-05T08:00:00+08:00", "2024-07-05T00:00:00.9Z", "PT0S"),
        ] {
            check(DurationBetween, json!([start, end]), Ok(json!(expected)));
        }
        for (argument, error) in [
            (
                json!(["2024-07-05T00:00:01Z", "2024-07-05T00:00:00Z"]),
                "the second item is before the first",
            ),
            (
                json!(["08:00:00Z", "2024-07-05T00:00:00Z"]),
                "the second item must be a time of day if the first is, and a time with its date if not, and is `2024-07-05T00:00:00Z`",
            ),
            (
                json!(["25:00:00Z", "08:00:00Z"]),
                "the first item must be a time of day such as 08:30:00Z, or a time with its date, and is `25:00:00Z`",
            ),
            (
                json!(["08:00:00Z", 8]),
                "the second item must be a time of day such as 08:30:00Z, or a time with its date, and is 8",
            ),
            (
                json!(["a-b", "2024-07-05T00:00:00Z"]),
                "the first item must be a time such as 2024-07-15T16:00:00Z, and is `a-b`",
            ),
        ] {
            check(DurationBetween, argument, Err(&format!("Fn::DurationBetween: {error}")));
        }
    }
}
