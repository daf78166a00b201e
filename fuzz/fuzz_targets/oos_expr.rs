//! Any value as a part of a template, with `{{ }}` and functions in it, worked out where each name
//! stands for something: within its limits, and the same the second time.
#![no_main]

use std::collections::BTreeMap;

use kiln_oos::diagnostic::Diagnostics;
use kiln_oos::document::parse;
use kiln_oos::expr::{EvalError, Evaluator, Expr, Reader, Scope, Target, Work, store_references};
use serde_json::{Map, Value};

/// What names stand for: parameters and outputs the values of one map, conditions each other.
struct Names {
    values: Map<String, Value>,
    conditions: BTreeMap<String, Expr>,
    work: Work,
}

impl Names {
    fn named(&self, name: &str) -> Result<Value, EvalError> {
        self.values.get(name).cloned().ok_or_else(|| EvalError::Unknown(name.to_owned()))
    }
}

impl Scope for Names {
    fn resolve(&self, target: &Target) -> Result<Value, EvalError> {
        match target {
            Target::Parameter(name) => match self.named(name)? {
                // As the run does with a parameter that was given.
                Value::String(text) if text.contains("{{") => {
                    Evaluator::new(self).value(&store_references(&text))
                }
                value => Ok(value),
            },
            Target::Output { output, .. } => self.named(output),
            Target::Path { path, .. } => Ok(Value::from(path.as_str())),
            Target::Pseudo(pseudo) => Ok(Value::from(format!("{pseudo:?}"))),
            Target::Store { name, secret: false } => Ok(Value::from(name.as_str())),
            Target::Store { name, secret } => {
                Err(EvalError::NeedsStore { name: name.clone(), secret: *secret })
            }
            Target::Unknown(name) => Err(EvalError::Unknown(name.clone())),
        }
    }

    fn condition(&self, name: &str) -> Option<&Expr> {
        self.conditions.get(name)
    }

    fn work(&self) -> Option<&Work> {
        Some(&self.work)
    }
}

fn read(text: &str) -> Option<Expr> {
    // In a map it is JSON, which the parser of YAML has no part in.
    let text = format!("{{\"x\":{text}}}");
    let node = parse(&text).ok()?;
    let mut diagnostics = Diagnostics::default();
    let mut reader = Reader { source: &text, diagnostics: &mut diagnostics };
    let expr = Expr::read(node.get("x")?, "x", &mut reader);
    for reference in expr.references() {
        assert!(text.get(reference.span.clone()).is_some(), "{:?} is no place", reference.span);
    }
    Some(expr)
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    // The first line is what names stand for; a second one of them is conditions.
    let (first, rest) = text.split_once('\n').unwrap_or(("{}", text));
    let values = serde_json::from_str(first).unwrap_or_default();
    let (second, rest) = rest.split_once('\n').unwrap_or(("{}", rest));
    let conditions: Map<String, Value> = serde_json::from_str(second).unwrap_or_default();
    let conditions = conditions.into_iter();
    let conditions =
        conditions.filter_map(|(name, value)| Some((name, read(&value.to_string())?))).collect();
    // What is no JSON is text.
    let Some(expr) = read(rest).or_else(|| read(&Value::from(rest).to_string())) else { return };
    let mut names = Names { values, conditions, work: Work::new(20_000) };
    let mut both = Vec::new();
    for _ in 0..2 {
        let evaluator = Evaluator::new(&names);
        let value = evaluator.value(&expr);
        if let Ok(value) = &value {
            assert!(value.to_string().len() <= 256 << 20, "a value of {} bytes", value.to_string().len());
        }
        both.push((value, evaluator.place(), Evaluator::new(&names).holds(&expr)));
        names.work.reset();
    }
    assert_eq!(both[0], both[1]);
});
