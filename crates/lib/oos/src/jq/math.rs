//! Operators on values.

use std::cmp::Ordering;
use std::sync::Arc;

use super::meter::{Meter, R, Stop};
use super::term::{Compare, Math};
use super::value::{List, Map, SLOT, Val};

pub(super) fn compare(meter: &mut Meter, op: Compare, l: &Val, r: &Val) -> R<bool> {
    // What is no number equals nothing, and is less than every number, itself included.
    if let (Val::Float(l), Some(_)) = (l, r.as_f64())
        && l.is_nan()
    {
        return Ok(matches!(op, Compare::Less | Compare::LessEqual | Compare::NotEqual));
    }
    let order = meter.compare(l, r)?;
    Ok(match op {
        Compare::Equal => order.is_eq(),
        Compare::NotEqual => order.is_ne(),
        Compare::Less => order.is_lt(),
        Compare::LessEqual => order.is_le(),
        Compare::Greater => order.is_gt(),
        Compare::GreaterEqual => order.is_ge(),
    })
}

pub(super) fn negate(meter: &mut Meter, val: Val) -> R<Val> {
    match val {
        Val::Int(i) => Ok(Val::int(-i)),
        Val::Float(f) => Ok(Val::number(-f)),
        val => Err(Stop::error(format!("{} cannot be negated", val.described(meter)?))),
    }
}

pub(super) fn math(meter: &mut Meter, op: Math, l: Val, r: Val) -> R<Val> {
    match op {
        Math::Add => add(meter, l, r),
        Math::Subtract => subtract(meter, l, r),
        Math::Multiply => multiply(meter, l, r),
        Math::Divide => divide(meter, l, r),
        Math::Remainder => remainder(meter, l, r),
    }
}

fn cannot(meter: &mut Meter, l: &Val, r: &Val, verb: &str) -> R<Val> {
    let (l, r) = (l.described(meter)?, r.described(meter)?);
    Err(Stop::error(format!("{l} and {r} cannot be {verb}")))
}

