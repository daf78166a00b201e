//! Requests with a client token, done once.

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_store::{Once, Token, TokenKey};
use serde_json::Value;

use super::errors;
use crate::ecs::{Call, token_of};

/// A client token in its request.
pub(super) struct Attempt {
    key: TokenKey,
    parameters: String,
}

impl Attempt {
    /// The attempt of a request; `None` where it has no token.
    pub(super) fn of(call: &Call<'_>, region: &str, token: Option<&str>) -> Option<Self> {
        let (key, parameters) = token_of(call, region, token?);
        Some(Self { key, parameters })
    }

    /// What the request was answered before, if it was there before.
    ///
    /// # Errors
    ///
    /// `IdempotentParameterMismatch`; those of the store.
    pub(super) async fn before(&self, call: &Call<'_>) -> Result<Option<Value>, ApiError> {
        match call.service.records.token(&self.key).await.map_err(errors::store)? {
            None => Ok(None),
            Some(known) if known.parameters == self.parameters => Ok(Some(known.answer)),
            Some(_) => Err(errors::mismatch()),
        }
    }

    /// The token as the store keeps it with the answer, in the transaction that does the work.
    pub(super) fn with(&self, answer: Value) -> (TokenKey, Token) {
        let Self { key, parameters } = self;
        let created = Timestamp::now();
        (key.clone(), Token { parameters: parameters.clone(), answer, created })
    }
}

/// What was answered before, if anything.
///
/// # Errors
///
/// As [`Attempt::before`].
pub(super) async fn before(
    call: &Call<'_>,
    attempt: Option<&Attempt>,
) -> Result<Option<Value>, ApiError> {
    match attempt {
        Some(attempt) => attempt.before(call).await,
        None => Ok(None),
    }
}

/// The answer of what the store did once: `answer` where it was done now.
///
/// # Errors
///
/// `IdempotentParameterMismatch`.
pub(super) fn answered<T>(
    once: Once<T>,
    answer: impl FnOnce(T) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    match once {
        Once::Done(done) => answer(done),
        Once::Before(before) => Ok(before),
        Once::Mismatch => Err(errors::mismatch()),
    }
}
