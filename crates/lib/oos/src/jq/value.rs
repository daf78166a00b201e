//! The values of an evaluation: shared, cheap to clone, and never deeper than [`MAX_DEPTH`].
//!
//! Numbers are exact from the smallest `i64` to the largest `u64` and floats beyond. Each array and
//! object knows how deep it is, so that building one that is too deep fails, and nothing that
//! recurses over a value (drop, comparison, text) can overflow the stack. One value may hold another
//! many times over, so what walks through values pays for each step.

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Number, Value};

use super::meter::{Meter, R, Stop};

/// How deep arrays and objects may nest.
pub(super) const MAX_DEPTH: u32 = 256;

/// What a value or the slot of one is charged with, in bytes.
pub(super) const SLOT: usize = 32;

/// A JSON value.
#[derive(Clone, Debug)]
pub(super) enum Val {
    Null,
    Bool(bool),
    /// Within `i64::MIN..=u64::MAX`.
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    Arr(Arc<List>),
    Obj(Arc<Map>),
}

/// An array and its depth: one more than that of its deepest element, or than it once was.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) items: Vec<Val>,
    depth: u32,
}

/// An object and its depth.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    pub(super) entries: IndexMap<Arc<str>, Val>,
    depth: u32,
}

pub(super) fn too_deep() -> Stop {
    Stop::exhausted(format!("a value nests more than {MAX_DEPTH} deep"))
}

