//! The functions of values: each takes its input and its arguments and makes one value.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use serde_json::Value;

use super::eval::Eval;
use super::format;
use super::math;
use super::meter::{R, Stop};
use super::term::Native;
use super::time;
use super::value::{SLOT, Val, parse_number, sorted_keys};

/// The function of this name and number of arguments.
pub(super) fn native(name: &str, arity: usize) -> Option<Native> {
    static TABLE: LazyLock<HashMap<(&'static str, usize), Native>> = LazyLock::new(|| {
        let entries = NATIVES.iter().chain(super::strings::NATIVES).chain(time::NATIVES);
        entries.map(|(name, arity, native)| ((*name, *arity), *native)).collect()
    });
    TABLE.get(&(name, arity)).copied()
}

/// Name, number of arguments, function.
pub(super) type Entry = (&'static str, usize, Native);

const NATIVES: &[Entry] = &[
    ("true", 0, |_, _, _| Ok(Val::Bool(true))),
    ("false", 0, |_, _, _| Ok(Val::Bool(false))),
    ("null", 0, |_, _, _| Ok(Val::Null)),
    ("not", 0, |_, val, _| Ok(Val::Bool(!val.is_true()))),
    ("error", 0, |_, val, _| Err(Stop::Error(val))),
    ("type", 0, |_, val, _| Ok(Val::text(val.type_name()))),
    ("nan", 0, |_, _, _| Ok(Val::Float(f64::NAN))),
    ("infinite", 0, |_, _, _| Ok(Val::Float(f64::INFINITY))),
    ("isnan", 0, |ev, val, _| number(ev, &val).map(|f| Val::Bool(f.is_nan()))),
    ("isinfinite", 0, |ev, val, _| number(ev, &val).map(|f| Val::Bool(f.is_infinite()))),
    ("isnormal", 0, |ev, val, _| number(ev, &val).map(|f| Val::Bool(f.is_normal()))),
    ("length", 0, length),
    ("utf8bytelength", 0, |ev, val, _| match &val {
        Val::Str(text) => Ok(Val::count(text.len())),
        val => fail(ev, val, "only strings have UTF-8 byte length"),
    }),
    ("keys", 0, |ev, val, _| keys(ev, &val, true)),
    ("keys_unsorted", 0, |ev, val, _| keys(ev, &val, false)),
    ("has", 1, has),
    ("contains", 1, |ev, val, args| contains(ev, &val, &args[0]).map(Val::Bool)),
    ("add", 0, add),
    ("floor", 0, |ev, val, _| round(ev, val, f64::floor)),
    ("ceil", 0, |ev, val, _| round(ev, val, f64::ceil)),
    ("round", 0, |ev, val, _| round(ev, val, f64::round)),
    ("trunc", 0, |ev, val, _| round(ev, val, f64::trunc)),
    ("fabs", 0, |ev, val, _| unary(ev, &val, f64::abs)),
    ("sqrt", 0, |ev, val, _| unary(ev, &val, f64::sqrt)),
    ("cbrt", 0, |ev, val, _| unary(ev, &val, f64::cbrt)),
    ("log", 0, |ev, val, _| unary(ev, &val, f64::ln)),
    ("log2", 0, |ev, val, _| unary(ev, &val, f64::log2)),
    ("log10", 0, |ev, val, _| unary(ev, &val, f64::log10)),
    ("exp", 0, |ev, val, _| unary(ev, &val, f64::exp)),
    ("exp2", 0, |ev, val, _| unary(ev, &val, f64::exp2)),
    ("exp10", 0, |ev, val, _| unary(ev, &val, |f| 10_f64.powf(f))),
    ("sin", 0, |ev, val, _| unary(ev, &val, f64::sin)),
    ("cos", 0, |ev, val, _| unary(ev, &val, f64::cos)),
    ("tan", 0, |ev, val, _| unary(ev, &val, f64::tan)),
    ("pow", 2, |ev, _, args| binary(ev, args, f64::powf)),
    ("atan2", 2, |ev, _, args| binary(ev, args, f64::atan2)),
    ("fmod", 2, |ev, _, args| binary(ev, args, |a, b| a % b)),
    ("fmin", 2, |ev, _, args| binary(ev, args, f64::min)),
    ("fmax", 2, |ev, _, args| binary(ev, args, f64::max)),
    ("tojson", 0, |ev, val, _| {
        let mut text = String::new();
        val.write(&mut ev.meter, &mut text)?;
        ev.meter.string(&text)
    }),
    ("fromjson", 0, from_json),
    ("tostring", 0, |ev, val, _| match &val {
        Val::Str(_) => Ok(val),
        val => {
            let text = format::text(&mut ev.meter, val)?;
            ev.meter.string(&text)
        }
    }),
    ("tonumber", 0, to_number),
    ("to_entries", 0, to_entries),
    ("from_entries", 0, from_entries),
    ("sort", 0, |ev, val, _| {
        let mut items = sortable(ev, &val)?.to_vec();
        ev.sort(&mut items)?;
        ev.list_from(items)
    }),
    ("_sort_by", 0, |ev, val, _| {
        let mut pairs = ev.pairs_of(&val)?;
        ev.sort_pairs(&mut pairs)?;
        ev.list_from(pairs.into_iter().map(|(_, val)| val).collect())
    }),
    ("_group_by", 0, group_by),
    ("_min_by", 0, |ev, val, _| extreme(ev, &val, false)),
    ("_max_by", 0, |ev, val, _| extreme(ev, &val, true)),
    ("min", 0, |ev, val, _| plain_extreme(ev, &val, false)),
    ("max", 0, |ev, val, _| plain_extreme(ev, &val, true)),
    ("reverse", 0, reverse),
    ("flatten", 1, |ev, val, args| {
        let depth = number(ev, &args[0])?;
        if depth < 0.0 {
            return Err(Stop::error("flatten depth must not be negative"));
        }
        let mut flat = Vec::new();
        flatten(ev, &val, depth, &mut flat)?;
        ev.list_from(flat)
    }),
    ("transpose", 0, transpose),
    ("indices", 1, indices),
    ("setpath", 2, |ev, val, args| {
        let path = path_of(ev, &args[0])?;
        ev.update_path(val, &path, &mut |_, _| Ok(args[1].clone()))
    }),
    ("delpaths", 1, |ev, val, args| {
        let mut paths = Vec::new();
        for path in ev.list_of(&args[0])? {
            paths.push(path_of(ev, path)?);
        }
        ev.delete_paths(val, paths)
    }),
    ("_match", 3, |ev, val, args| ev.matches(&val, args)),
];

pub(super) fn fail(ev: &mut Eval<'_>, val: &Val, why: &str) -> R<Val> {
    let what = val.described(&mut ev.meter)?;
    Err(Stop::error(format!("{what} {why}")))
}

pub(super) fn number(ev: &mut Eval<'_>, val: &Val) -> R<f64> {
    match val.as_f64() {
        Some(f) => Ok(f),
        None => fail(ev, val, "number required").map(|_| 0.0),
    }
}

fn unary(ev: &mut Eval<'_>, val: &Val, f: fn(f64) -> f64) -> R<Val> {
    number(ev, val).map(|x| Val::number(f(x)))
}

fn binary(ev: &mut Eval<'_>, args: &[Val], f: fn(f64, f64) -> f64) -> R<Val> {
    let (a, b) = (number(ev, &args[0])?, number(ev, &args[1])?);
    Ok(Val::number(f(a, b)))
}

/// Integers stay as they are: as floats, large ones would not.
fn round(ev: &mut Eval<'_>, val: Val, f: fn(f64) -> f64) -> R<Val> {
    match val {
        Val::Int(_) => Ok(val),
        val => unary(ev, &val, f),
    }
}

fn path_of(ev: &mut Eval<'_>, val: &Val) -> R<Vec<Val>> {
    match val {
        Val::Arr(list) => {
            ev.meter.alloc(list.items.len().saturating_mul(SLOT))?;
            Ok(list.items.clone())
        }
        _ => Err(Stop::error("Path must be specified as an array")),
    }
}

fn length(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    Ok(match &val {
        Val::Null => Val::Int(0),
        Val::Bool(_) => return fail(ev, &val, "has no length"),
        Val::Int(i) => Val::int(i.abs()),
        Val::Float(f) => Val::number(f.abs()),
        Val::Str(text) => {
            ev.meter.tick(text.len() as u64 / 64)?;
            Val::count(text.chars().count())
        }
        Val::Arr(list) => Val::count(list.items.len()),
        Val::Obj(map) => Val::count(map.entries.len()),
    })
}

fn keys(ev: &mut Eval<'_>, val: &Val, sorted: bool) -> R<Val> {
    match val {
        Val::Obj(map) => {
            ev.meter.tick(map.entries.len() as u64)?;
            let keys = match sorted {
                true => sorted_keys(map),
                false => map.entries.keys().cloned().collect(),
            };
            ev.meter.list(keys.into_iter().map(Val::Str).collect())
        }
        Val::Arr(list) => ev.meter.list((0..list.items.len()).map(Val::count).collect()),
        val => fail(ev, val, "has no keys"),
    }
}

fn has(_: &mut Eval<'_>, val: Val, args: &[Val]) -> R<Val> {
    match (&val, &args[0]) {
        (Val::Obj(map), Val::Str(key)) => Ok(Val::Bool(map.entries.contains_key(key))),
        (Val::Arr(list), Val::Int(at)) => Ok(Val::Bool(*at >= 0 && *at < list.items.len() as i128)),
        (Val::Arr(list), Val::Float(at)) => {
            Ok(Val::Bool(*at >= 0.0 && *at < list.items.len() as f64))
        }
        (val, key) => {
            let (name, key) = (val.type_name(), key.type_name());
            Err(Stop::error(format!("Cannot check whether {name} has a {key} key")))
        }
    }
}

fn contains(ev: &mut Eval<'_>, val: &Val, part: &Val) -> R<bool> {
    ev.meter.tick(1)?;
    match (val, part) {
        (Val::Obj(val), Val::Obj(part)) => {
            for (key, part) in &part.entries {
                match val.entries.get(key) {
                    Some(val) if contains(ev, val, part)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Val::Arr(val), Val::Arr(part)) => {
            for part in &part.items {
                let mut found = false;
                for val in &val.items {
                    if val.type_name() == part.type_name() && contains(ev, val, part)? {
                        found = true;
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Val::Str(val), Val::Str(part)) => {
            ev.meter.tick((val.len() + part.len()) as u64 / 32)?;
            Ok(val.contains(&**part))
        }
        (val, part) if val.type_name() == part.type_name() => {
            Ok(ev.meter.compare(val, part)?.is_eq())
        }
        (val, part) => {
            let (val, part) = (val.described(&mut ev.meter)?, part.described(&mut ev.meter)?);
            let message = format!("{val} and {part} cannot have their containment checked");
            Err(Stop::error(message))
        }
    }
}

fn items(ev: &mut Eval<'_>, val: &Val) -> R<Vec<Val>> {
    match val {
        Val::Arr(list) => {
            ev.meter.alloc(list.items.len().saturating_mul(SLOT))?;
            Ok(list.items.clone())
        }
        Val::Obj(map) => {
            ev.meter.alloc(map.entries.len().saturating_mul(SLOT))?;
            Ok(map.entries.values().cloned().collect())
        }
        val => {
            let what = val.described(&mut ev.meter)?;
            Err(Stop::error(format!("Cannot iterate over {what}")))
        }
    }
}

/// Strings are joined at once: adding them one by one would copy what there is each time.
fn add(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let items = items(ev, &val)?;
    drop(val);
    if items.len() > 1 && items.iter().all(|item| matches!(item, Val::Str(_))) {
        let mut sum = String::new();
        for item in &items {
            if let Val::Str(text) = item {
                ev.meter.alloc(text.len())?;
                sum.push_str(text);
            }
        }
        return ev.meter.string(&sum);
    }
    items.into_iter().try_fold(Val::Null, |sum, item| {
        ev.meter.tick(1)?;
        math::math(&mut ev.meter, super::term::Math::Add, sum, item)
    })
}

fn from_json(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let Val::Str(text) = &val else { return fail(ev, &val, "only strings can be parsed") };
    // What serde_json makes is a few times the text, and dropped at the end of this function.
    ev.meter.tick(1 + text.len() as u64 / 4)?;
    ev.meter.alloc(text.len())?;
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Val::read(&mut ev.meter, &value),
        Err(error) => fail(ev, &val, &format!("cannot be parsed as JSON: {error}")),
    }
}

fn to_number(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    match &val {
        Val::Int(_) | Val::Float(_) => Ok(val),
        Val::Str(text) => {
            ev.meter.tick(text.len() as u64 / 16)?;
            let plain = text.starts_with(|c: char| c.is_ascii_digit() || "-.".contains(c));
            let number = plain.then(|| parse_number(text)).flatten();
            match number.filter(|_| !text.to_ascii_lowercase().contains("inf")) {
                Some(number) => Ok(number),
                None => fail(ev, &val, "cannot be parsed as a number"),
            }
        }
        val => fail(ev, val, "cannot be parsed as a number"),
    }
}

fn to_entries(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let Val::Obj(map) = &val else { return fail(ev, &val, "has no keys") };
    let mut entries = Vec::new();
    for (key, val) in &map.entries {
        let pair = [("key", Val::Str(Arc::clone(key))), ("value", val.clone())];
        entries.push(ev.meter.map(pair.map(|(k, v)| (Arc::from(k), v)).into_iter().collect())?);
    }
    ev.meter.list(entries)
}

/// The key is under `key`, `k`, `name`, `Name`, `K` or `Key`, the value under `value`, `v`, `Value`
/// or `V`.
fn from_entries(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let mut entries = IndexMap::new();
    for entry in items(ev, &val)? {
        ev.meter.tick(1)?;
        let Val::Obj(map) = &entry else {
            return Err(Stop::error(format!("Cannot index {} with \"key\"", entry.type_name())));
        };
        let get = |names: &[&str], wanted: fn(&Val) -> bool| {
            names.iter().filter_map(|name| map.entries.get(*name)).find(|v| wanted(v)).cloned()
        };
        const KEYS: &[&str] = &["key", "k", "name", "Name", "Key", "K"];
        const VALUES: &[&str] = &["value", "v", "Value", "V"];
        let key = get(KEYS, Val::is_true).or_else(|| get(KEYS, |v| !matches!(v, Val::Null)));
        let value = get(VALUES, Val::is_true).or_else(|| get(VALUES, |_| true));
        let key: Arc<str> = match key.unwrap_or(Val::Null) {
            Val::Str(key) => key,
            key @ (Val::Arr(_) | Val::Obj(_)) => {
                return fail(ev, &key, "cannot be a key of an object");
            }
            key => format::text(&mut ev.meter, &key)?.into(),
        };
        entries.insert(key, value.unwrap_or(Val::Null));
    }
    ev.meter.map(entries)
}

fn sortable<'v>(ev: &mut Eval<'_>, val: &'v Val) -> R<&'v [Val]> {
    match val {
        Val::Arr(list) => Ok(&list.items),
        val => fail(ev, val, "cannot be sorted, as it is not an array").map(|_| &[][..]),
    }
}

fn group_by(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let mut pairs = ev.pairs_of(&val)?;
    ev.sort_pairs(&mut pairs)?;
    let (mut groups, mut group, mut current) = (Vec::new(), Vec::new(), None::<Val>);
    for (key, val) in pairs {
        // Paid for with the sorting.
        if current.as_ref().is_some_and(|current| current.order(&key).is_ne()) {
            groups.push(ev.list_from(std::mem::take(&mut group))?);
        }
        current = Some(key);
        group.push(val);
    }
    if !group.is_empty() {
        groups.push(ev.list_from(group)?);
    }
    ev.list_from(groups)
}

/// The first of the smallest or the last of the largest.
fn extreme(ev: &mut Eval<'_>, val: &Val, largest: bool) -> R<Val> {
    let mut best: Option<(Val, Val)> = None;
    for (key, val) in ev.pairs_of(val)? {
        let better = match &best {
            None => true,
            Some((other, _)) => {
                let order = ev.meter.compare(&key, other)?;
                if largest { order.is_ge() } else { order.is_lt() }
            }
        };
        if better {
            best = Some((key, val));
        }
    }
    Ok(best.map_or(Val::Null, |(_, val)| val))
}

fn plain_extreme(ev: &mut Eval<'_>, val: &Val, largest: bool) -> R<Val> {
    let mut best: Option<&Val> = None;
    for val in ev.list_of(val)? {
        let better = match best {
            None => true,
            Some(other) => {
                let order = ev.meter.compare(val, other)?;
                if largest { order.is_ge() } else { order.is_lt() }
            }
        };
        if better {
            best = Some(val);
        }
    }
    Ok(best.cloned().unwrap_or(Val::Null))
}

fn reverse(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    match &val {
        Val::Null => ev.meter.list(Vec::new()),
        Val::Str(text) => {
            ev.meter.tick(text.len() as u64 / 16)?;
            ev.meter.string(&text.chars().rev().collect::<String>())
        }
        Val::Arr(list) => ev.meter.list(list.items.iter().rev().cloned().collect()),
        val => fail(ev, val, "cannot be reversed, as it is not an array"),
    }
}

/// As deep as values are, which is bounded.
fn flatten(ev: &mut Eval<'_>, val: &Val, depth: f64, flat: &mut Vec<Val>) -> R<()> {
    for item in items(ev, val)? {
        ev.meter.tick(1)?;
        match item {
            item @ Val::Arr(_) if depth > 0.0 => flatten(ev, &item, depth - 1.0, flat)?,
            item => {
                ev.meter.alloc(SLOT)?;
                flat.push(item);
            }
        }
    }
    Ok(())
}

fn transpose(ev: &mut Eval<'_>, val: Val, _: &[Val]) -> R<Val> {
    let rows = ev.list_of(&val)?;
    let mut width = 0;
    for row in rows {
        width = width.max(ev.list_of(row)?.len());
    }
    let mut columns = Vec::new();
    for at in 0..width {
        let mut column = Vec::new();
        for row in rows {
            ev.meter.tick(1)?;
            column.push(ev.list_of(row)?.get(at).cloned().unwrap_or(Val::Null));
        }
        columns.push(ev.meter.list(column)?);
    }
    ev.meter.list(columns)
}

/// Where something occurs: a text in a text, by characters; an item or a run of them in an array.
fn indices(ev: &mut Eval<'_>, val: Val, args: &[Val]) -> R<Val> {
    let found = match (&val, &args[0]) {
        (Val::Null, _) => return Ok(Val::Null),
        (Val::Str(text), Val::Str(part)) => {
            ev.meter.tick(1 + text.len() as u64)?;
            let (mut found, mut chars) = (Vec::new(), 0);
            for (at, _) in text.char_indices() {
                if !part.is_empty() && text[at..].starts_with(&**part) {
                    ev.meter.tick(1 + part.len() as u64 / 16)?;
                    ev.meter.alloc(SLOT)?;
                    found.push(Val::count(chars));
                }
                chars += 1;
            }
            found
        }
        (Val::Arr(list), Val::Arr(part)) => ev.occurrences(&list.items, &part.items)?,
        (Val::Arr(list), item) => ev.occurrences(&list.items, std::slice::from_ref(item))?,
        (val, key) => return ev.index(val, key),
    };
    ev.list_from(found)
}
