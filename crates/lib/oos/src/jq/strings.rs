//! The functions of text.

use super::builtins::{Entry, fail};
use super::eval::Eval;
use super::format;
use super::math;
use super::meter::{R, Stop};
use super::value::{SLOT, Val};

pub(super) const NATIVES: &[Entry] = &[
    ("ascii_downcase", 0, |ev, val, _| change(ev, &val, |text| text.to_ascii_lowercase())),
    ("ascii_upcase", 0, |ev, val, _| change(ev, &val, |text| text.to_ascii_uppercase())),
    ("trim", 0, |ev, val, _| change(ev, &val, |text| text.trim().to_owned())),
    ("ltrim", 0, |ev, val, _| change(ev, &val, |text| text.trim_start().to_owned())),
    ("rtrim", 0, |ev, val, _| change(ev, &val, |text| text.trim_end().to_owned())),
    ("startswith", 1, |_, val, args| match (&val, &args[0]) {
        (Val::Str(text), Val::Str(part)) => Ok(Val::Bool(text.starts_with(&**part))),
        _ => Err(Stop::error("startswith() requires string inputs")),
    }),
    ("endswith", 1, |_, val, args| match (&val, &args[0]) {
        (Val::Str(text), Val::Str(part)) => Ok(Val::Bool(text.ends_with(&**part))),
        _ => Err(Stop::error("endswith() requires string inputs")),
    }),
    ("ltrimstr", 1, |ev, val, args| match (&val, &args[0]) {
        (Val::Str(text), Val::Str(part)) => match text.strip_prefix(&**part) {
            Some(rest) => ev.meter.string(rest),
            None => Ok(val),
        },
        _ => Ok(val),
    }),
    ("rtrimstr", 1, |ev, val, args| match (&val, &args[0]) {
        (Val::Str(text), Val::Str(part)) if !part.is_empty() => match text.strip_suffix(&**part) {
            Some(rest) => ev.meter.string(rest),
            None => Ok(val),
        },
        _ => Ok(val),
    }),
    ("split", 1, |ev, val, args| match (&val, &args[0]) {
        (Val::Str(text), Val::Str(separator)) => math::split(&mut ev.meter, text, separator),
        _ => Err(Stop::error("split input and separator must be strings")),
    }),
    ("join", 1, join),
    ("explode", 0, explode),
    ("implode", 0, implode),
    ("_cut", 1, |ev, val, args| cut(ev, &val, &args[0])),
    ("_replace", 1, |ev, val, args| replace(ev, &val, &args[0])),
];

fn change(ev: &mut Eval<'_>, val: &Val, f: fn(&str) -> String) -> R<Val> {
    match val {
        Val::Str(text) => {
            ev.meter.tick(text.len() as u64 / 32)?;
            ev.meter.alloc(text.len() + SLOT)?;
            Ok(Val::Str(f(text).into()))
        }
        val => fail(ev, val, "is not a string"),
    }
}

/// Null counts as nothing, numbers and booleans as their JSON.
fn join(ev: &mut Eval<'_>, val: Val, args: &[Val]) -> R<Val> {
    let items = ev.list_of(&val)?;
    let separator = match &args[0] {
        Val::Str(separator) => separator,
        other if items.len() > 1 => return fail(ev, other, "cannot join strings"),
        _ => "",
    };
    let mut joined = String::new();
    for (i, item) in items.iter().enumerate() {
        ev.meter.tick(1)?;
        if i > 0 {
            ev.meter.alloc(separator.len())?;
            joined.push_str(separator);
        }
        match item {
            Val::Null => {}
            Val::Arr(_) | Val::Obj(_) => {
                let what = item.described(&mut ev.meter)?;
                return Err(Stop::error(format!("string and {what} cannot be added")));
            }
            item => joined.push_str(&format::text(&mut ev.meter, item)?),
        }
    }
    ev.meter.string(&joined)
}