impl Val {
    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::Arr(list) => list.depth,
            Self::Obj(map) => map.depth,
            _ => 0,
        }
    }

    /// The result of arithmetic: whole numbers are integers where a float holds them exactly.
    pub(super) fn number(f: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if f.fract() == 0.0 && f.abs() <= EXACT && !(f == 0.0 && f.is_sign_negative()) {
            Self::Int(f as i128)
        } else {
            Self::Float(f)
        }
    }

    /// An integer where 64 bits hold it, else the float next to it.
    pub(super) fn int(i: i128) -> Self {
        if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&i) {
            Self::Int(i)
        } else {
            Self::Float(i as f64)
        }
    }

    pub(super) fn count(n: usize) -> Self {
        Self::int(n as i128)
    }

    /// A short text of the program itself, which is not charged.
    pub(super) fn text(text: &str) -> Self {
        Self::Str(text.into())
    }

    pub(super) fn is_true(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(*i as f64),
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::Arr(_) => "array",
            Self::Obj(_) => "object",
        }
    }

    /// The place of the type in the order of values.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Int(_) | Self::Float(_) => 3,
            Self::Str(_) => 4,
            Self::Arr(_) => 5,
            Self::Obj(_) => 6,
        }
    }

    /// Type and text for a message, cut to a readable length.
    pub(super) fn described(&self, meter: &mut Meter) -> R<String> {
        const SHOWN: usize = 40;
        if matches!(self, Self::Null) {
            return Ok("null".into());
        }
        let mut text = String::new();
        self.write(meter, &mut text)?;
        if let Some((cut, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(cut);
            text.push_str("...");
        }
        Ok(format!("{} ({text})", self.type_name()))
    }

    /// Append the value as JSON without spaces.
    pub(super) fn write(&self, meter: &mut Meter, out: &mut String) -> R<()> {
        meter.tick(1)?;
        let before = out.len();
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Int(i) => out.push_str(&i.to_string()),
            Self::Float(f) => out.push_str(&float_value(*f).to_string()),
            Self::Str(s) => write_string(meter, s, out)?,
            Self::Arr(list) => {
                out.push('[');
                for (i, item) in list.items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(meter, out)?;
                }
                out.push(']');
                return meter.alloc(2 + list.items.len());
            }
            Self::Obj(map) => {
                out.push('{');
                for (i, (key, item)) in map.entries.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(meter, key, out)?;
                    out.push(':');
                    item.write(meter, out)?;
                }
                out.push('}');
                return meter.alloc(2 + 2 * map.entries.len());
            }
        }
        meter.alloc(out.len() - before)
    }

    /// What `serde_json` holds, each string and slot charged.
    pub(super) fn read(meter: &mut Meter, value: &Value) -> R<Self> {
        Self::read_at(meter, value, 0)
    }

    fn read_at(meter: &mut Meter, value: &Value, depth: u32) -> R<Self> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => read_number(n),
            Value::String(s) => meter.string(s)?,
            Value::Array(items) => {
                meter.alloc(items.len().saturating_mul(SLOT))?;
                let items = items.iter().map(|item| Self::read_at(meter, item, depth + 1));
                list(items.collect::<R<_>>()?)?
            }
            Value::Object(entries) => {
                meter.alloc(entries.len().saturating_mul(2 * SLOT))?;
                let entries = entries.iter().map(|(key, item)| {
                    meter.alloc(key.len())?;
                    Ok((Arc::from(key.as_str()), Self::read_at(meter, item, depth + 1)?))
                });
                map(entries.collect::<R<_>>()?)?
            }
        })
    }

    /// The value as `serde_json` has it, each string and slot charged: shared parts are not shared
    /// there. Infinity becomes the largest number and what is no number null, as jq prints them.
    pub(super) fn give(&self, meter: &mut Meter) -> R<Value> {
        meter.tick(1)?;
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(i) => int_value(*i),
            Self::Float(f) => float_value(*f),
            Self::Str(s) => {
                meter.alloc(s.len())?;
                Value::String(s.to_string())
            }
            Self::Arr(list) => {
                meter.alloc(list.items.len().saturating_mul(SLOT))?;
                Value::Array(list.items.iter().map(|item| item.give(meter)).collect::<R<_>>()?)
            }
            Self::Obj(map) => {
                meter.alloc(map.entries.len().saturating_mul(3 * SLOT))?;
                let entries = map.entries.iter().map(|(key, item)| {
                    meter.alloc(key.len())?;
                    Ok((key.to_string(), item.give(meter)?))
                });
                Value::Object(entries.collect::<R<_>>()?)
            }
        })
    }

    /// How many values this is made of. What is held twice counts twice.
    pub(super) fn nodes(&self, meter: &mut Meter) -> R<u64> {
        meter.tick(1)?;
        let mut sum = 1_u64;
        match self {
            Self::Str(s) => sum += (s.len() / 32) as u64,
            Self::Arr(list) => {
                for item in &list.items {
                    sum = sum.saturating_add(item.nodes(meter)?);
                }
            }
            Self::Obj(map) => {
                for item in map.entries.values() {
                    sum = sum.saturating_add(item.nodes(meter)?);
                }
            }
            _ => {}
        }
        Ok(sum)
    }

    /// The order of jq: null, false, true, numbers, strings, arrays, objects; objects by their keys
    /// first, then by their values. What is no number is below all numbers. Total, for sorting; not
    /// charged: see [`Meter::compare`].
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => order_floats(*a, *b),
            (Self::Int(a), Self::Float(b)) => order_mixed(*a, *b),
            (Self::Float(a), Self::Int(b)) => order_mixed(*b, *a).reverse(),
            (Self::Str(a), Self::Str(b)) => a.cmp(b),
            (Self::Arr(a), Self::Arr(b)) => {
                let differ = a.items.iter().zip(&b.items).map(|(a, b)| a.order(b));
                let differ = differ.into_iter().find(|order| order.is_ne());
                differ.unwrap_or_else(|| a.items.len().cmp(&b.items.len()))
            }
            (Self::Obj(a), Self::Obj(b)) => {
                let (keys_a, keys_b) = (sorted_keys(a), sorted_keys(b));
                let values = |map: &Map, keys: &[Arc<str>], i: usize| map.entries[&keys[i]].clone();
                keys_a.cmp(&keys_b).then_with(|| {
                    let orders = (0..keys_a.len())
                        .map(|i| values(a, &keys_a, i).order(&values(b, &keys_b, i)));
                    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
                })
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// The keys of an object in their order as text.
pub(super) fn sorted_keys(map: &Map) -> Vec<Arc<str>> {
    let mut keys: Vec<_> = map.entries.keys().cloned().collect();
    keys.sort_unstable();
    keys
}

fn order_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Exact: a conversion of the integer would make the order intransitive.
fn order_mixed(int: i128, float: f64) -> Ordering {
    const BEYOND: f64 = 1e30;
    if float.is_nan() || float < -BEYOND {
        Ordering::Greater
    } else if float > BEYOND {
        Ordering::Less
    } else {
        let whole = float.trunc();
        int.cmp(&(whole as i128)).then_with(|| order_floats(0.0, float - whole))
    }
}

/// An array of items that were charged already.
pub(super) fn list(items: Vec<Val>) -> R<Val> {
    let depth = items.iter().map(Val::depth).max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(Val::Arr(Arc::new(List { items, depth })))
}

/// An object of entries that were charged already.
pub(super) fn map(entries: IndexMap<Arc<str>, Val>) -> R<Val> {
    let depth = entries.values().map(Val::depth).max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(Val::Obj(Arc::new(Map { entries, depth })))
}

impl List {
    /// The items to be changed in place, copied and charged if they are shared. `deepest` is the
    /// depth of what will be put in.
    pub(super) fn change<'a>(
        meter: &mut Meter,
        list: &'a mut Arc<Self>,
        deepest: u32,
    ) -> R<&'a mut Vec<Val>> {
        if Arc::get_mut(list).is_none() {
            meter.alloc(list.items.len().saturating_mul(SLOT))?;
            meter.tick(list.items.len() as u64 / 8)?;
        }
        let list = Arc::make_mut(list);
        list.depth = list.depth.max(deepest + 1);
        if list.depth > MAX_DEPTH { Err(too_deep()) } else { Ok(&mut list.items) }
    }
}

