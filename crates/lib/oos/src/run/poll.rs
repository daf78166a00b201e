//! Calls: once, once with a look at the answer, or again and again until the answer is as wanted.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::actions::required;
use super::kept::of_map;
use super::outputs::{select, typed};
use super::records::{Phase, Status, Waiting};
use super::request::{ApiError, Request, Roa};
use super::scope::get_any_case;
use super::shown::quoted;
use super::{Command, Run, TaskRef, paging};
use crate::expr::Work;
use crate::template::Action;
use crate::value::{equal, kind, text};

/// How often a call is made again that fails for a passing reason; the waits double from a second.
const PASSING_TRIES: u32 = 3;

/// What belongs to the answer that a task execution waits for. Not stored: after a restart the
/// reading begins again.
#[derive(Debug)]
pub(super) enum Partial {
    /// A parameter of the parameter store is being read.
    Store(String, bool),
    /// Further pages are added to the first.
    Pages { body: Value, n_pages: u32 },
    /// Requests that belong together, and what they found.
    Targets {
        requests: VecDeque<Request>,
        found: Vec<Value>,
        seen: BTreeSet<String>,
        kind: &'static super::targets::Kind,
    },
    /// What a child is to be started with as soon as its template is there.
    Child { parameters: Map<String, Value>, has_nulls: bool },
}

impl Run {
    /// Make the call that the properties describe.
    pub(super) fn call(&mut self, id: &str, properties: &Map<String, Value>) {
        let request = match self.build(id, properties) {
            Ok(request) => request,
            Err(error) => return self.fail(id, &error),
        };
        let risk = get_any_case(properties, "Risk").and_then(Value::as_str);
        if self.needs_confirmation(id, &request.api, risk) {
            return self.hold(id, Waiting::HighRisk);
        }
        self.send(id, request);
    }

    pub(super) fn send(&mut self, id: &str, request: Request) {
        self.phase(id, Phase::Calling);
        if let Some(execution) = self.tasks.get(id).map(|task| task.execution.clone()) {
            let parameters = Value::Object(request.parameters.clone());
            let told = format!("calls {} {} {parameters}", request.service, request.api);
            self.log(&execution, Some(id), told);
        }
        let serial = self.next_serial(id);
        let (task, request) = (id.to_owned(), Box::new(request));
        self.commands.push(Command::Call { task, serial, request });
    }

