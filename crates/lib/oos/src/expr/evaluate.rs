//! Working an expression out: depth first, text before functions, and only what is needed.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use super::{Expr, ExprKind, Piece, Reference, Target};
use crate::functions::{self, Function, Limits, truth};
use crate::jq::{self, Budget, Outcome};
use crate::value::text;

/// Bytes that one evaluation may put together. A template of 64 KiB may name a large answer
/// thousands of times.
const MAX_BYTES: usize = 16 << 20;

/// Bytes that are copied for the price of one step of a script.
const BYTES_A_STEP: usize = 256;

/// What a value costs, however small: conditions may double at each name.
const STEPS_A_VALUE: usize = 16;

/// Bytes of a script that are read for the price of one of its steps.
const BYTES_OF_SCRIPT_A_STEP: usize = 64;

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
    /// All evaluations together have used up what they may.
    #[error("what is worked out at once takes more than {0} steps together")]
    TooMuchWork(u64),
    /// Conditions that name each other.
    #[error("conditions name each other without end")]
    Conditions,
}

impl EvalError {
    /// Whether a limit was reached, rather than something being wrong.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::TooLarge | Self::TooMuchWork(_))
    }
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

    /// What evaluations may do together, where that is bounded.
    fn work(&self) -> Option<&Work> {
        None
    }
}

/// Steps that several evaluations may take together. Each of them has its own limits as well: a
/// template of 64 KiB can have a thousand scripts, all of them within the limit of one.
#[derive(Debug)]
pub struct Work {
    most: u64,
    left: AtomicU64,
    /// For what takes few steps, once nothing is left: the tasks that clean up have their turn after
    /// the one that used everything up.
    reserve: AtomicU64,
}

impl Work {
    /// What counts as few steps.
    const FEW: u64 = 10_000;
    const RESERVE: u64 = 100 * Self::FEW;

    /// So many steps.
    #[must_use]
    pub const fn new(most: u64) -> Self {
        Self { most, left: AtomicU64::new(most), reserve: AtomicU64::new(Self::RESERVE) }
    }

    /// Begin again.
    pub fn reset(&mut self) {
        *self.left.get_mut() = self.most;
        *self.reserve.get_mut() = Self::RESERVE;
    }

    /// Run a script within what is left.
    ///
    /// # Errors
    ///
    /// Where nothing is left, or that was too little.
    pub fn run(&self, filter: &jq::Filter, input: &Value) -> Result<Outcome, EvalError> {
        self.spend(u64::try_from(filter.n_bytes() / BYTES_OF_SCRIPT_A_STEP).unwrap_or(u64::MAX))?;
        let (left, reserve) = (get(&self.left), get(&self.reserve));
        let own = Budget::default();
        let steps = if left > 0 { left.min(own.steps) } else { reserve.min(Self::FEW) };
        if steps == 0 {
            return Err(EvalError::TooMuchWork(self.most));
        }
        let outcome = filter.run(input, Budget { steps, ..own });
        let pool = if left > 0 { &self.left } else { &self.reserve };
        // One more, for the script itself: an empty one is not free.
        pool.store(get(pool).saturating_sub(outcome.steps.saturating_add(1)), Ordering::Relaxed);
        if steps < own.steps && outcome.error.is_some() && outcome.steps >= steps {
            return Err(EvalError::TooMuchWork(self.most));
        }
        Ok(outcome)
    }

    /// Count steps that were, or are about to be, taken.
    ///
    /// # Errors
    ///
    /// Where so many are not left.
    pub(crate) fn spend(&self, steps: u64) -> Result<(), EvalError> {
        let (left, reserve) = (get(&self.left), get(&self.reserve));
        if let Some(left) = left.checked_sub(steps) {
            self.left.store(left, Ordering::Relaxed);
            return Ok(());
        }
        self.left.store(0, Ordering::Relaxed);
        match reserve.checked_sub(steps) {
            Some(reserve) if steps <= Self::FEW => {
                self.reserve.store(reserve, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(EvalError::TooMuchWork(self.most)),
        }
    }
}

/// Nobody else counts meanwhile: the state machine is one thread.
fn get(pool: &AtomicU64) -> u64 {
    pool.load(Ordering::Relaxed)
}

/// One evaluation: what it may use is counted over all of its parts.
pub struct Evaluator<'a> {
    scope: &'a dyn Scope,
    n_bytes: Cell<usize>,
    depth: Cell<u32>,
    /// The keys down to what is being worked out; after an error, to what went wrong.
    way: RefCell<Vec<String>>,
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
        let (n_bytes, depth, way) = (Cell::new(0), Cell::new(0), RefCell::default());
        Self { scope, n_bytes, depth, way }
    }

    /// The keys of maps down to what went wrong, as `Parameters.ImageName`; empty outside of maps.
    #[must_use]
    pub fn place(&self) -> String {
        self.way.borrow().join(".")
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
                    self.way.borrow_mut().push(key.clone());
                    map.insert(key.clone(), self.value(expr)?);
                    self.way.borrow_mut().pop();
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
        // What stopped a script is told as the function's failure, unless it was not the script.
        let stopped = RefCell::new(None);
        let jq = |script: &str, input: &Value| self.run_jq(script, input, &stopped);
        let result = functions::apply(function, &argument, Limits::default(), &jq);
        match stopped.into_inner() {
            Some(error) => Err(error),
            None => self.charge(result?),
        }
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

    fn run_jq(
        &self,
        script: &str,
        input: &Value,
        stopped: &RefCell<Option<EvalError>>,
    ) -> Result<Vec<Value>, String> {
        let filter = jq::compile(script).map_err(|error| error.to_string())?;
        let outcome = match self.scope.work() {
            Some(work) => work.run(&filter, input),
            None => Ok(filter.run(input, Budget::default())),
        };
        match outcome {
            Ok(Outcome { error: Some(error), .. }) => Err(error.to_string()),
            Ok(outcome) => Ok(outcome.results),
            Err(error) => {
                let told = error.to_string();
                stopped.replace(Some(error));
                Err(told)
            }
        }
    }

    fn charge(&self, value: Value) -> Result<Value, EvalError> {
        let own = size(&value);
        let n_bytes = self.n_bytes.get().saturating_add(own);
        self.n_bytes.set(n_bytes);
        if let Some(work) = self.scope.work() {
            let steps = own.saturating_div(BYTES_A_STEP).saturating_add(STEPS_A_VALUE);
            work.spend(u64::try_from(steps).unwrap_or(u64::MAX))?;
        }
        if n_bytes > MAX_BYTES { Err(EvalError::TooLarge) } else { Ok(value) }
    }
}

fn not(value: Value) -> Value {
    match value {
        Value::Bool(value) => Value::Bool(!value),
        other => other,
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
