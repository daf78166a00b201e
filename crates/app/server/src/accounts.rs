//! Who may call: accounts, their users' access keys and policies, and roles.
//!
//! All of it is configuration (ADR 0009). It is held behind one lock that a reload replaces as a
//! whole, so that a request sees one state of it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kiln_model::{Decision, Policy, decide};

use crate::oss::Credentials;

/// A caller of the API: the key was found, and its signature was good.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The account, digits.
    pub(crate) account: String,
    /// The user within the account, for logs.
    pub(crate) user: String,
    policies: Arc<[Policy]>,
}

impl Caller {
    /// A caller of an account with policies.
    #[must_use]
    pub(crate) fn new(account: String, user: String, policies: Vec<Policy>) -> Self {
        Self { account, user, policies: policies.into() }
    }

    /// Whether the policies allow `action` (`ecs:ImportImage`) on `resource`.
    #[must_use]
    pub(crate) fn may(&self, action: &str, resource: &str) -> bool {
        decide(&self.policies, action, resource) == Decision::Allowed
    }
}

/// An access key.
#[derive(Clone)]
pub(crate) struct Key {
    /// What requests are signed with.
    pub(crate) secret: String,
    /// Whether it was switched off.
    pub(crate) is_disabled: bool,
    /// Whose it is.
    pub(crate) caller: Caller,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret is left out: what is printed ends up in logs.
        f.debug_struct("Key").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// Accounts, keys and roles at one moment.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By access key id.
    pub(crate) keys: BTreeMap<String, Key>,
    /// Policies of roles that the service takes on, by account and name.
    pub(crate) roles: BTreeMap<(String, String), Vec<Policy>>,
    /// Resource groups by account.
    pub(crate) resource_groups: BTreeMap<String, Vec<String>>,
    /// All accounts.
    pub(crate) accounts: Vec<String>,
}

/// All accounts, shared and replaceable.
#[derive(Clone, Debug)]
pub(crate) struct Accounts(Arc<RwLock<Arc<State>>>);

impl Accounts {
    /// These accounts.
    #[must_use]
    pub(crate) fn new(state: State) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(state))))
    }

    /// The state of this moment.
    #[must_use]
    pub(crate) fn now(&self) -> Arc<State> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Take another state from the next request on.
    pub(crate) fn replace(&self, state: State) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }
}

impl Credentials for Accounts {
    fn secret(&self, access_key_id: &str) -> Option<String> {
        let state = self.now();
        state.keys.get(access_key_id).filter(|key| !key.is_disabled).map(|key| key.secret.clone())
    }

    fn may(&self, access_key_id: &str, action: &str, resource: &str) -> bool {
        let state = self.now();
        let key = state.keys.get(access_key_id);
        key.is_some_and(|key| !key.is_disabled && key.caller.may(action, resource))
    }
}

/// What taking on a role comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assumed {
    /// The role may do it.
    Allowed,
    /// The role is there and may not.
    Denied,
    /// There is no such role.
    NoRole,
}

impl State {
    /// Whether a role of an account may do `action` on an object of a bucket.
    #[must_use]
    pub(crate) fn assume(
        &self,
        account: &str,
        role: &str,
        action: &str,
        resource: &str,
    ) -> Assumed {
        match self.roles.get(&(account.to_owned(), role.to_owned())) {
            None => Assumed::NoRole,
            Some(policies) if decide(policies, action, resource) == Decision::Allowed => {
                Assumed::Allowed
            }
            Some(_) => Assumed::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed_and_a_reload_replaces_everything() {
        let caller = Caller::new("1".into(), "u".into(), vec![Policy::administrator()]);
        assert!(caller.may("ecs:DeleteImage", "acs:ecs:r:1:image/m"));
        let key = Key { secret: "hush".into(), is_disabled: false, caller };
        assert!(!format!("{key:?}").contains("hush"));
        let accounts =
            Accounts::new(State { keys: [("k".into(), key)].into(), ..State::default() });
        assert_eq!(accounts.now().keys.len(), 1);
        accounts.replace(State::default());
        assert!(accounts.now().keys.is_empty());
    }

    #[test]
    fn a_role_allows_what_its_policies_allow() {
        let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject",
            "Resource":"acs:oss:*:*:b/*"}]}"#;
        let roles = [(("1".to_owned(), "r".to_owned()), vec![Policy::parse(policy).unwrap()])];
        let state = State { roles: roles.into(), ..State::default() };
        let assume = |account: &str, bucket: &str| {
            state.assume(account, "r", "oss:GetObject", &format!("acs:oss:*:*:{bucket}/o"))
        };
        assert_eq!(assume("1", "b"), Assumed::Allowed);
        assert_eq!(assume("1", "c"), Assumed::Denied);
        assert_eq!(assume("2", "b"), Assumed::NoRole);
    }
}
