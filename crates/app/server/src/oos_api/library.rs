//! Where templates and parameters are found: an account's own in the store, and what kiln ships.

use std::sync::Arc;
use std::time::Duration;

use kiln_ecs::error::ApiError;
use kiln_factory::executions::{Later, Library, Shelf};
use kiln_oos::run::{Found, Loaded};
use kiln_store::{Parameters, StoreError, Templates};
use serde_json::Value;

use super::errors;
use crate::ecs::Call;

/// The library of runs.
#[derive(Clone, Debug)]
pub(crate) struct StoreLibrary {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) templates: Templates,
    pub(crate) parameters: Parameters,
}

/// Why a template was not found.
enum Missing {
    Template,
    Version,
    /// It was good when it was stored, and is not any more.
    Unusable(String),
    Store(StoreError),
}

impl From<StoreError> for Missing {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The number in `v12`.
pub(super) fn version_number(version: &str) -> Option<i64> {
    let digits = version.strip_prefix('v').or_else(|| version.strip_prefix('V'))?;
    digits.parse().ok().filter(|number| *number > 0)
}

/// A template of an account or of the shelf.
async fn find(
    templates: &Templates,
    shelf: &Shelf,
    account: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Found, Missing> {
    let number = match version {
        Some(version) => Some(version_number(version).ok_or(Missing::Version)?),
        None => None,
    };
    if shelf.find(name).is_some() {
        return match number {
            None | Some(1) => shelf.found(name).map_err(Missing::Unusable),
            Some(_) => Err(Missing::Version),
        };
    }
    match templates.get(account, name, number).await? {
        None => Err(Missing::Template),
        Some((_, None)) => Err(Missing::Version),
        Some((template, Some(version))) => {
            let loaded = Loaded::new(&version.content).map_err(Missing::Unusable)?;
            Ok(Found {
                name: template.name,
                version: format!("v{}", version.version),
                template: Arc::new(loaded),
            })
        }
    }
}

/// A template that a request names.
///
/// # Errors
///
/// `EntityNotExists.Template`, `EntityNotExists.TemplateVersion`, `InvalidTemplate.Structure` where
/// what was stored is no template any more.
pub(super) async fn named(
    call: &Call<'_>,
    name: &str,
    version: Option<&str>,
) -> Result<Found, ApiError> {
    let oos = call.oos();
    let found = find(&oos.templates, &oos.shelf, call.account(), name, version).await;
    found.map_err(|missing| match missing {
        Missing::Template => errors::absent("Template", name),
        Missing::Version => errors::absent("TemplateVersion", version.unwrap_or_default()),
        Missing::Store(error) => errors::store(error),
        Missing::Unusable(why) => {
            let message = format!("The stored template {name} is not valid: {why}.");
            ApiError::new(400, "InvalidTemplate.Structure", message)
        }
    })
}

/// A template whose text a request brings, checked.
///
/// # Errors
///
/// `InvalidTemplate.…`.
pub(super) fn inline(call: &Call<'_>, text: &str) -> Result<Found, ApiError> {
    let checked = kiln_oos::parse_template(text, &*call.oos().shelf);
    if checked.template.is_none() {
        return Err(errors::template(text, &checked.diagnostics));
    }
    let loaded = Loaded::new(text)
        .map_err(|why| ApiError::new(400, "InvalidTemplate.Structure", format!("{why}.")))?;
    Ok(Found { name: String::new(), version: String::new(), template: Arc::new(loaded) })
}

impl Library for StoreLibrary {
    fn template<'a>(
        &'a self,
        account: &'a str,
        name: &'a str,
        version: Option<&'a str>,
    ) -> Later<'a, Result<Found, String>> {
        Box::pin(async move {
            let found = find(&self.templates, &self.shelf, account, name, version).await;
            found.map_err(|missing| match missing {
                Missing::Template => format!("there is no template `{name}`"),
                Missing::Version => {
                    let version = version.unwrap_or_default();
                    format!("there is no version `{version}` of the template `{name}`")
                }
                Missing::Unusable(why) => why,
                Missing::Store(error) => {
                    let told = &error as &dyn std::error::Error;
                    tracing::error!(error = told, "a template cannot be read");
                    "the template cannot be read now".to_owned()
                }
            })
        })
    }

    fn parameter<'a>(
        &'a self,
        account: &'a str,
        name: &'a str,
        secret: bool,
    ) -> Later<'a, Result<Value, String>> {
        Box::pin(async move {
            let mut waits = WAITS.iter();
            loop {
                match self.parameters.get(account, secret, name, None).await {
                    Ok(Some((row, Some(version)))) => {
                        return Ok(value_of(&row.kind, &version.value));
                    }
                    Ok(_) => return Err(format!("there is no parameter `{name}`")),
                    Err(error) => {
                        let told = &error as &dyn std::error::Error;
                        tracing::error!(error = told, "a parameter cannot be read");
                    }
                }
                // A database that is away for a moment is no reason to take a value for none.
                match waits.next() {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => return Err("the parameter cannot be read now".to_owned()),
                }
            }
        })
    }
}

/// Waits before a parameter is read again.
const WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// The value that a template sees: of a `StringList`, what stands between the commas.
fn value_of(kind: &str, value: &str) -> Value {
    match kind {
        "StringList" => value.split(',').map(str::trim).collect::<Vec<_>>().into(),
        _ => Value::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_behind_a_v() {
        for (text, number) in
            [("v1", Some(1)), ("V12", Some(12)), ("1", None), ("v0", None), ("v-1", None)]
        {
            assert_eq!(version_number(text), number, "{text}");
        }
    }
}
