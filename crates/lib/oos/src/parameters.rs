//! Parameters: from what a caller gave to the values that a run works with.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use fancy_regex::RegexBuilder;
use serde_json::{Map, Number, Value};

use crate::expr::{EvalError, Evaluator, Expr, Pseudo, Scope, Target, Work, size};
use crate::template::{Parameter, Template, Type, did_you_mean};
use crate::value::{TOO_DEEP, equal, is_too_deep, kind, text};

/// Steps that matching a pattern may go back. A pattern comes with the template.
const MAX_BACKTRACKS: usize = 200_000;

/// Bytes of all values together. Each may be as large as a value can be, and the default of each may
/// be twice the one before; an API takes 4 MiB.
const MAX_BYTES: usize = 16 << 20;

/// Texts of one parameter that are masked wherever they are shown.
const MAX_SECRETS: usize = 1000;

/// What is wrong with a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter `{name}` {message}")]
pub struct ParameterError {
    /// The parameter, as it is declared or was given.
    pub name: String,
    /// What is wrong with it: `must be …`, `is not …`.
    pub message: String,
    /// What its constraint's description says, or what the parameter is for.
    pub help: Option<String>,
}

/// The values of all parameters of `template`, by their declared names in the order of the text.
///
/// `given` may spell names in any letter case. Defaults are worked out after what was given, each
/// after those that it names.
///
/// # Errors
///
/// All that is wrong: unknown names, missing values, types that do not fit, failed constraints.
pub fn resolve(
    template: &Template,
    given: &Map<String, Value>,
    pseudo: &dyn Fn(Pseudo) -> Value,
) -> Result<Map<String, Value>, Vec<ParameterError>> {
    let mut errors = Vec::new();
    let mut known: HashMap<String, Value> = HashMap::new();
    for (name, value) in given {
        let Some(parameter) = template.parameter(name) else {
            errors.push(unknown(template, name));
            continue;
        };
        match coerce(parameter.kind, value) {
            Ok(value) => {
                known.insert(parameter.name.clone(), value);
            }
            Err(message) => errors.push(ParameterError::of(parameter, message)),
        }
    }
    let work = Work::new(crate::run::MAX_WORK);
    let n_bytes = Cell::new(known.values().map(size).fold(0, usize::saturating_add));
    let (known, active) = (known.into(), RefCell::default());
    let defaults = Defaults { template, pseudo, known, active, work, n_bytes };
    let mut values = Map::new();
    for parameter in &template.parameters {
        if errors.iter().any(|error| error.name == parameter.name) {
            continue;
        }
        match defaults.value(parameter).and_then(|value| {
            check(parameter, &value)?;
            if is_too_deep(&value) {
                return Err(ParameterError::of(parameter, format!("is {TOO_DEEP}")));
            }
            if parameter.no_echo && n_texts(&value) > MAX_SECRETS {
                let told = format!("has more than {MAX_SECRETS} texts that are not to be shown");
                return Err(ParameterError::of(parameter, told));
            }
            Ok(value)
        }) {
            Ok(value) => {
                values.insert(parameter.name.clone(), value);
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

impl ParameterError {
    fn of(parameter: &Parameter, message: impl Into<String>) -> Self {
        let help = parameter.constraint_description.as_ref().or(parameter.description.as_ref());
        let help = help.or(parameter.label.as_ref()).and_then(localized);
        Self { name: parameter.name.clone(), message: message.into(), help }
    }
}

/// The English text of a text, or of a map of language to text.
#[must_use]
pub fn localized(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => {
            let text = map.get("en").or_else(|| map.values().find(|value| value.is_string()))?;
            text.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// Items of a list and allowed values that are compared, each with each.
const MAX_PAIRS: usize = 1_000_000;

/// Bytes of a compiled pattern.
const MAX_PROGRAM: usize = 1 << 20;

fn unknown(template: &Template, name: &str) -> ParameterError {
    let help = did_you_mean(name, template.parameters.iter().map(|own| own.name.as_str()));
    let message = "is not one of the template".to_owned();
    ParameterError { name: name.to_owned(), message, help }
}

/// How many texts and numbers are in a value.
fn n_texts(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(n_texts).sum(),
        Value::Object(map) => map.values().map(n_texts).sum(),
        _ => 1,
    }
}

struct Defaults<'a> {
    template: &'a Template,
    pseudo: &'a dyn Fn(Pseudo) -> Value,
    known: RefCell<HashMap<String, Value>>,
    active: RefCell<Vec<String>>,
    work: Work,
    n_bytes: Cell<usize>,
}

impl Defaults<'_> {
    fn value(&self, parameter: &Parameter) -> Result<Value, ParameterError> {
        if let Some(value) = self.known.borrow().get(&parameter.name) {
            return Ok(value.clone());
        }
        let Some(default) = &parameter.default else {
            return Err(ParameterError::of(parameter, "is required and was not given"));
        };
        if self.active.borrow().contains(&parameter.name) {
            return Err(ParameterError::of(parameter, "has a default that depends on itself"));
        }
        self.active.borrow_mut().push(parameter.name.clone());
        let value = Evaluator::new(self).value(default);
        self.active.borrow_mut().pop();
        let value = value
            .map_err(|error| error.to_string())
            .and_then(|value| coerce(parameter.kind, &value))
            .map_err(|message| {
                ParameterError::of(parameter, format!("has a bad default: {message}"))
            })?;
        let n_bytes = self.n_bytes.get().saturating_add(size(&value));
        if n_bytes > MAX_BYTES {
            let told = format!("makes the parameters larger than {MAX_BYTES} bytes together");
            return Err(ParameterError::of(parameter, told));
        }
        self.n_bytes.set(n_bytes);
        self.known.borrow_mut().insert(parameter.name.clone(), value.clone());
        Ok(value)
    }
}

impl Scope for Defaults<'_> {
    fn resolve(&self, target: &Target) -> Result<Value, EvalError> {
        match target {
            Target::Parameter(name) => {
                let parameter = self.template.parameter(name);
                let parameter = parameter.ok_or_else(|| EvalError::Unknown(name.clone()))?;
                self.value(parameter).map_err(|error| EvalError::Path(error.to_string()))
            }
            Target::Pseudo(pseudo) => Ok((self.pseudo)(*pseudo)),
            // Read where it is used: a secret does not belong into stored parameters.
            Target::Store { name, secret } => {
                let prefix = if *secret { "oos-secret" } else { "oos" };
                Ok(Value::String(format!("{{{{{prefix}:{name}}}}}")))
            }
            Target::Output { task, output } => Err(EvalError::Unknown(format!("{task}.{output}"))),
            Target::Path { task, path } => Err(EvalError::Unknown(format!("{task}{path}"))),
            Target::Unknown(name) => Err(EvalError::Unknown(name.clone())),
        }
    }

    fn condition(&self, _name: &str) -> Option<&Expr> {
        None
    }

    fn work(&self) -> Option<&Work> {
        Some(&self.work)
    }
}

/// A value in the type of a parameter. Null stays null.
///
/// # Errors
///
/// `must be …` where the value cannot be meant.
pub fn coerce(wanted: Type, value: &Value) -> Result<Value, String> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let refused = || Err(format!("must be {}, and is {}", article(wanted), kind(value)));
    match (wanted, value) {
        (Type::String, Value::String(_))
        | (Type::Number, Value::Number(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::List, Value::Array(_))
        | (Type::Json, _)
            if !matches!((wanted, value), (Type::Json, Value::String(_))) =>
        {
            Ok(value.clone())
        }
        (Type::String, _) => Ok(Value::String(text(value).into_owned())),
        (Type::Number, Value::String(text)) => match number(text) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(format!("must be a number, and is the text `{}`", short(text))),
        },
        (Type::Boolean, Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(format!("must be true or false, and is the text `{}`", short(text))),
        },
        (Type::List, Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Array(items)) => Ok(Value::Array(items)),
            _ => Ok(Value::Array(vec![value.clone()])),
        },
        (Type::List, Value::Number(_) | Value::Bool(_)) => Ok(Value::Array(vec![value.clone()])),
        (Type::Json, Value::String(text)) => {
            Ok(serde_json::from_str(text).unwrap_or_else(|_| value.clone()))
        }
        _ => refused(),
    }
}

