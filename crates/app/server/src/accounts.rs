//! Who calls.

use std::sync::Arc;

use kiln_model::{Decision, Policy, decide};

/// Who signed a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account, digits.
    pub account: String,
    /// The user of the account; `None` for the account itself.
    pub user: Option<String>,
    /// The access key's id.
    pub key: String,
    /// What the caller may do.
    pub policies: Arc<[Policy]>,
}

impl Caller {
    /// May the caller do `action` (`ecs:ImportImage`) to `resource`?
    #[must_use]
    pub fn may(&self, action: &str, resource: &str) -> bool {
        decide(&self.policies, action, resource) == Decision::Allowed
    }
}