    fn build(&self, id: &str, properties: &Map<String, Value>) -> Result<Request, String> {
        let parameters = match get_any_case(properties, "Parameters") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(other) => return Err(format!("Parameters must be a map, and is {}", kind(other))),
        };
        let roa = match get_any_case(properties, "URI") {
            Some(uri) if !uri.is_null() && *uri != "" => Some(roa(uri, properties)?),
            _ => None,
        };
        self.request_of(
            id,
            required(properties, "Service")?,
            required(properties, "API")?,
            parameters,
            roa,
        )
    }

    pub(super) fn request_of(
        &self,
        id: &str,
        service: String,
        api: String,
        mut parameters: Map<String, Value>,
        roa: Option<Roa>,
    ) -> Result<Request, String> {
        // Nothing and the empty text stand for "not given".
        parameters.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
        let task = self.tasks.get(id).ok_or("the task execution is gone")?;
        let execution = self.executions.get(&task.execution).ok_or("the execution is gone")?;
        let context = &execution.context;
        let region = match get_any_case(&parameters, "RegionId") {
            Some(Value::String(region)) => region.clone(),
            _ => context.region.clone(),
        };
        Ok(Request {
            service,
            api,
            parameters,
            roa,
            region,
            account: context.account.clone(),
            user: context.user.clone(),
            role: execution.ram_role.clone(),
            token: token(&task.id, task.n_answered),
            is_repeated: self.is_resuming && task.phase == Phase::Calling,
        })
    }

    pub(super) fn called(&mut self, id: &str, result: Result<Value, ApiError>) {
        let Some(task) = self.tasks.get(id) else { return };
        let Some(here) = self.task_of(task) else { return };
        let execution = task.execution.clone();
        if result.is_ok() && task.n_passing > 0 {
            self.change(id, |task| task.n_passing = 0);
        }
        if self.is_cancelling(&execution) {
            // What was made is known to whoever cleans up.
            if let Ok(body) = &result {
                self.keep_outputs(id, body);
            }
            return self.finish(id, Status::Cancelled, "");
        }
        match &here.action {
            Action::ExecuteApi => self.executed(id, &here, result),
            Action::SelectTargets => self.target_called(id, result),
            _ => self.looked(id, &here, result),
        }
    }

    /// Whether a failed call is made again after a wait.
    pub(super) fn tries_again(&mut self, id: &str, error: &ApiError) -> bool {
        let Some(task) = self.tasks.get(id) else { return false };
        let (n_passing, execution) = (task.n_passing, task.execution.clone());
        if !error.is_passing() || n_passing >= PASSING_TRIES {
            return false;
        }
        let wait_s = 1_u32 << n_passing;
        // It begins with the first page again.
        if matches!(self.partial.get(id), Some(Partial::Pages { .. })) {
            self.partial.remove(id);
        }
        self.change(id, |task| {
            task.n_passing = n_passing + 1;
            task.last_error = Some(error.to_string());
        });
        self.log(&execution, Some(id), format!("{error}; again in {wait_s} s"));
        self.wait(id, wait_s);
        true
    }

    fn wait(&mut self, id: &str, seconds: u32) {
        let wait = jiff::SignedDuration::from_secs(i64::from(seconds));
        let until = self.now.checked_add(wait).unwrap_or(jiff::Timestamp::MAX);
        self.phase(id, Phase::Until(until));
    }

    fn executed(&mut self, id: &str, here: &TaskRef, result: Result<Value, ApiError>) {
        let body = match result {
            Ok(body) => body,
            Err(error) => {
                if !self.tries_again(id, &error) {
                    self.fail(id, &error.to_string());
                }
                return;
            }
        };
        let (body, n_pages) = match self.partial.remove(id) {
            Some(Partial::Pages { body: first, n_pages }) => match paging::join(first, body) {
                Ok(joined) => (joined, n_pages),
                Err(error) => return self.fail(id, &error),
            },
            _ => ((body.clone(), body), 1),
        };
        let (whole, last) = body;
        let Some(properties) = self.properties(id, here) else { return };
        let request = match self.build(id, &properties) {
            Ok(request) => request,
            Err(error) => return self.fail(id, &error),
        };
        let is_paged = get_any_case(&properties, "AutoPaging")
            .is_none_or(|value| crate::functions::truth(value).unwrap_or(true));
        let next = match is_paged {
            true => paging::next(&request, &last, n_pages),
            false => Ok(None),
        };
        match next {
            Ok(Some(next)) => {
                self.keep_partial(id, Partial::Pages { body: whole, n_pages: n_pages + 1 });
                self.send(id, next);
            }
            Ok(None) => self.succeed(id, &whole),
            Err(error) => self.fail(id, &error),
        }
    }

    fn looked(&mut self, id: &str, here: &TaskRef, result: Result<Value, ApiError>) {
        if let Err(error) = &result
            && self.tries_again(id, error)
        {
            return;
        }
        let Some(properties) = self.properties(id, here) else { return };
        let (body, error) = match result {
            Ok(body) => (body, None),
            Err(error) => (error.body(), Some(error.to_string())),
        };
        let verdict = match judge(&self.work, &properties, &body) {
            Ok(verdict) => verdict,
            Err(message) => return self.fail(id, &message),
        };
        if verdict.is_wanted {
            return self.succeed(id, &body);
        }
        let shown = quoted(&verdict.value);
        let found = match &error {
            Some(error) => format!("the answer is {error}"),
            None if verdict.value.is_null() => "nothing is selected".to_owned(),
            None => format!("`{shown}` is selected"),
        };
        if verdict.is_stop {
            return self.fail(id, &format!("{found}, one of StopRetryValues"));
        }
        let retries = here.polling.retries.unwrap_or(match here.action {
            Action::WaitFor => 10,
            _ => 0,
        });
        let Some(task) = self.tasks.get(id) else { return };
        let (n_looks, execution) = (task.n_answered.saturating_add(1), task.execution.clone());
        if n_looks > retries {
            return self.fail(id, &format!("{found} {}", verdict.wanted));
        }
        self.change(id, |task| {
            task.n_answered = n_looks;
            task.last_error = error;
        });
        let wait_s = here.polling.wait_s(n_looks);
        self.log(&execution, Some(id), format!("{found}; again in {wait_s} s"));
        self.wait(id, wait_s);
    }

    fn keep_outputs(&mut self, id: &str, body: &Value) {
        let Some(task) = self.tasks.get(id) else { return };
        let Some(here) = self.task_of(task) else { return };
        let execution = task.execution.clone();
        let mut outputs = Map::new();
        if let Some(scope) = self.scope_of(id) {
            for output in &here.outputs {
                let value = scope.value(&output.selector).ok();
                let results =
                    value.and_then(|script| select(&self.work, &text(&script), body).ok());
                if let Some((results, _)) = results
                    && !results.is_empty()
                {
                    outputs.insert(output.name.clone(), typed(output.kind, results));
                }
            }
        }
        let old = self.tasks.get(id).map_or(0, |task| of_map(&task.outputs));
        match self.keep_bytes(old, of_map(&outputs)) {
            Ok(()) => self.change(id, |task| task.outputs = outputs),
            Err(error) => self.log(&execution, Some(id), format!("the outputs: {error}")),
        }
    }
}

