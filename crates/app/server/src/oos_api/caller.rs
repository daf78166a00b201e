//! Calls of templates, answered in this process by kiln's own actions.
//!
//! A call is made in the name of whoever started the execution, with no more rights than that: the
//! policies of a user's keys all have to allow it, because an execution outlives the key that
//! started it. Where the template names a role that is configured, the role's policies count
//! instead, and the user must be allowed `ram:PassRole` on it; a role that is not configured adds
//! nothing and takes nothing. What kiln has no action for goes to an endpoint, where the
//! configuration names one.

use std::sync::{Arc, OnceLock, Weak};

use jiff::Timestamp;
use kiln_ecs::answer::Format;
use kiln_ecs::error::{ApiError as Refusal, new_request_id};
use kiln_ecs::sign::AuthError;
use kiln_factory::executions::{
    Caller, Later, RpcCaller, Web, has_path, interrupted, is_repeatable, wire,
};
use kiln_oos::run::{ApiError, HttpAnswer, HttpRequest, Request};
use serde_json::Value;

use crate::accounts::{self, State};
use crate::ecs::{Call, Handler, Service, find_action};

/// The user of an account that has no name of its own.
const ROOT: &str = "root";

/// Who is named as having started an execution: the user, or of the account itself its number.
#[must_use]
pub(super) fn starter(caller: &accounts::Caller) -> String {
    if caller.user == ROOT { caller.account.clone() } else { caller.user.clone() }
}

/// Whether a caller may say with what parameters an execution goes on: its calls are made with the
/// rights of `executed_by`, who started it, so that nobody else but the account itself may.
///
/// # Errors
///
/// `Forbidden.RAM`.
pub(super) fn may_give(caller: &accounts::Caller, executed_by: &str) -> Result<(), Refusal> {
    match caller.user == ROOT || starter(caller) == executed_by {
        true => Ok(()),
        false => Err(AuthError::Forbidden.into()),
    }
}

/// Answers calls by the actions of [`Service`].
#[derive(Debug)]
pub(crate) struct InProcess {
    /// Set once the service is there, which needs this caller to be made.
    service: OnceLock<Weak<Service>>,
    remote: Option<RpcCaller>,
    web: Arc<Web>,
}

impl InProcess {
    /// A caller that has no service yet. `remote` takes what kiln has no action for.
    #[must_use]
    pub(crate) fn new(remote: Option<RpcCaller>, web: Arc<Web>) -> Self {
        Self { service: OnceLock::new(), remote, web }
    }

    /// Answer by the actions of `service` from now on.
    pub(crate) fn serve(&self, service: &Arc<Service>) {
        // A second service has another caller.
        let _ = self.service.set(Arc::downgrade(service));
    }

    async fn answer(&self, request: &Request, now: Timestamp) -> Result<Value, ApiError> {
        let service = self.service.get().and_then(Weak::upgrade);
        let service = service.ok_or_else(|| {
            // Between the start of the engine and that of the service: the call is made again.
            of(Refusal::new(503, "ServiceUnavailable", "The service is starting or ending."))
        })?;
        let Some((name, handler)) = action(request)? else {
            return match &self.remote {
                Some(remote) => remote.call(request, now).await,
                None if request.roa.is_some() => {
                    Err(has_path(request, "kiln's own actions have none; set `oos.endpoint`"))
                }
                None => Err(of(AuthError::UnknownAction.into())),
            };
        };
        let takes_token = wire::takes_token(&request.service, name);
        if request.is_repeated && !is_repeatable(request) {
            return Err(interrupted(request));
        }
        let state = service.accounts.now();
        let caller = caller(&state, request).map_err(of)?;
        let pairs = pairs(request, takes_token);
        let call = Call {
            service: &service,
            accounts: &state,
            caller: &caller,
            action: name,
            pairs: &pairs,
            host: "",
        };
        let request_id = new_request_id();
        let answer = handler(&call).await;
        let text = answer.and_then(|answer| {
            answer.text(Format::Json, name, &request_id).map_err(|_| Refusal::internal())
        });
        let text = text.map_err(|error| ApiError { request_id, ..of(error) })?;
        tracing::info!(
            action = name,
            account = caller.account,
            user = caller.user,
            "a call of a template"
        );
        serde_json::from_str(&text).map_err(|_| of(Refusal::internal()))
    }
}

impl Caller for InProcess {
    fn call<'a>(
        &'a self,
        request: &'a Request,
        now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>> {
        Box::pin(self.answer(request, now))
    }

    fn http<'a>(&'a self, request: &'a HttpRequest) -> Later<'a, Result<HttpAnswer, String>> {
        Box::pin(self.web.send(request))
    }
}

/// kiln's action for a call, or `None` where there is none. Templates write names in any case.
fn action(request: &Request) -> Result<Option<(&'static str, Handler)>, ApiError> {
    if request.roa.is_some() {
        return Ok(None);
    }
    match request.service.to_ascii_uppercase().as_str() {
        "ECS" => Ok(find_action(&request.api)),
        "OOS" => Ok(super::find(&request.api)),
        _ => Ok(None),
    }
}

