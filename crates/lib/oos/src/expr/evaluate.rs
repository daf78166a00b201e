//! Working an expression out: depth first, text before functions, and only what is needed.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{Expr, ExprKind, Piece, Reference, Target};
use crate::functions::{self, Function, Limits, truth};
use crate::jq::{self, Budget};
use crate::value::text;

/// Bytes that one evaluation may put together. A template of 64 KiB may name a large answer
/// thousands of times.
const MAX_BYTES: usize = 16 << 20;

/// Conditions that name conditions.
const MAX_CONDITIONS: u32 = 32;

/// Why a value could not be worked out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A value of the parameter store is needed first. Not a failure: ask for it, and try again.
    #[error("the parameter {name} of the parameter store is not there")]
    NeedsStore {
        /// The parameter of the store.
        name: String,
        /// Whether it is an encrypted one.
        secret: bool,
    },
    /// A name that stands for nothing.
    #[error("`{0}` stands for nothing")]
    Unknown(String),
    /// A function refused its argument.
    #[error(transparent)]
    Function(#[from] functions::FunctionError),
    /// A path into an answer went wrong.
    #[error("{0}")]
    Path(String),
    /// The values are too large together.
    #[error("the values are larger than {MAX_BYTES} bytes together")]
    TooLarge,
    /// Conditions that name each other.
    #[error("conditions name each other without end")]
    Conditions,
}

/// Where references lead.
pub trait Scope {
    /// The value that a reference stands for.
    ///
    /// # Errors
    ///
    /// Where it stands for nothing, or is not known yet.
    fn resolve(&self, target: &Target) -> Result<Value, EvalError>;

    /// The condition of a name.
    fn condition(&self, name: &str) -> Option<&Expr>;
}

/// One evaluation: what it may use is counted over all of its parts.
pub struct Evaluator<'a> {
    scope: &'a dyn Scope,
    n_bytes: Cell<usize>,
    depth: Cell<u32>,
}

impl std::fmt::Debug for Evaluator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}

impl<'a> Evaluator<'a> {
    /// An evaluation in `scope`.
    #[must_use]
    pub fn new(scope: &'a dyn Scope) -> Self {
        Self { scope, n_bytes: Cell::new(0), depth: Cell::new(0) }
    }

    /// The value of `expr`.
    ///
    /// # Errors
    ///
    /// See [`EvalError`].
    pub fn value(&self, expr: &Expr) -> Result<Value, EvalError> {
        match &expr.kind {
            ExprKind::Value(value) => self.charge(value.clone()),
            ExprKind::Reference(reference) => self.resolve(reference),
            ExprKind::Text(pieces) => self.text(pieces),
            ExprKind::List(items) => items.iter().map(|item| self.value(item)).collect(),
            ExprKind::Map(entries) => {
                let mut map = Map::new();
                for (key, expr) in entries {
                    map.insert(key.clone(), self.value(expr)?);
                }
                Ok(Value::Object(map))
            }
            ExprKind::Call(function, argument) => self.call(*function, argument),
        }
    }

    /// Whether `expr` holds: a condition, a boolean, or the name of a condition.
    ///
    /// # Errors
    ///
    /// See [`EvalError`]; what is no boolean is an error.
    pub fn holds(&self, expr: &Expr) -> Result<bool, EvalError> {
        if let ExprKind::Value(Value::String(name)) = &expr.kind
            && let Some(condition) = self.scope.condition(name)
        {
            let depth = self.depth.get();
            if depth >= MAX_CONDITIONS {
                return Err(EvalError::Conditions);
            }
            self.depth.set(depth + 1);
            let holds = self.holds(condition);
            self.depth.set(depth);
            return holds;
        }
        Ok(truth(&self.value(expr)?)?)
    }

    fn resolve(&self, reference: &Reference) -> Result<Value, EvalError> {
        self.charge(self.scope.resolve(&reference.target)?)
    }

    fn text(&self, pieces: &[Piece]) -> Result<Value, EvalError> {
        let mut whole = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Reference(reference) => {
                    whole.push_str(&text(&self.resolve(reference)?));
                }
            }
        }
        Ok(Value::String(whole))
    }

    fn call(&self, function: Function, argument: &Expr) -> Result<Value, EvalError> {
        if let ExprKind::List(items) = &argument.kind {
            match (function, items.as_slice()) {
                (Function::If, [condition, then, otherwise]) => {
                    return self.value(if self.holds(condition)? { then } else { otherwise });
                }
                (Function::And, items) => return self.all(items, true),
                (Function::Or, items) => return self.all(items, false).map(not),
                (Function::Not, [condition]) => return Ok(Value::Bool(!self.holds(condition)?)),
                _ => {}
            }
        } else if function == Function::Not {
            return Ok(Value::Bool(!self.holds(argument)?));
        }
        let argument = self.value(argument)?;
        let result = functions::apply(function, &argument, Limits::default(), &run_jq)?;
        self.charge(result)
    }

    /// Whether all of `items` are `wanted`, looking no further than the first that is not. Where
    /// none is looked for, that is also how "or" works: it is not the case that all are false.
    fn all(&self, items: &[Expr], wanted: bool) -> Result<Value, EvalError> {
        for item in items {
            if self.holds(item)? != wanted {
                return Ok(Value::Bool(false));
            }
        }
        Ok(Value::Bool(true))
    }

    fn charge(&self, value: Value) -> Result<Value, EvalError> {
        let n_bytes = self.n_bytes.get().saturating_add(size(&value));
        self.n_bytes.set(n_bytes);
        if n_bytes > MAX_BYTES { Err(EvalError::TooLarge) } else { Ok(value) }
    }
}

fn not(value: Value) -> Value {
    match value {
        Value::Bool(value) => Value::Bool(!value),
        other => other,
    }
}

fn run_jq(script: &str, input: &Value) -> Result<Vec<Value>, String> {
    let filter = jq::compile(script).map_err(|error| error.to_string())?;
    let outcome = filter.run(input, Budget::default());
    match outcome.error {
        Some(error) => Err(error.to_string()),
        None => Ok(outcome.results),
    }
}

/// About how many bytes a value takes.
pub(crate) fn size(value: &Value) -> usize {
    const EACH: usize = 16;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => EACH,
        Value::String(text) => EACH + text.len(),
        Value::Array(items) => items.iter().map(size).fold(EACH, usize::saturating_add),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| key.len().saturating_add(size(value)))
            .fold(EACH, usize::saturating_add),
    }
}