/// What a look at an answer found.
struct Verdict {
    value: Value,
    is_wanted: bool,
    is_stop: bool,
    /// What was wanted, for people.
    wanted: String,
}

fn judge(work: &Work, properties: &Map<String, Value>, body: &Value) -> Result<Verdict, String> {
    let list = |name: &str| match get_any_case(properties, name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items.clone()),
        Some(other) => Err(format!("{name} must be a list, and is {}", kind(other))),
    };
    let (desired, not_desired) = (list("DesiredValues")?, list("NotDesiredValues")?);
    let stop = list("StopRetryValues")?;
    if desired.is_empty() && not_desired.is_empty() {
        return Err("DesiredValues or NotDesiredValues must name a value".to_owned());
    }
    let selector = required(properties, "PropertySelector")?;
    let (mut results, _) =
        select(work, &selector, body).map_err(|error| format!("PropertySelector: {error}"))?;
    let value = match results.len() {
        0 => Value::Null,
        1 => results.remove(0),
        _ => Value::Array(results),
    };
    let is_in = |values: &[Value]| values.iter().any(|wanted| equal(wanted, &value));
    let is_wanted = (desired.is_empty() || is_in(&desired)) && !is_in(&not_desired);
    let is_stop = is_in(&stop);
    let names = |values: &[Value]| {
        values.iter().map(|value| format!("`{}`", text(value))).collect::<Vec<_>>().join(" or ")
    };
    let wanted = match (desired.is_empty(), not_desired.is_empty()) {
        (false, true) => format!("instead of {}", names(&desired)),
        (false, false) => {
            format!("instead of {} and not {}", names(&desired), names(&not_desired))
        }
        _ => format!("and may not be {}", names(&not_desired)),
    };
    Ok(Verdict { value, is_wanted, is_stop, wanted })
}

fn roa(uri: &Value, properties: &Map<String, Value>) -> Result<Roa, String> {
    let method = get_any_case(properties, "Method").map(|method| text(method).to_ascii_uppercase());
    let method = method.filter(|method| !method.is_empty()).unwrap_or_else(|| "GET".to_owned());
    let headers = match get_any_case(properties, "Headers") {
        Some(Value::Object(map)) => {
            map.iter().map(|(name, value)| (name.clone(), text(value).into_owned())).collect()
        }
        None | Some(Value::Null) => Vec::new(),
        Some(other) => return Err(format!("Headers must be a map, and is {}", kind(other))),
    };
    let body = get_any_case(properties, "Body").map(|body| text(body).into_owned());
    Ok(Roa { method, uri: text(uri).into_owned(), headers, body: body.unwrap_or_default() })
}

/// The same for the same call, after a crash as well.
fn token(task: &str, n_answered: u32) -> String {
    let digest = Sha256::digest(format!("{task}/{n_answered}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
