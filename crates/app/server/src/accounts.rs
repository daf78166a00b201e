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
    /// Sets of policies, each of which has to allow what is done.
    policies: Vec<Arc<[Policy]>>,
}

impl Caller {
    /// A caller of an account with policies.
    #[must_use]
    pub(crate) fn new(account: String, user: String, policies: Vec<Policy>) -> Self {
        Self { account, user, policies: vec![policies.into()] }
    }

    /// Whether the policies allow `action` (`ecs:ImportImage`) on `resource`.
    #[must_use]
    pub(crate) fn may(&self, action: &str, resource: &str) -> bool {
        let allows = |set: &Arc<[Policy]>| decide(set, action, resource) == Decision::Allowed;
        !self.policies.is_empty() && self.policies.iter().all(allows)
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
    /// A user of an account, for what is done in its name without one of its keys; `None` where it
    /// has no key that is switched on. Policies belong to keys: where they differ, what all of them
    /// allow is allowed, so that no key gives more than itself.
    #[must_use]
    pub(crate) fn user(&self, account: &str, user: &str) -> Option<Caller> {
        let keys = self.keys.values().filter(|key| !key.is_disabled).map(|key| &key.caller);
        let own: Vec<&Caller> =
            keys.filter(|it| it.account == account && it.user == user).collect();
        let policies = own.iter().flat_map(|caller| caller.policies.clone()).collect();
        let first = own.first()?;
        Some(Caller { account: first.account.clone(), user: first.user.clone(), policies })
    }

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
    fn a_user_may_what_all_of_its_keys_may() {
        let policy = |action: &str| {
            let statement = r#"{"Effect":"Allow","Action":"ACTION","Resource":"*"}"#;
            let text = format!(r#"{{"Version":"1","Statement":[{statement}]}}"#);
            Policy::parse(&text.replace("ACTION", action)).unwrap()
        };
        let key = |user: &str, policies: Vec<Policy>, is_disabled: bool| Key {
            secret: String::new(),
            is_disabled,
            caller: Caller::new("1".into(), user.into(), policies),
        };
        let keys = [
            ("a".into(), key("u", vec![policy("ecs:*")], false)),
            ("b".into(), key("u", vec![policy("ecs:DescribeImages")], false)),
            ("c".into(), key("gone", vec![policy("ecs:*")], true)),
        ];
        let state = State { keys: keys.into(), ..State::default() };
        let user = state.user("1", "u").unwrap();
        assert!(user.may("ecs:DescribeImages", "*"));
        assert!(
            !user.may("ecs:DeleteImage", "*"),
            "the narrow key must not gain from the wide one"
        );
        for (account, user) in [("1", "gone"), ("2", "u"), ("1", "nobody")] {
            assert!(state.user(account, user).is_none(), "{account} {user}");
        }
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