const fn article(wanted: Type) -> &'static str {
    match wanted {
        Type::String => "a string",
        Type::Number => "a number",
        Type::Boolean => "true or false",
        Type::List => "a list",
        Type::Json => "a map or a list",
    }
}

fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    Number::from_f64(text.parse().ok()?)
}

/// Text as messages show it.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Whether a value in the parameter's type meets its constraints.
///
/// # Errors
///
/// The first constraint that it does not meet.
pub fn check(parameter: &Parameter, value: &Value) -> Result<(), ParameterError> {
    let constraint = match value {
        Value::Null => Ok(()),
        _ => allowed(parameter, value).and_then(|()| match value {
            Value::String(text) => check_text(parameter, text),
            Value::Number(number) => check_number(parameter, number),
            _ => Ok(()),
        }),
    };
    constraint.map_err(|message| ParameterError::of(parameter, message))
}

fn allowed(parameter: &Parameter, value: &Value) -> Result<(), String> {
    let Some(allowed) = &parameter.allowed_values else { return Ok(()) };
    let one = if parameter.kind == Type::List { Type::String } else { parameter.kind };
    let is_allowed = |item: &Value| {
        allowed.iter().any(|allowed| {
            equal(allowed, item)
                || matches!((coerce(one, allowed), coerce(one, item)), (Ok(a), Ok(b)) if equal(&a, &b))
        })
    };
    let items = match (parameter.kind, value) {
        (Type::List, Value::Array(items)) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    if items.len().saturating_mul(allowed.len()) > MAX_PAIRS {
        let (n, m) = (items.len(), allowed.len());
        return Err(format!("has {n} items, too many to look for among {m} allowed values"));
    }
    let Some(refused) = items.iter().find(|item| !is_allowed(item)) else { return Ok(()) };
    let refused = text(refused).into_owned();
    let listed: Vec<_> = allowed.iter().take(20).map(|value| text(value).into_owned()).collect();
    let more = if allowed.len() > listed.len() { ", …" } else { "" };
    let hint = did_you_mean(&refused, listed.iter().map(String::as_str));
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    let listed = listed.join(", ");
    Err(format!("is `{}`, and may be one of {listed}{more}{hint}", short(&refused)))
}

fn check_text(parameter: &Parameter, text: &str) -> Result<(), String> {
    let n_chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if let Some(least) = parameter.min_length
        && n_chars < least
    {
        return Err(format!("has {n_chars} characters, and needs {least} or more"));
    }
    if let Some(most) = parameter.max_length
        && n_chars > most
    {
        return Err(format!("has {n_chars} characters, and may have {most}"));
    }
    let Some(pattern) = &parameter.allowed_pattern else { return Ok(()) };
    let whole = RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
        .backtrack_limit(MAX_BACKTRACKS)
        .delegate_size_limit(MAX_PROGRAM)
        .delegate_dfa_size_limit(MAX_PROGRAM)
        .build()
        .map_err(|error| format!("has a pattern that is no regular expression: {error}"))?;
    match whole.is_match(text) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("is `{}`, which does not match {pattern}", short(text))),
        Err(_) => Err(format!("takes too long to match with {pattern}")),
    }
}

fn check_number(parameter: &Parameter, number: &Number) -> Result<(), String> {
    let value = number.as_f64().unwrap_or(f64::NAN);
    if let Some(least) = parameter.min_value
        && value < least
    {
        return Err(format!("is {number}, and may be {least} at least"));
    }
    if let Some(most) = parameter.max_value
        && value > most
    {
        return Err(format!("is {number}, and may be {most} at most"));
    }
    Ok(())
}

/// What stands in place of a secret.
pub const MASK: &str = "****";

/// Values as they may be shown: those of `NoEcho` parameters are masked.
#[must_use]
pub fn masked(template: &Template, values: &Map<String, Value>) -> Map<String, Value> {
    let show = |(name, value): (&String, &Value)| {
        let hidden = template.parameter(name).is_some_and(|parameter| parameter.no_echo);
        let value = if hidden && !value.is_null() { Value::from(MASK) } else { value.clone() };
        (name.clone(), value)
    };
    values.iter().map(show).collect()
}