fn explode(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let Val::Str(text) = &val else { return fail(ev, &val, "cannot be exploded") };
    ev.meter.tick(text.len() as u64 / 8)?;
    ev.meter.alloc(text.len().saturating_mul(SLOT))?;
    let codes = text.chars().map(|c| Val::int(i128::from(u32::from(c)))).collect();
    super::value::list(codes)
}

fn implode(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let mut text = String::new();
    for code in ev.list_of(&val)? {
        ev.meter.tick(1)?;
        let Val::Int(code) = code else {
            return Err(Stop::error("Unicode codepoint must be numeric"));
        };
        let char = u32::try_from(*code).ok().and_then(char::from_u32);
        let Some(char) = char else {
            return Err(Stop::error(format!("{code} is not a Unicode codepoint")));
        };
        ev.meter.alloc(char.len_utf8())?;
        text.push(char);
    }
    ev.meter.string(&text)
}

/// Where matches are: `[offset, length, ...]` in characters, in their order.
fn places(ev: &mut Eval<'_>, matches: &Val) -> R<Vec<(usize, usize)>> {
    let mut places = Vec::new();
    for place in ev.list_of(matches)? {
        ev.meter.alloc(SLOT)?;
        let place = ev.list_of(place)?;
        let part = |i: usize| match place.get(i) {
            Some(Val::Int(n)) => usize::try_from(*n).unwrap_or(0),
            _ => 0,
        };
        places.push((part(0), part(1)));
    }
    Ok(places)
}

/// The parts of a text between matches.
fn between<'t>(ev: &mut Eval<'_>, text: &'t str, places: &[(usize, usize)]) -> R<Vec<&'t str>> {
    ev.meter.tick(1 + (text.len() + places.len()) as u64 / 8)?;
    let (mut parts, mut rest, mut at) = (Vec::new(), text, 0);
    let byte = |text: &str, chars: usize| {
        text.char_indices().nth(chars).map_or(text.len(), |(byte, _)| byte)
    };
    for (offset, length) in places {
        let (part, after) = rest.split_at(byte(rest, offset.saturating_sub(at)));
        parts.push(part);
        rest = &after[byte(after, *length)..];
        at = offset + length;
    }
    parts.push(rest);
    Ok(parts)
}

/// `split` with a regular expression: the input is where the matches are.
fn cut(ev: &mut Eval<'_>, matches: &Val, text: &Val) -> R<Val> {
    let Val::Str(text) = text else { return fail(ev, text, "is not a string") };
    let places = places(ev, matches)?;
    let mut parts = Vec::new();
    for part in between(ev, text, &places)? {
        parts.push(ev.meter.string(part)?);
    }
    ev.meter.list(parts)
}

/// `sub`: the input is where the matches are and what each may become. One result for each choice.
fn replace(ev: &mut Eval<'_>, matches: &Val, text: &Val) -> R<Val> {
    let Val::Str(text) = text else { return fail(ev, text, "is not a string") };
    let places = places(ev, matches)?;
    let parts = between(ev, text, &places)?;
    let mut results = vec![parts.first().copied().unwrap_or_default().to_owned()];
    for (place, part) in ev.list_of(matches)?.iter().zip(parts.iter().skip(1)) {
        let choices = ev.list_of(place)?.get(2).cloned().unwrap_or(Val::Null);
        let choices = ev.list_of(&choices)?;
        let mut longer = Vec::new();
        for choice in choices {
            let Val::Str(choice) = choice else {
                return fail(ev, choice, "cannot be added to a string");
            };
            for result in &results {
                ev.meter.tick(1 + result.len() as u64 / 64)?;
                if choices.len() > 1 {
                    ev.meter.alloc(result.len() + SLOT)?;
                    longer.push([result, &**choice, part].concat());
                }
                ev.meter.alloc(choice.len() + part.len())?;
            }
            if choices.len() == 1 {
                longer = std::mem::take(&mut results);
                longer.iter_mut().for_each(|result| {
                    result.push_str(choice);
                    result.push_str(part);
                });
            }
        }
        results = longer;
    }
    let mut vals = Vec::new();
    for result in results {
        vals.push(ev.meter.string(&result)?);
    }
    ev.meter.list(vals)
}
