//! What people see of a run: its log, and values without their secrets.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Run;
use super::records::LogEntry;
use crate::parameters::MASK;
use crate::value::text;

/// Bytes of the log of one event. Entries are short, and there may be as many as records.
const MAX_LOG_BYTES: usize = 16 << 20;

/// Texts that are masked. Each is looked for in all that is shown; a loop of the most items may give a
/// password to each.
const MAX_SECRETS: usize = 10_000;

impl Run {
    pub(super) fn log(&mut self, execution: &str, task: Option<&str>, message: impl Into<String>) {
        if self.log_bytes > MAX_LOG_BYTES {
            return;
        }
        let mut message = cut(self.shown(message.into()));
        self.log_bytes = self.log_bytes.saturating_add(message.len());
        if self.log_bytes > MAX_LOG_BYTES {
            message = format!("more than {MAX_LOG_BYTES} bytes at once: the rest is not kept");
        }
        let (execution, task) = (execution.to_owned(), task.map(str::to_owned));
        self.logs.push(LogEntry { execution, task, at: self.now, message });
    }

    /// `value` as it may be shown: without the texts of secrets.
    #[must_use]
    pub fn mask(&self, value: &Value) -> Value {
        mask(value, &self.secrets)
    }

    /// A text for people, its secrets masked. Of a long one the beginning: masking takes time.
    pub(super) fn shown(&self, text: String) -> String {
        const MOST: usize = 64 << 10;
        if text.len() <= MOST {
            return mask_text(&text, &self.secrets);
        }
        // Where it is cut, a secret may be cut, and is not known by its beginning.
        let longest = self.secrets.iter().map(String::len).max().unwrap_or(0);
        let masked = mask_text(cut_to(&text, MOST), &self.secrets);
        format!("{}…", cut_to(&masked, masked.len().saturating_sub(longest)))
    }

    /// Whether there is room for the secrets in `value`.
    pub(super) fn check_secrets<'a>(
        &self,
        values: impl Iterator<Item = &'a Value>,
    ) -> Result<(), String> {
        let mut new = BTreeSet::new();
        values.for_each(|value| secrets_in(value, &mut new));
        let n_new = new.difference(&self.secrets).count();
        match self.secrets.len().saturating_add(n_new) > MAX_SECRETS {
            true => Err(format!("the run would have more than {MAX_SECRETS} secret texts")),
            false => Ok(()),
        }
    }

    /// The values of parameters that are never shown.
    pub(super) fn learn_secrets(&mut self, id: &str) {
        let Some(execution) = self.executions.get(id) else { return };
        let Some(loaded) = self.templates.get(&execution.template) else { return };
        for parameter in loaded.template.parameters.iter().filter(|own| own.no_echo) {
            if let Some(value) = execution.parameters.get(&parameter.name) {
                secrets_in(value, &mut self.secrets);
            }
        }
    }
}

/// A value as a message quotes it: of a long one the beginning.
pub(super) fn quoted(value: &Value) -> String {
    const MOST: usize = 200;
    let text = text(value);
    match text.len() > MOST {
        true => format!("{}…", cut_to(&text, MOST)),
        false => text.into_owned(),
    }
}

/// Log messages are for people.
pub(super) fn cut(mut message: String) -> String {
    const MOST: usize = 4096;
    if message.len() > MOST {
        message.truncate(cut_to(&message, MOST).len());
        message.push('…');
    }
    message
}

/// The beginning of `text`, of `most` bytes at most.
fn cut_to(text: &str, most: usize) -> &str {
    let most = most.min(text.len());
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// The texts of a secret value. One of one or two letters would mask half of every text, and is no
/// secret.
pub(super) fn secrets_in(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| secrets_in(item, found)),
        Value::Object(map) => map.values().for_each(|value| secrets_in(value, found)),
        Value::String(_) | Value::Number(_) => {
            let text = text(value);
            if text.len() > 2 {
                // As JSON has it as well, and JSON inside of a text of JSON: logs show calls as JSON.
                let once = escaped(&text);
                let twice = escaped(&once);
                found.extend([text.into_owned(), once, twice]);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// `text` with all of `secrets` masked.
fn mask_text(text: &str, secrets: &BTreeSet<String>) -> String {
    mask_longest_first(text, &longest_first(secrets))
}

/// A secret may be a part of another.
fn longest_first(secrets: &BTreeSet<String>) -> Vec<&str> {
    let mut longest: Vec<_> = secrets.iter().map(String::as_str).collect();
    longest.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    longest
}

fn mask_longest_first(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if secret.len() <= text.len() && text.contains(secret) {
            text = text.replace(secret, MASK);
        }
    }
    text
}

/// `value` with all of `secrets` masked, wherever they stand in a text.
fn mask(value: &Value, secrets: &BTreeSet<String>) -> Value {
    if secrets.is_empty() {
        return value.clone();
    }
    mask_all(value, secrets, &longest_first(secrets))
}

fn mask_all(value: &Value, secrets: &BTreeSet<String>, longest: &[&str]) -> Value {
    match value {
        Value::String(text) => Value::String(mask_longest_first(text, longest)),
        Value::Array(items) => items.iter().map(|item| mask_all(item, secrets, longest)).collect(),
        Value::Object(map) => {
            let mask =
                |(key, value): (&String, &Value)| (key.clone(), mask_all(value, secrets, longest));
            map.iter().map(mask).collect()
        }
        Value::Number(_) if secrets.contains(&*text(value)) => Value::from(MASK),
        other => other.clone(),
    }
}