impl Map {
    /// The entries to be changed in place, as [`List::change`].
    pub(super) fn change<'a>(
        meter: &mut Meter,
        map: &'a mut Arc<Self>,
        deepest: u32,
    ) -> R<&'a mut IndexMap<Arc<str>, Val>> {
        if Arc::get_mut(map).is_none() {
            meter.alloc(map.entries.len().saturating_mul(2 * SLOT))?;
            meter.tick(map.entries.len() as u64 / 4)?;
        }
        let map = Arc::make_mut(map);
        map.depth = map.depth.max(deepest + 1);
        if map.depth > MAX_DEPTH { Err(too_deep()) } else { Ok(&mut map.entries) }
    }
}

/// Append a string as JSON. Its text is charged by [`Val::write`] or, for a key, here.
fn write_string(meter: &mut Meter, text: &str, out: &mut String) -> R<()> {
    meter.tick(1 + text.len() as u64 / 64)?;
    meter.alloc(text.len())?;
    out.push_str(&Value::String(text.to_owned()).to_string());
    Ok(())
}

fn read_number(n: &Number) -> Val {
    if let Some(i) = n.as_i128() { Val::int(i) } else { Val::Float(n.as_f64().unwrap_or(f64::NAN)) }
}

/// A number as a script or a string writes it.
pub(super) fn parse_number(text: &str) -> Option<Val> {
    if let Ok(i) = text.parse::<i128>() {
        return Some(Val::int(i));
    }
    text.parse::<f64>().ok().map(Val::number)
}

fn int_value(i: i128) -> Value {
    match (i64::try_from(i), u64::try_from(i)) {
        (Ok(i), _) => Value::from(i),
        (_, Ok(u)) => Value::from(u),
        _ => float_value(i as f64),
    }
}

fn float_value(f: f64) -> Value {
    if f.is_nan() {
        return Value::Null;
    }
    Value::from(f.clamp(f64::MIN, f64::MAX))
}
