//! Why a request was not let in, with the status, code and message of the public gateway.

use crate::error::ApiError;

/// A request that is refused before its action is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No such access key.
    #[error("Specified access key is not found.")]
    UnknownKey,
    /// The access key exists and is switched off.
    #[error("Specified access key is disabled.")]
    InactiveKey,
    /// The signature differs, [`v1`](super::v1). One SDK splits the text at its first colon and
    /// compares the rest with its own, so no other colon may come before.
    #[error(
        "Specified signature is not matched with our calculation. server string to sign \
         is:{string_to_sign}"
    )]
    MismatchV1 {
        /// What the server signed.
        string_to_sign: String,
    },
    /// The signature or the hash of the body differs, [`v3`](super::v3).
    #[error(
        "Specified signature does not match our calculation. server StringToSign is \
         [{string_to_sign}] server CanonicalRequest is [{canonical_request}]"
    )]
    MismatchV3 {
        /// What the server signed.
        string_to_sign: String,
        /// What that is the hash of.
        canonical_request: String,
    },
    /// The clocks differ too much.
    #[error("Specified time stamp or date value is expired.")]
    Expired,
    /// `Timestamp` or `x-acs-date` is not `yyyy-MM-ddTHH:mm:ssZ`.
    #[error("Specified time stamp or date value is not well formatted.")]
    TimeFormat,
    /// The nonce was seen before.
    #[error("Specified signature nonce was used already.")]
    NonceUsed,
    /// The `Authorization` header or the `Signature` parameter is malformed.
    #[error("The request signature does not conform to Alibaba Cloud standards.")]
    Incomplete,
    /// Some other algorithm.
    #[error("Specified signature method is not valid.")]
    Method,
    /// A common parameter is missing.
    #[error("{name} is mandatory for this action.")]
    Missing {
        /// The parameter, for example `Timestamp`.
        name: &'static str,
    },
    /// No such action.
    #[error("Specified api is not found, please check your url and method.")]
    UnknownAction,
    /// Some other version of the API.
    #[error("Specified parameter Version is not valid.")]
    Version,
    /// `Format` is neither JSON nor XML.
    #[error("Specified parameter format is not valid.")]
    Format,
    /// The temporary credentials have run out.
    #[error("Specified SecurityToken is expired.")]
    TokenExpired,
    /// The temporary credentials make no sense.
    #[error("Specified SecurityToken is malformed.")]
    TokenMalformed,
    /// The caller may not do this.
    #[error(
        "User not authorized to operate on the specified resource, or this API doesn't support RAM."
    )]
    Forbidden,
    /// Too many calls.
    #[error("Request was denied due to user flow control.")]
    Throttled,
    /// Neither GET nor POST.
    #[error("This HTTP method is not supported.")]
    HttpMethod,
}

impl AuthError {
    /// The HTTP status and the code; [`MissingX`](Self::Missing) codes are made of the name.
    fn status_and_code(&self) -> (u16, String) {
        let (status, code) = match self {
            Self::UnknownKey => (404, "InvalidAccessKeyId.NotFound"),
            Self::InactiveKey => (400, "InvalidAccessKeyId.Inactive"),
            Self::MismatchV1 { .. } | Self::MismatchV3 { .. } => (400, "SignatureDoesNotMatch"),
            Self::Expired => (400, "InvalidTimeStamp.Expired"),
            Self::TimeFormat => (400, "InvalidTimeStamp.Format"),
            Self::NonceUsed => (400, "SignatureNonceUsed"),
            Self::Incomplete => (400, "IncompleteSignature"),
            Self::Method => (400, "InvalidSignatureMethod"),
            Self::Missing { name } => return (400, format!("Missing{name}")),
            Self::UnknownAction => (404, "InvalidAction.NotFound"),
            Self::Version => (400, "InvalidVersion"),
            Self::Format => (400, "InvalidParameter.Format"),
            Self::TokenExpired => (400, "InvalidSecurityToken.Expired"),
            Self::TokenMalformed => (400, "InvalidSecurityToken.Malformed"),
            Self::Forbidden => (403, "Forbidden.RAM"),
            Self::Throttled => (400, "Throttling.User"),
            Self::HttpMethod => (403, "UnsupportedHTTPMethod"),
        };
        (status, code.to_owned())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let (status, code) = error.status_and_code();
        Self::new(status, code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_codes_and_messages_are_the_gateways() {
        let v1 = AuthError::MismatchV1 { string_to_sign: "GET&%2F&a".to_owned() };
        for (error, status, code, message) in [
            (
                AuthError::UnknownKey,
                404,
                "InvalidAccessKeyId.NotFound",
                "Specified access key is not found.",
            ),
            (
                AuthError::Missing { name: "Timestamp" },
                400,
                "MissingTimestamp",
                "Timestamp is mandatory for this action.",
            ),
            (
                v1,
                400,
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation. server string to sign is:GET&%2F&a",
            ),
        ] {
            assert_eq!(ApiError::from(error), ApiError::new(status, code, message));
        }
    }
}
