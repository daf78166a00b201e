//! What the store's refusals are to a client.

use kiln_ecs::error::ApiError;
use kiln_store::StoreError;

/// The store's error as a client sees it. Its cause goes to the log only.
#[must_use]
pub(crate) fn store(error: StoreError) -> ApiError {
    let answer = match &error {
        StoreError::Conflict => {
            let message = "Request was denied due to conflict with a previous request.";
            ApiError::new(409, "OperationConflict", message)
        }
        StoreError::DuplicateName => {
            let message = "The specified Image name has already bean used.";
            ApiError::new(400, "InvalidImageName.Duplicated", message)
        }
        error if error.is_transient() => {
            let message = "The request has failed due to a temporary failure of the server.";
            ApiError::new(503, "ServiceUnavailable", message)
        }
        _ => ApiError::internal(),
    };
    if answer.status >= 500 {
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
    }
    answer
}

/// An answer as the gateway takes it.
pub(super) fn value(response: &impl serde::Serialize) -> serde_json::Value {
    // The types of the wire are structures of texts, numbers and lists: they always have a value.
    serde_json::to_value(response).unwrap_or_default()
}