fn add(meter: &mut Meter, l: Val, r: Val) -> R<Val> {
    match (l, r) {
        (Val::Null, x) | (x, Val::Null) => Ok(x),
        (Val::Int(l), Val::Int(r)) => Ok(Val::int(l + r)),
        (Val::Str(l), Val::Str(r)) => {
            meter.alloc(l.len() + r.len() + SLOT)?;
            Ok(Val::Str([&*l, &*r].concat().into()))
        }
        (Val::Arr(mut l), Val::Arr(r)) => {
            meter.alloc(r.items.len().saturating_mul(SLOT))?;
            meter.tick(r.items.len() as u64 / 8)?;
            let deepest = r.items.iter().map(Val::depth).max().unwrap_or(0);
            List::change(meter, &mut l, deepest)?.extend(r.items.iter().cloned());
            Ok(Val::Arr(l))
        }
        (Val::Obj(mut l), Val::Obj(r)) => {
            meter.alloc(r.entries.len().saturating_mul(2 * SLOT))?;
            meter.tick(r.entries.len() as u64 / 4)?;
            let deepest = r.entries.values().map(Val::depth).max().unwrap_or(0);
            let entries = Map::change(meter, &mut l, deepest)?;
            entries.extend(r.entries.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
            Ok(Val::Obj(l))
        }
        (l, r) => match (l.as_f64(), r.as_f64()) {
            (Some(l), Some(r)) => Ok(Val::number(l + r)),
            _ => cannot(meter, &l, &r, "added"),
        },
    }
}

fn subtract(meter: &mut Meter, l: Val, r: Val) -> R<Val> {
    match (&l, &r) {
        (Val::Int(l), Val::Int(r)) => Ok(Val::int(l - r)),
        (Val::Arr(l), Val::Arr(r)) => {
            let mut kept = Vec::new();
            for item in &l.items {
                let mut found = false;
                for other in &r.items {
                    meter.tick(1)?;
                    if meter.compare(item, other)?.is_eq() {
                        found = true;
                        break;
                    }
                }
                if !found {
                    kept.push(item.clone());
                }
            }
            meter.list(kept)
        }
        _ => match (l.as_f64(), r.as_f64()) {
            (Some(l), Some(r)) => Ok(Val::number(l - r)),
            _ => cannot(meter, &l, &r, "subtracted"),
        },
    }
}

fn multiply(meter: &mut Meter, l: Val, r: Val) -> R<Val> {
    match (l, r) {
        (Val::Int(l), Val::Int(r)) => {
            Ok(l.checked_mul(r).map_or(Val::Float(l as f64 * r as f64), Val::int))
        }
        (Val::Str(text), n @ (Val::Int(_) | Val::Float(_)))
        | (n @ (Val::Int(_) | Val::Float(_)), Val::Str(text)) => {
            repeat(meter, &text, n.as_f64().unwrap_or(0.0))
        }
        (Val::Obj(l), Val::Obj(r)) => merge(meter, l, &r),
        (l, r) => match (l.as_f64(), r.as_f64()) {
            (Some(l), Some(r)) => Ok(Val::number(l * r)),
            _ => cannot(meter, &l, &r, "multiplied"),
        },
    }
}

/// A text several times: null for no times, and what is begun is a whole one.
fn repeat(meter: &mut Meter, text: &str, times: f64) -> R<Val> {
    if times.is_nan() || times <= 0.0 {
        return Ok(Val::Null);
    }
    let times = (times as usize).max(1);
    meter.alloc(text.len().saturating_mul(times).saturating_add(SLOT))?;
    Ok(Val::Str(text.repeat(times).into()))
}

/// Objects within objects are merged too. As deep as values are, which is bounded.
fn merge(meter: &mut Meter, mut l: Arc<Map>, r: &Map) -> R<Val> {
    for (key, new) in &r.entries {
        meter.tick(1)?;
        let new = match (l.entries.get(key), new) {
            (Some(Val::Obj(old)), Val::Obj(new)) => merge(meter, Arc::clone(old), new)?,
            _ => new.clone(),
        };
        meter.alloc(2 * SLOT)?;
        Map::change(meter, &mut l, new.depth())?.insert(Arc::clone(key), new);
    }
    Ok(Val::Obj(l))
}

fn divide(meter: &mut Meter, l: Val, r: Val) -> R<Val> {
    if let (Val::Str(text), Val::Str(separator)) = (&l, &r) {
        return split(meter, text, separator);
    }
    match (l.as_f64(), r.as_f64()) {
        (Some(_), Some(0.0)) => cannot(meter, &l, &r, "divided because the divisor is zero"),
        (Some(a), Some(b)) => Ok(match (&l, &r) {
            (Val::Int(l), Val::Int(r)) if l % r == 0 => Val::int(l / r),
            _ => Val::number(a / b),
        }),
        _ => cannot(meter, &l, &r, "divided"),
    }
}

/// The parts of a text; of an empty one none, and single characters for an empty separator.
pub(super) fn split(meter: &mut Meter, text: &str, separator: &str) -> R<Val> {
    meter.tick(1 + text.len() as u64 / 16)?;
    if text.is_empty() {
        return meter.list(Vec::new());
    }
    let mut parts = Vec::new();
    if separator.is_empty() {
        let mut buffer = [0; 4];
        for c in text.chars() {
            parts.push(meter.string(c.encode_utf8(&mut buffer))?);
        }
    } else {
        for part in text.split(separator) {
            parts.push(meter.string(part)?);
        }
    }
    meter.list(parts)
}

/// Of whole numbers, with the sign of the left; floats are cut to whole ones first.
fn remainder(meter: &mut Meter, l: Val, r: Val) -> R<Val> {
    let whole = |val: &Val| match val {
        Val::Int(i) => Some(*i),
        Val::Float(f) => Some(f.clamp(i64::MIN as f64, i64::MAX as f64) as i128),
        _ => None,
    };
    let nan = |val: &Val| matches!(val, Val::Float(f) if f.is_nan());
    match (whole(&l), whole(&r)) {
        (Some(_), Some(_)) if nan(&l) || nan(&r) => Ok(Val::Float(f64::NAN)),
        (Some(_), Some(0)) => cannot(meter, &l, &r, "divided because the divisor is zero"),
        (Some(l), Some(r)) => Ok(Val::int(l % r.abs())),
        _ => cannot(meter, &l, &r, "divided"),
    }
}

/// For sorting: see [`super::eval::Eval::sort`].
pub(super) fn order_pairs(a: &(Val, Val), b: &(Val, Val)) -> Ordering {
    a.0.order(&b.0)
}
