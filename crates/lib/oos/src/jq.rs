//! jq scripts: `Fn::Jq`, `ValueSelector` and `PropertySelector`, by the language of jq 1.7.
//!
//! Scripts come from whoever writes a template and run in the server, so an evaluation is a function
//! of its script and its input alone (no clock, environment, files or further inputs), and it ends:
//! steps, memory, results and depth are counted. The existing implementations bound none of these
//! from outside, and in a lazy evaluator the depth of the stack cannot be counted at all; this one is
//! small because it pushes each result into a continuation.
//!
//! ```text
//! text ─ lex, parse ─► Term ─┬─ plain path ─► plain: over `&Value`, nothing is copied but results
//!                            └─ otherwise ──► eval: on a thread with a stack of known size
//! ```
//!
//! Language: <https://jqlang.github.io/jq/manual/v1.7/>. Not supported: modules, alternative patterns
//! (`?//`), SQL-style operators, `$__loc__`, and all that
//! looks outside.

mod builtins;
mod control;
mod eval;
mod format;
mod lex;
mod math;
mod meter;
mod parse;
mod paths;
mod plain;
mod regex;
mod strings;
mod term;
mod time;
mod value;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use eval::{Eval, STACK};
use meter::{Meter, R, Stop};
use parse::Script;
use plain::Plain;
use value::Val;

/// The longest script, in bytes.
pub const MAX_SCRIPT: usize = 64 << 10;

/// A compiled script. It can be run many times and on many threads.
pub struct Filter {
    script: Script,
    plain: Option<Plain>,
    n_bytes: usize,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("main", &self.script.main).finish_non_exhaustive()
    }
}

/// Limits of one evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Pieces of work: roughly, terms evaluated and values looked at.
    pub steps: u64,
    /// Bytes allocated for values in all, the input included. Memory that is given back counts too.
    pub bytes: usize,
    /// Results.
    pub results: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 2_000_000, bytes: 16 << 20, results: 100_000 }
    }
}

/// What came of an evaluation.
#[derive(Debug)]
pub struct Outcome {
    /// The results, those before an error included.
    pub results: Vec<Value>,
    /// Why there are no more of them, unless the script ended by itself.
    pub error: Option<JqError>,
    /// Steps of the budget that it took.
    pub steps: u64,
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The script is wrong, whatever the input.
    Syntax,
    /// The script failed on this input, or raised an error itself.
    Runtime,
    /// A limit was reached.
    Exhausted,
}

/// Why a script did not compile or did not end well.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}{}", self.place())]
pub struct JqError {
    kind: Kind,
    at: Option<usize>,
    message: String,
}

impl JqError {
    fn syntax(at: usize, message: String) -> Self {
        Self { kind: Kind::Syntax, at: Some(at), message }
    }

    fn from_stop(stop: Stop) -> Self {
        let (kind, message) = match stop {
            Stop::Exhausted(message) => (Kind::Exhausted, message),
            Stop::Error(Val::Str(message)) => (Kind::Runtime, message.to_string()),
            Stop::Error(error) => {
                // Bounded apart from the budget, which may be used up.
                let mut meter = Meter { steps: 1000, bytes: 4096 };
                let text = error.described(&mut meter);
                let text = text.unwrap_or_else(|_| error.type_name().to_owned());
                (Kind::Runtime, format!("{text} (not a string)"))
            }
            Stop::Break(_) => (Kind::Runtime, "break".to_owned()),
        };
        Self { kind, at: None, message }
    }

    fn place(&self) -> String {
        self.at.map_or(String::new(), |at| format!(" at byte {at}"))
    }

    /// What to do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The byte of the script where it is wrong; none for errors while it runs.
    pub fn offset(&self) -> Option<usize> {
        self.at
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Compile a script.
///
/// # Errors
///
/// [`Kind::Syntax`], with the byte where the script is wrong or where a name is that is not known;
/// [`Kind::Exhausted`] for a script longer than [`MAX_SCRIPT`].
pub fn compile(script: &str) -> Result<Filter, JqError> {
    if script.len() > MAX_SCRIPT {
        let message = format!("a script of {} bytes is longer than {MAX_SCRIPT}", script.len());
        return Err(JqError { kind: Kind::Exhausted, at: None, message });
    }
    let n_bytes = script.len();
    let script = parse::parse(script)?;
    let plain = Plain::of(&script.main);
    Ok(Filter { script, plain, n_bytes })
}

/// The program of a `ValueSelector` or `PropertySelector`: a path may be written without its first
/// dot.
pub fn selector(text: &str) -> Cow<'_, str> {
    if text.starts_with('.') { Cow::Borrowed(text) } else { Cow::Owned(format!(".{text}")) }
}

impl Filter {
    /// Bytes of the script's text.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Run the script on an input. Never panics, and ends within the budget.
    pub fn run(&self, input: &Value, budget: Budget) -> Outcome {
        match &self.plain {
            Some(plain) => plain.run(input, budget),
            None => self.run_fully(input, budget),
        }
    }

    /// Run without the short cut for plain paths.
    fn run_fully(&self, input: &Value, budget: Budget) -> Outcome {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("jq".into()).stack_size(STACK);
            let failed = |message: String| Outcome {
                results: Vec::new(),
                error: Some(JqError { kind: Kind::Exhausted, at: None, message }),
                steps: budget.steps,
            };
            match thread.spawn_scoped(scope, || self.evaluate(input, budget)) {
                Ok(thread) => thread
                    .join()
                    .unwrap_or_else(|_| failed("the evaluation panicked, a fault of kiln".into())),
                Err(error) => failed(format!("no thread to evaluate on: {error}")),
            }
        })
    }

    fn evaluate(&self, input: &Value, budget: Budget) -> Outcome {
        let mut meter = Meter { steps: budget.steps, bytes: budget.bytes };
        let mut results = Vec::new();
        let mut left = 0;
        let ended = Val::read(&mut meter, input).and_then(|input| {
            let mut eval = Eval::new(&self.script, meter);
            let ended = eval.run(input, &mut |ev, item| {
                let result = give(&mut ev.meter, &item.val, results.len(), budget)?;
                results.push(result);
                Ok(())
            });
            left = eval.meter.steps;
            ended
        });
        let steps = budget.steps.saturating_sub(left);
        Outcome { results, error: ended.err().map(JqError::from_stop), steps }
    }
}

fn give(meter: &mut Meter, val: &Val, before: usize, budget: Budget) -> R<Value> {
    if before >= budget.results {
        return Err(too_many(budget));
    }
    meter.alloc(value::SLOT)?;
    val.give(meter)
}

fn too_many(budget: Budget) -> Stop {
    Stop::exhausted(format!("the script has more than {} results", budget.results))
}
