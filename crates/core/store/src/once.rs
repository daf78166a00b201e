//! What is done once however often a client asks for it: client tokens, in the transaction of what
//! they guard.

use sqlx::AnyConnection;

use crate::records::{Token, TokenKey};
use crate::{Database, StoreError, Writer, records_sql};

/// What came of something that is done once for a client token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// It was done now.
    Done(T),
    /// It was done before, by the same request: this was answered.
    Before(serde_json::Value),
    /// The token belongs to a request with other parameters.
    Mismatch,
}

impl<T> Once<T> {
    /// What was done, made into something else.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Once<U> {
        match self {
            Self::Done(done) => Once::Done(to(done)),
            Self::Before(answer) => Once::Before(answer),
            Self::Mismatch => Once::Mismatch,
        }
    }
}

/// Take `token`, if there is one. `false`: it is taken, and [`recall`] tells by what.
pub(crate) async fn claim(
    writer: &mut AnyConnection,
    token: Option<&(TokenKey, Token)>,
) -> Result<bool, StoreError> {
    let Some((key, token)) = token else { return Ok(true) };
    match records_sql::remember(writer, key, token).await {
        Ok(()) => Ok(true),
        Err(StoreError::DuplicateToken) => Ok(false),
        Err(error) => Err(error),
    }
}

/// End the transaction that could not take `token`, and tell what the token stands for.
pub(crate) async fn recall<T>(
    database: &Database,
    writer: Writer,
    token: Option<&(TokenKey, Token)>,
) -> Result<Once<T>, StoreError> {
    writer.rollback().await?;
    let Some((key, asked)) = token else { return Err(StoreError::DuplicateToken) };
    match records_sql::token(database, key).await? {
        Some(known) if known.parameters == asked.parameters => Ok(Once::Before(known.answer)),
        Some(_) => Ok(Once::Mismatch),
        // It was forgotten in this very moment: the same call will take it.
        None => Err(StoreError::Conflict),
    }
}
