//! Time as numbers and text, in UTC. What asks the clock is not here, or anywhere.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::builtins::{Entry, fail, number};
use super::eval::Eval;
use super::meter::{R, Stop};
use super::value::{SLOT, Val};

/// The longest format. A directive may ask for padding, which is bounded by what it writes.
const MAX_FORMAT: usize = 1024;

pub(super) const NATIVES: &[Entry] = &[
    ("gmtime", 0, |ev, val, _| {
        let time = number(ev, &val)?;
        let zoned = from_seconds(time)?;
        broken(ev, &zoned, time)
    }),
    ("mktime", 0, |ev, val, _| match &val {
        Val::Arr(_) => Ok(Val::int(i128::from(from_broken(ev, &val)?.timestamp().as_second()))),
        val => fail(ev, val, "mktime requires array of 6 numbers"),
    }),
    ("strftime", 1, |ev, val, args| format(ev, &val, &args[0])),
    ("strptime", 1, |ev, val, args| parse(ev, &val, &args[0])),
];

fn from_seconds(time: f64) -> R<Zoned> {
    let out_of_range = || Stop::error("time is out of range");
    let whole = SignedDuration::try_from_secs_f64(time).map_err(|_| out_of_range())?;
    let time = Timestamp::from_duration(whole).map_err(|_| out_of_range())?;
    Ok(time.to_zoned(TimeZone::UTC))
}

/// `[year, month from 0, day, hours, minutes, seconds, weekday from Sunday, day of year from 0]`.
fn broken(ev: &mut Eval<'_>, zoned: &Zoned, time: f64) -> R<Val> {
    let fraction = time - time.floor();
    let mut parts = [
        zoned.year().into(),
        i128::from(zoned.month()) - 1,
        zoned.day().into(),
        zoned.hour().into(),
        zoned.minute().into(),
        zoned.second().into(),
        zoned.weekday().to_sunday_zero_offset().into(),
        i128::from(zoned.day_of_year()) - 1,
    ]
    .map(Val::Int);
    if fraction > 0.0 {
        parts[5] = Val::number(f64::from(zoned.second()) + fraction);
    }
    ev.meter.list(parts.to_vec())
}

/// Of at least the first six parts; each is cut to a whole number.
fn from_broken(ev: &mut Eval<'_>, val: &Val) -> R<Zoned> {
    let mut parts = [0_i64; 6];
    let given = ev.list_of(val)?;
    if given.len() < parts.len() {
        return Err(Stop::error("mktime requires array of 6 numbers"));
    }
    for (part, val) in parts.iter_mut().zip(given) {
        let Some(number) = val.as_f64() else {
            return Err(Stop::error("mktime requires parsed datetime inputs"));
        };
        *part = number.floor() as i64;
    }
    let [year, month, day, hour, minute, second] = parts;
    let date = || -> Option<Zoned> {
        let small = |n: i64| i8::try_from(n).ok();
        let month = small(month.checked_add(1)?)?;
        let year = i16::try_from(year).ok()?;
        let (day, hour) = (small(day)?, small(hour)?);
        let date = DateTime::new(year, month, day, hour, small(minute)?, small(second)?, 0).ok()?;
        date.to_zoned(TimeZone::UTC).ok()
    };
    date().ok_or_else(|| Stop::error("invalid gmtime representation"))
}

fn format(ev: &mut Eval<'_>, val: &Val, format: &Val) -> R<Val> {
    let zoned = match val {
        Val::Int(_) | Val::Float(_) => from_seconds(val.as_f64().unwrap_or(f64::NAN))?,
        Val::Arr(_) => from_broken(ev, val)?,
        val => return fail(ev, val, "strftime/1 requires parsed datetime inputs"),
    };
    let Some(format) = format_text(format) else {
        return Err(Stop::error("strftime/1 requires a string format"));
    };
    ev.meter.tick(format.len() as u64)?;
    // Each directive writes at most 256 bytes.
    ev.meter.alloc(256 + format.len().saturating_mul(128))?;
    let text = BrokenDownTime::from(&zoned).to_string(format);
    match text {
        Ok(text) => ev.meter.string(&text),
        Err(error) => Err(Stop::error(format!("strftime/1: {error}"))),
    }
}

fn format_text(val: &Val) -> Option<&str> {
    match val {
        Val::Str(text) if text.len() <= MAX_FORMAT => Some(text),
        _ => None,
    }
}

fn parse(ev: &mut Eval<'_>, val: &Val, format: &Val) -> R<Val> {
    let Val::Str(text) = val else {
        return fail(ev, val, "strptime/1 requires string inputs and arguments");
    };
    let Some(format) = format_text(format) else {
        return Err(Stop::error("strptime/1 requires string inputs and arguments"));
    };
    ev.meter.tick((text.len() + format.len()) as u64)?;
    ev.meter.alloc(8 * SLOT)?;
    // `Z` stands for itself in jq's formats and for no offset in strptime's, and `%Z` for a name.
    let format = format.replace("%Z", "Z");
    let parsed = BrokenDownTime::parse(&format, &**text).ok().and_then(|time| {
        let date = time.to_date().ok()?;
        let time = time.to_time().unwrap_or(jiff::civil::Time::midnight());
        date.to_datetime(time).to_zoned(TimeZone::UTC).ok()
    });
    match parsed {
        Some(zoned) => broken(ev, &zoned, 0.0),
        None => {
            let what = Val::text(text).described(&mut ev.meter)?;
            Err(Stop::error(format!("date {what} does not match format \"{format}\"")))
        }
    }
}
