//! An error as a client of the API sees it: an HTTP status, a code and a message.
//!
//! SDKs act on the code and on the status (they retry on 5xx and on throttling), and one of them
//! even takes a message apart, so codes and messages are part of the contract.

use crate::xml;

/// A failed call as it goes to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    /// The HTTP status: 4xx where the caller is at fault, 5xx where the server is.
    pub status: u16,
    /// The code that clients match on, for example `InvalidParameter`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}

impl ApiError {
    /// An error of this status, code and message.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// `MissingParameter`: the action cannot go on without `name`.
    pub fn missing_parameter(name: &str) -> Self {
        let message = format!(
            "The input parameter \"{name}\" that is mandatory for processing this request is not \
             supplied."
        );
        Self::new(400, "MissingParameter", message)
    }

    /// `InvalidParameter`: `name` has a value that cannot be right. `why` says what is expected.
    pub fn invalid_parameter(name: &str, why: &str) -> Self {
        let dot = if why.is_empty() { "" } else { " " };
        Self::new(
            400,
            "InvalidParameter",
            format!("The specified parameter {name} is not valid.{dot}{why}"),
        )
    }

    /// `InternalError`: the cause belongs in the log, never in the answer.
    pub fn internal() -> Self {
        Self::new(
            500,
            "InternalError",
            "The request processing has failed due to some unknown error, exception or failure.",
        )
    }

    /// The answer's body as JSON. `host` is the `Host` header of the request.
    pub fn to_json(&self, request_id: &str, host: &str) -> String {
        serde_json::json!({
            "RequestId": request_id,
            "HostId": host,
            "Code": self.code,
            "Message": self.message,
        })
        .to_string()
    }

    /// The answer's body as XML. `host` is the `Host` header of the request.
    pub fn to_xml(&self, request_id: &str, host: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><RequestId>{}</RequestId><HostId>{}\
             </HostId><Code>{}</Code><Message>{}</Message></Error>",
            xml::text(request_id),
            xml::text(host),
            xml::text(&self.code),
            xml::text(&self.message),
        )
    }
}

/// A new request id: an upper-case UUID with dashes.
pub fn new_request_id() -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    uuid::Uuid::new_v4().hyphenated().encode_upper(&mut buffer).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_renderings_carry_every_field_escaped() {
        let error = ApiError::new(400, "A.B", "1 < \"2\"");
        assert_eq!(
            error.to_xml("R", "h:1"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><RequestId>R</RequestId>\
             <HostId>h:1</HostId><Code>A.B</Code><Message>1 &lt; &quot;2&quot;</Message></Error>"
        );
        let json: serde_json::Value = serde_json::from_str(&error.to_json("R", "h:1")).unwrap();
        let expected = serde_json::json!({
            "RequestId": "R", "HostId": "h:1", "Code": "A.B", "Message": "1 < \"2\"",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn request_ids_are_upper_case_and_differ() {
        let (one, two) = (new_request_id(), new_request_id());
        assert_eq!((one.len(), one.to_ascii_uppercase()), (36, one.clone()));
        assert_ne!(one, two);
    }

    #[test]
    fn messages_name_the_parameter() {
        assert_eq!(
            ApiError::missing_parameter("RegionId").message,
            "The input parameter \"RegionId\" that is mandatory for processing this request is \
             not supplied."
        );
        assert_eq!(
            ApiError::invalid_parameter("X", "").message,
            "The specified parameter X is not valid."
        );
    }
}
