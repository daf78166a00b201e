//! One request, sent twice with a client token, does its work once.
//!
//! The answer is kept in the transaction that does the work, so that there is no moment at which
//! one is there without the other. Only successes are kept: a failed call may be sent again.

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_factory::images::Refusal;
use kiln_store::{Change, Token, TokenKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::errors;
use super::refusal::{Of, api_error};
use crate::ecs::Call;

/// What differs between two sendings of one request.
const PASSED_OVER: [&str; 12] = [
    "AccessKeyId",
    "Action",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
    "ClientToken",
];

/// Whether a request with a client token was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It has no client token.
    Plain,
    /// It is the first of its token; [`First::remember`] goes into the transaction of its work.
    First(First),
    /// It was answered before, with this.
    Repeated(Value),
}

/// The first request of its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct First {
    key: TokenKey,
    parameters: String,
}

impl First {
    /// The change that keeps `answer`, for the transaction that does the work.
    #[must_use]
    pub(super) fn remember(self, answer: Value, now: Timestamp) -> Change {
        Change::Remember(self.key, Token { parameters: self.parameters, answer, created: now })
    }
}

/// Look up the request's token, which `check::client_token` has judged.
///
/// Two first requests at the same time: the transaction of one of them ends in
/// `StoreError::DuplicateToken`; [`or_answered`] gives its caller the answer of the other.
///
/// # Errors
///
/// 400 `IdempotentParameterMismatch`; those of the store.
pub(super) async fn begin(
    call: &Call<'_>,
    region: &str,
    token: Option<&str>,
) -> Result<Attempt, ApiError> {
    let Some(token) = token else { return Ok(Attempt::Plain) };
    let (key, parameters) = token_of(call, region, token);
    match call.service.records.token(&key).await.map_err(errors::store)? {
        None => Ok(Attempt::First(First { key, parameters })),
        Some(known) if known.parameters == parameters => Ok(Attempt::Repeated(known.answer)),
        Some(_) => {
            let message = "The request is retried with updated parameters.";
            Err(ApiError::new(400, "IdempotentParameterMismatch", message))
        }
    }
}

/// The answer of the same request where that one was quicker, and this one was refused for what it
/// met of the other's work; the error of the refusal otherwise.
///
/// # Errors
///
/// Those of [`begin`]; what the refusal is.
pub(super) async fn or_answered(
    call: &Call<'_>,
    region: &str,
    token: Option<&str>,
    of: Of,
    refusal: Refusal,
) -> Result<Value, ApiError> {
    match begin(call, region, token).await? {
        Attempt::Repeated(answer) => Ok(answer),
        _ => Err(api_error(of, &refusal)),
    }
}

/// What a client token is kept by, and the digest of the parameters that it came with.
#[must_use]
pub(crate) fn token_of(call: &Call<'_>, region: &str, token: &str) -> (TokenKey, String) {
    let key = TokenKey {
        account: call.account().to_owned(),
        region: region.to_owned(),
        action: call.action.to_owned(),
        token: token.to_owned(),
    };
    (key, digest(call.pairs))
}

/// SHA-256 of what a request asks for, in any order, as hexadecimal digits.
fn digest(pairs: &[(String, String)]) -> String {
    // Of two equal names the last one counts, as where parameters are read.
    let pairs: std::collections::BTreeMap<&String, &String> = pairs
        .iter()
        .filter(|(name, _)| !PASSED_OVER.contains(&name.as_str()))
        .map(|(name, value)| (name, value))
        .collect();
    let mut hash = Sha256::new();
    for part in pairs.into_iter().flat_map(|(name, value)| [name, value]) {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ecs::actions::testing::{OWNER, Site};

    #[tokio::test]
    async fn a_token_gives_the_same_answer_for_the_same_parameters_only() {
        let site = Site::open().await;
        let begin = async |pairs: &[(&str, &str)], account, region| {
            let site = &site;
            site.with(account, "CopyImage", pairs, async |call| {
                begin(call, region, Some("t-1")).await
            })
            .await
        };
        let pairs = [("A", "1"), ("B", ""), ("Timestamp", "x"), ("SignatureNonce", "1")];
        let Ok(Attempt::First(first)) = begin(&pairs, OWNER, "cn-a").await else {
            panic!("it is the first");
        };
        let change = first.remember(json!({"ImageId": "m-1"}), Timestamp::UNIX_EPOCH);
        site.records.apply(vec![change.clone()]).await.unwrap();

        let again = [("B", ""), ("A", "1"), ("Timestamp", "y"), ("SignatureNonce", "2")];
        let repeated = begin(&again, OWNER, "cn-a").await.unwrap();
        assert_eq!(repeated, Attempt::Repeated(json!({"ImageId": "m-1"})));
        for other in [[("A", "2"), ("B", "")], [("A", "1"), ("C", "")], [("A", "1B"), ("A", "")]] {
            let error = begin(&other, OWNER, "cn-a").await.unwrap_err();
            assert_eq!((error.status, &*error.code), (400, "IdempotentParameterMismatch"));
        }
        for (account, region) in [("2", "cn-a"), (OWNER, "cn-b")] {
            let other = begin(&pairs, account, region).await.unwrap();
            assert!(matches!(other, Attempt::First(_)), "{account} {region}");
        }
        let error = site.records.apply(vec![change]).await.unwrap_err();
        assert!(matches!(error, kiln_store::StoreError::DuplicateToken), "{error}");
    }
}
