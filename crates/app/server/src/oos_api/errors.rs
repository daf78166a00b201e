//! What is refused, in the codes of the API.
//!
//! The service publishes no table of its codes: those that clients and documents show are kept, and
//! the others follow their pattern.

use kiln_ecs::error::ApiError;
use kiln_factory::executions::Failure;
use kiln_oos::diagnostic::{Diagnostics, Severity, line_column};
use kiln_oos::run::Refused;
use kiln_store::StoreError;

/// 404 `EntityNotExists.<what>`.
pub(super) fn absent(what: &str, name: &str) -> ApiError {
    let message = format!("The specified {what} {name} does not exist.");
    ApiError::new(404, format!("EntityNotExists.{what}"), message)
}

/// 409 `EntityAlreadyExists.<what>`.
pub(super) fn exists(what: &str, name: &str) -> ApiError {
    let message = format!("The specified {what} {name} exists already.");
    ApiError::new(409, format!("EntityAlreadyExists.{what}"), message)
}

/// 400 `OperationDenied.ExecutionStatus`.
pub(super) fn status(told: &str) -> ApiError {
    let message = format!("The operation does not fit the state of the execution: {told}.");
    ApiError::new(400, "OperationDenied.ExecutionStatus", message)
}

/// 400 `OperationDenied.PublicTemplate`.
pub(super) fn public(name: &str) -> ApiError {
    let message = format!("The template {name} is public and cannot be changed or deleted.");
    ApiError::new(400, "OperationDenied.PublicTemplate", message)
}

/// 400 `QuotaExceeded.<what>`.
pub(super) fn quota(what: &str, most: u64) -> ApiError {
    let message = format!("The quota is exceeded: there may be {most}.");
    ApiError::new(400, format!("QuotaExceeded.{what}"), message)
}

/// 400 `IdempotentParameterMismatch`.
pub(super) fn mismatch() -> ApiError {
    let message =
        "The request uses the same client token as a previous, but non-identical request.";
    ApiError::new(400, "IdempotentParameterMismatch", message)
}

/// `InvalidParameter` for something that the API has and kiln does not.
pub(super) fn unsupported(name: &str, why: &str) -> ApiError {
    ApiError::invalid_parameter(name, &format!("kiln does not support it: {why}."))
}

/// The first finding of a template that makes it unusable, and how many more there are.
pub(super) fn template(text: &str, diagnostics: &Diagnostics) -> ApiError {
    let is_error = |severity| severity == Severity::Error;
    let findings = diagnostics.sorted();
    let mut errors = findings.into_iter().filter(|finding| is_error(finding.severity));
    let Some(first) = errors.next() else { return ApiError::internal() };
    let (line, column) = line_column(text, first.span.start);
    let more = match errors.count() {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let message =
        format!("The template is not valid, line {line}, column {column}: {first}{more}.");
    ApiError::new(400, first.code.to_string(), message)
}

/// What the executions refuse.
pub(super) fn failure(error: Failure) -> ApiError {
    match error {
        Failure::Parameters(errors) => {
            let told: Vec<String> = errors
                .iter()
                .map(|error| match &error.help {
                    Some(help) => format!("{error} ({help})"),
                    None => error.to_string(),
                })
                .collect();
            let message = format!("The specified parameter is not valid: {}.", told.join("; "));
            ApiError::new(400, "InvalidParameter", message)
        }
        Failure::NoExecution(id) | Failure::Refused(Refused::NoExecution(id)) => {
            absent("Execution", &id)
        }
        Failure::Refused(Refused::NoTask(id)) => absent("TaskExecution", &id),
        Failure::Refused(Refused::State(told)) => status(&told),
        Failure::Store(error) => store(error),
        other => {
            tracing::error!(error = &other as &dyn std::error::Error, "an action failed");
            ApiError::internal()
        }
    }
}

/// What the store refuses.
pub(super) fn store(error: StoreError) -> ApiError {
    match &error {
        StoreError::NotFound { what } if what.contains("page") => super::request::bad_token(),
        _ => crate::ecs::store_error(error),
    }
}