/// In whose name, and with which rights, a call is made.
fn caller(state: &State, request: &Request) -> Result<accounts::Caller, Refusal> {
    let user = if request.user == request.account { ROOT } else { &request.user };
    let own = state.user(&request.account, user);
    acting(state, &own.ok_or_else(|| Refusal::from(AuthError::Forbidden))?, &request.role)
}

/// The user `own`, or the role that it acts as. A role may be named by itself, or as
/// `acs:ram::<account>:role/<name>`.
///
/// # Errors
///
/// `Forbidden.RAM` where the role is configured and the user may not pass it on.
pub(super) fn acting(
    state: &State,
    own: &accounts::Caller,
    role: &str,
) -> Result<accounts::Caller, Refusal> {
    let name = role.rsplit('/').next().unwrap_or_default();
    let Some(policies) = state.roles.get(&(own.account.clone(), name.to_owned())) else {
        return Ok(own.clone());
    };
    let resource = format!("acs:ram::{}:role/{name}", own.account);
    if !own.may("ram:PassRole", &resource) {
        return Err(AuthError::Forbidden.into());
    }
    Ok(accounts::Caller::new(own.account.clone(), own.user.clone(), policies.clone()))
}

/// The parameters of a call, with its region and its token.
fn pairs(request: &Request, takes_token: bool) -> Vec<(String, String)> {
    let mut pairs = wire::pairs(&request.service, &request.api, &request.parameters);
    let has = |pairs: &[(String, String)], name: &str| pairs.iter().any(|(own, _)| own == name);
    if !has(&pairs, "RegionId") && !request.region.is_empty() {
        pairs.push(("RegionId".to_owned(), request.region.clone()));
    }
    if takes_token && !has(&pairs, "ClientToken") {
        pairs.push(("ClientToken".to_owned(), request.token.clone()));
    }
    pairs
}

/// The refusal of an action as a run sees it.
fn of(error: Refusal) -> ApiError {
    ApiError {
        status: error.status,
        code: error.code,
        message: error.message,
        request_id: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use kiln_model::Policy;

    use super::*;
    use crate::accounts::Key;

    fn policy(action: &str) -> Policy {
        let statement = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#);
        Policy::parse(&format!(r#"{{"Version":"1","Statement":[{statement}]}}"#)).unwrap()
    }

    fn request(user: &str, role: &str) -> Request {
        Request {
            service: "ECS".to_owned(),
            api: "DescribeImages".to_owned(),
            parameters: serde_json::Map::new(),
            roa: None,
            region: "cn-a".to_owned(),
            account: "1".to_owned(),
            user: user.to_owned(),
            role: role.to_owned(),
            token: "t".to_owned(),
            is_repeated: false,
        }
    }

    /// Near miss planted: a user who is named like the account.
    #[test]
    fn only_who_started_an_execution_and_the_account_give_it_parameters() {
        let caller = |user: &str| accounts::Caller::new("1".into(), user.into(), Vec::new());
        for (user, executed_by, may) in [
            ("admin", "admin", true),
            ("other", "admin", false),
            (ROOT, "admin", true),
            (ROOT, "1", true),
            ("other", "1", false),
        ] {
            assert_eq!(may_give(&caller(user), executed_by).is_ok(), may, "{user}, {executed_by}");
        }
    }

    /// What each user may do, by itself and as each role.
    #[test]
    fn a_call_has_the_rights_of_its_user_or_of_a_role_that_the_user_may_pass_on() {
        let key = |user: &str, policies: &[&str]| Key {
            secret: String::new(),
            is_disabled: false,
            caller: accounts::Caller::new(
                "1".to_owned(),
                user.to_owned(),
                policies.iter().map(|action| policy(action)).collect(),
            ),
        };
        let keys = [
            ("k1".to_owned(), key(ROOT, &["ecs:Describe*", "ram:PassRole"])),
            ("k2".to_owned(), key("reader", &["ecs:Describe*"])),
        ];
        let roles = [(("1".to_owned(), "maker".to_owned()), vec![policy("ecs:CreateImage")])];
        let state = State { keys: keys.into(), roles: roles.into(), ..State::default() };
        for (user, role, reads, makes) in [
            ("1", "", true, false),
            ("1", "maker", false, true),
            ("1", "acs:ram::1:role/maker", false, true),
            ("1", "OOSServiceRole", true, false),
            ("reader", "", true, false),
            ("reader", "maker", false, false),
            ("gone", "", false, false),
        ] {
            let may = |action: &str| {
                let acting = caller(&state, &request(user, role));
                acting.is_ok_and(|acting| acting.may(action, "*"))
            };
            let found = (may("ecs:DescribeImages"), may("ecs:CreateImage"));
            assert_eq!(found, (reads, makes), "{user} as {role:?}");
        }
    }

    #[test]
    fn a_call_says_where_it_is_and_by_which_token() {
        let mut own = request("1", "");
        own.parameters.insert("ImageId".to_owned(), Value::from("m-1"));
        let name = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, _)| name).collect();
        let names: Vec<String> = name(pairs(&own, true));
        assert_eq!(names, ["ImageId", "RegionId", "ClientToken"]);
        own.parameters.insert("RegionId".to_owned(), Value::from("cn-b"));
        assert_eq!(pairs(&own, false).pop(), Some(("RegionId".to_owned(), "cn-b".to_owned())));
    }
}
