//! Plain paths (`.a.b[0]`, `.a[].b?`), which most selectors are: read in place, so that only the
//! results are copied. Agrees with the evaluator in everything but what of the budget it takes.

use serde_json::Value;

use super::meter::{Meter, R, Stop};
use super::term::Term;
use super::value::{SLOT, Val};
use super::{Budget, JqError, Outcome, too_many};

/// The longest plain path: each `[]` in it takes a level of the stack.
const MAX_STEPS: usize = 64;

/// A path as steps from the input.
#[derive(Debug)]
pub(super) struct Plain(Vec<Step>);

#[derive(Debug)]
struct Step {
    key: Key,
    quiet: bool,
}

#[derive(Debug)]
enum Key {
    Name(String),
    At(i64),
    Each,
}

impl Plain {
    /// The steps of a term that is a plain path and no longer than [`MAX_STEPS`].
    pub(super) fn of(term: &Term) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = term;
        loop {
            let (target, key, quiet) = match rest {
                Term::Id => break,
                Term::Iterate(target, quiet) => (target, Key::Each, *quiet),
                Term::Index(target, key, quiet) => {
                    let key = match &**key {
                        Term::Const(Val::Str(name)) => Key::Name(name.to_string()),
                        Term::Const(Val::Int(at)) => Key::At(i64::try_from(*at).ok()?),
                        Term::Negate(at) => match **at {
                            Term::Const(Val::Int(at)) => Key::At(i64::try_from(-at).ok()?),
                            _ => return None,
                        },
                        _ => return None,
                    };
                    (target, key, *quiet)
                }
                _ => return None,
            };
            steps.push(Step { key, quiet });
            rest = target;
        }
        steps.reverse();
        (steps.len() <= MAX_STEPS).then_some(Self(steps))
    }

    pub(super) fn run(&self, input: &Value, budget: Budget) -> Outcome {
        let mut walk = Walk {
            meter: Meter { steps: budget.steps, bytes: budget.bytes },
            budget,
            results: Vec::new(),
        };
        let ended = walk.follow(&self.0, input);
        let steps = budget.steps.saturating_sub(walk.meter.steps);
        Outcome { results: walk.results, error: ended.err().map(JqError::from_stop), steps }
    }
}

struct Walk {
    meter: Meter,
    budget: Budget,
    results: Vec<Value>,
}

impl Walk {
    fn follow(&mut self, steps: &[Step], from: &Value) -> R<()> {
        let mut at = from;
        for (i, step) in steps.iter().enumerate() {
            self.meter.tick(1)?;
            at = match (&step.key, at) {
                (Key::Name(name), Value::Object(map)) => map.get(name).unwrap_or(&Value::Null),
                (Key::At(key), Value::Array(items)) => {
                    let at = if *key < 0 { items.len() as i64 + key } else { *key };
                    let item = usize::try_from(at).ok().and_then(|at| items.get(at));
                    item.unwrap_or(&Value::Null)
                }
                (Key::Name(_) | Key::At(_), Value::Null) => &Value::Null,
                (Key::Each, Value::Array(items)) => {
                    return items.iter().try_for_each(|item| self.follow(&steps[i + 1..], item));
                }
                (Key::Each, Value::Object(map)) => {
                    return map.values().try_for_each(|item| self.follow(&steps[i + 1..], item));
                }
                _ if step.quiet => return Ok(()),
                (key, at) => return Err(self.refused(key, at)?),
            };
        }
        if self.results.len() >= self.budget.results {
            return Err(too_many(self.budget));
        }
        self.pay(at, 0)?;
        self.results.push(at.clone());
        Ok(())
    }

    fn refused(&mut self, key: &Key, at: &Value) -> R<Stop> {
        let val = Val::read(&mut self.meter, at)?;
        let name = val.type_name();
        Ok(Stop::error(match key {
            Key::Name(key) if key.len() < 80 => format!("Cannot index {name} with \"{key}\""),
            Key::Name(_) => format!("Cannot index {name} with string"),
            Key::At(_) => format!("Cannot index {name} with number"),
            Key::Each => format!("Cannot iterate over {}", val.described(&mut self.meter)?),
        }))
    }

    /// Pay for a copy.
    fn pay(&mut self, value: &Value, depth: u32) -> R<()> {
        self.meter.tick(1)?;
        self.meter.alloc(SLOT)?;
        if depth > super::value::MAX_DEPTH {
            return Err(super::value::too_deep());
        }
        match value {
            Value::String(text) => self.meter.alloc(text.len()),
            Value::Array(items) => items.iter().try_for_each(|item| self.pay(item, depth + 1)),
            Value::Object(map) => map.iter().try_for_each(|(key, item)| {
                self.meter.alloc(key.len() + SLOT)?;
                self.pay(item, depth + 1)
            }),
            _ => Ok(()),
        }
    }
}
