//! What a task execution does, by the action of its task.

use serde_json::{Map, Value};

use super::conditions::{Held, Worked};
use super::kept::of_map;
use super::poll::Partial;
use super::records::{Phase, Status, Waiting};
use super::request::{HttpAnswer, HttpRequest};
use super::scope::get_any_case;
use super::{Command, Run, TaskRef, parse_duration};
use crate::expr::{Expr, Pseudo, Target};
use crate::template::Action;
use crate::value::{kind, text};

impl Run {
    /// Do what the task says, from its beginning.
    pub(super) fn act(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        let (execution, is_item) = (task.execution.clone(), task.parent.is_some());
        let Some(here) = self.task_of(task) else { return };
        if self.is_cancelling(&execution) {
            return self.finish(id, Status::Cancelled, "");
        }
        if let Some(when) = &here.when
            && is_item == (here.looped.is_some() && mentions_item(when))
        {
            match self.holds(id, when) {
                Held::Yes => {}
                Held::No => return self.finish(id, Status::Skipped, ""),
                Held::Later => return,
                Held::Wrong(error) => return self.fail(id, &format!("When: {error}")),
            }
        }
        if here.looped.is_some() && !is_item {
            return self.begin_loop(id, &here);
        }
        match &here.action {
            Action::Choice { .. } => self.choose(id),
            Action::Pause => self.hold(id, Waiting::Pause),
            Action::Loop { .. } => self.start_turn(id),
            action if action.is_trigger() => self.begin_trigger(id, &here),
            _ => self.act_with_properties(id, &here),
        }
    }

    fn act_with_properties(&mut self, id: &str, here: &TaskRef) {
        let Some(properties) = self.properties(id, here) else { return };
        match &here.action {
            Action::ExecuteApi | Action::WaitFor | Action::CheckFor => self.call(id, &properties),
            Action::Sleep => self.sleep(id, &properties),
            Action::Template { content } => {
                self.find_template(id, &properties, content.as_ref());
            }
            Action::Product { name } => self.find_action(id, name, properties),
            Action::SelectTargets => self.select_targets(id, &properties),
            Action::Approve => self.ask_approval(id, &properties),
            Action::Notify => self.notify_hook(id, &properties),
            Action::ExecuteHttpRequest => self.request_http(id, &properties),
            _ => {}
        }
    }

    /// The properties worked out, and recorded for people. None where that comes later, or went
    /// wrong and the task execution has failed of it.
    pub(super) fn properties(&mut self, id: &str, here: &TaskRef) -> Option<Map<String, Value>> {
        match self.work_out(id, &here.properties) {
            Worked::Value(Value::Object(mut map)) => {
                self.put_given(id, &mut map);
                if self.tasks.get(id).is_some_and(|task| task.properties.is_none()) {
                    match self.properties_to_keep(&map) {
                        Ok(masked) => self.change(id, |task| task.properties = Some(masked)),
                        Err(error) => {
                            self.fail(id, &format!("Properties: {error}"));
                            return None;
                        }
                    }
                }
                Some(map)
            }
            Worked::Value(Value::Null) => {
                let mut map = Map::new();
                self.put_given(id, &mut map);
                Some(map)
            }
            Worked::Value(other) => {
                self.fail(id, &format!("Properties must be a map, and is {}", kind(&other)));
                None
            }
            Worked::Later => None,
            Worked::Wrong(error) => {
                self.fail(id, &error);
                None
            }
        }
    }

    /// Put what somebody gave a task execution, or the loop that it is an item of, in place of what
    /// its template gives it.
    fn put_given(&self, id: &str, properties: &mut Map<String, Value>) {
        let Some(task) = self.tasks.get(id) else { return };
        let looped = task.parent.as_ref().and_then(|parent| self.tasks.get(parent));
        let given = &looped.unwrap_or(task).given;
        if !given.is_empty() {
            properties.retain(|own, _| get_any_case(given, own).is_none());
            properties.extend(given.clone());
        }
    }

    /// The properties as they are shown, their secrets masked.
    fn properties_to_keep(&mut self, map: &Map<String, Value>) -> Result<Value, String> {
        // Looking for one secret in so many bytes takes as long as one step of a script.
        const BYTES_A_STEP: usize = 128;
        let n_looked_at = of_map(map).saturating_mul(self.secrets.len());
        let steps = u64::try_from(n_looked_at / BYTES_A_STEP).unwrap_or(u64::MAX);
        self.work.spend(steps).map_err(|error| error.to_string())?;
        let masked = self.mask(&Value::Object(map.clone()));
        self.keep_bytes(0, crate::expr::size(&masked))?;
        Ok(masked)
    }

    fn sleep(&mut self, id: &str, properties: &Map<String, Value>) {
        let duration = get_any_case(properties, "Duration").filter(|value| !value.is_null());
        let end = get_any_case(properties, "EndDate").filter(|value| !value.is_null());
        let until = match (duration, end) {
            (Some(duration), None) => parse_duration(&text(duration)).and_then(|seconds| {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                let wait = jiff::SignedDuration::from_secs(seconds);
                self.now.checked_add(wait).map_err(|error| error.to_string())
            }),
            (None, Some(end)) => super::trigger::parse_time(&text(end)),
            _ => Err("a Sleep needs Duration or EndDate, one of the two".to_owned()),
        };
        match until {
            Ok(until) => self.phase(id, Phase::Until(until.max(self.now))),
            Err(error) => self.fail(id, &error),
        }
    }

    /// The time of a task execution has come.
    pub(super) fn due(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        if !matches!(task.phase, Phase::Until(_)) {
            return;
        }
        let Some(here) = self.task_of(task) else { return };
        match &here.action {
            Action::Sleep => self.finish(id, Status::Success, ""),
            Action::TimerTrigger => self.timer_due(id),
            Action::ExecuteApi | Action::WaitFor | Action::CheckFor => {
                if let Some(properties) = self.properties(id, &here) {
                    self.call(id, &properties);
                }
            }
            Action::SelectTargets => self.next_target(id),
            _ => {}
        }
    }

    fn ask_approval(&mut self, id: &str, properties: &Map<String, Value>) {
        match self.webhook(id, properties, true) {
            Ok(request) => {
                self.hold(id, Waiting::Approve);
                self.request(id, request);
            }
            Err(error) => self.fail(id, &error),
        }
    }

    fn notify_hook(&mut self, id: &str, properties: &Map<String, Value>) {
        match self.webhook(id, properties, false) {
            Ok(request) => {
                self.phase(id, Phase::Calling);
                self.request(id, request);
            }
            Err(error) => self.fail(id, &error),
        }
    }

    fn webhook(
        &self,
        id: &str,
        properties: &Map<String, Value>,
        has_link: bool,
    ) -> Result<HttpRequest, String> {
        let hook = match get_any_case(properties, "WebHook") {
            Some(Value::Object(hook)) => hook,
            _ => return Err("WebHook must be a map with URI and Content".to_owned()),
        };
        let url = required(hook, "URI")?;
        let links = get_any_case(properties, "AppendExecutionLink");
        let links = links.map_or(Ok(has_link), |value| {
            crate::functions::truth(value).map_err(|error| format!("AppendExecutionLink: {error}"))
        })?;
        let mut headers = pairs(get_any_case(hook, "Headers"), "Headers")?;
        let mut content = get_any_case(hook, "Content").cloned().unwrap_or_default();
        if links && let Some(task) = self.tasks.get(id) {
            append_link(&mut content, &task.execution);
        }
        let body = match &content {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => {
                if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                    headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
                }
                other.to_string()
            }
        };
        Ok(HttpRequest {
            method: "POST".to_owned(),
            url,
            headers,
            query: Vec::new(),
            body: Some(body),
        })
    }

    fn request_http(&mut self, id: &str, properties: &Map<String, Value>) {
        let build = || {
            let method = match get_any_case(properties, "Method") {
                None | Some(Value::Null) => "POST".to_owned(),
                Some(method) => text(method).to_ascii_uppercase(),
            };
            if method != "GET" && method != "POST" {
                return Err(format!("Method must be GET or POST, and is `{method}`"));
            }
            let body = get_any_case(properties, "Body").filter(|body| !body.is_null());
            Ok(HttpRequest {
                method,
                url: required(properties, "URL")?,
                headers: pairs(get_any_case(properties, "Headers"), "Headers")?,
                query: pairs(get_any_case(properties, "Query"), "Query")?,
                body: body.map(|body| text(body).into_owned()),
            })
        };
        match build() {
            Ok(request) => {
                self.phase(id, Phase::Calling);
                self.request(id, request);
            }
            Err(error) => self.fail(id, &error),
        }
    }

    fn request(&mut self, id: &str, request: HttpRequest) {
        let serial = self.next_serial(id);
        self.commands.push(Command::Http { task: id.to_owned(), serial, request });
    }

    pub(super) fn answered(&mut self, id: &str, result: Result<HttpAnswer, String>) {
        let Some(task) = self.tasks.get(id) else { return };
        let Some(here) = self.task_of(task) else { return };
        let execution = task.execution.clone();
        let failure = match &result {
            Ok(answer) if answer.status >= 400 => Some(format!("HTTP status {}", answer.status)),
            Ok(_) => None,
            Err(error) => Some(error.clone()),
        };
        if matches!(here.action, Action::Approve) {
            // Whoever approves may have heard of it elsewhere: the wait goes on.
            if let Some(failure) = failure {
                self.log(&execution, Some(id), format!("the message was not delivered: {failure}"));
            }
            return;
        }
        if self.is_cancelling(&execution) {
            return self.finish(id, Status::Cancelled, "");
        }
        match (failure, result) {
            (Some(failure), _) => self.fail(id, &failure),
            (None, Ok(answer)) => {
                let body = serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body));
                self.succeed(id, &body);
            }
            (None, Err(_)) => {}
        }
    }

    /// Ask for what `partial` waits for again, or for the first time.
    pub(super) fn keep_partial(&mut self, id: &str, partial: Partial) {
        self.partial.insert(id.to_owned(), partial);
    }
}

fn mentions_item(expr: &Expr) -> bool {
    let is_item = |target: &Target| *target == Target::Pseudo(Pseudo::TaskLoopItem);
    expr.references().iter().any(|reference| is_item(&reference.target))
}

pub(super) fn required(map: &Map<String, Value>, name: &str) -> Result<String, String> {
    match get_any_case(map, name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Some(Value::Null) | None => Err(format!("{name} is missing")),
        Some(Value::String(_)) => Err(format!("{name} is empty")),
        Some(other) => Err(format!("{name} must be a string, and is {}", kind(other))),
    }
}

fn pairs(map: Option<&Value>, name: &str) -> Result<Vec<(String, String)>, String> {
    match map {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(map)) => {
            Ok(map.iter().map(|(key, value)| (key.clone(), text(value).into_owned())).collect())
        }
        Some(other) => Err(format!("{name} must be a map, and is {}", kind(other))),
    }
}

/// Say in a message which execution it is about: chat robots show the text that they are sent.
fn append_link(content: &mut Value, execution: &str) {
    let line = format!("\nexecution: {execution}");
    match content {
        Value::String(text) => text.push_str(&line),
        Value::Object(map) => {
            for key in ["text", "markdown"] {
                if let Some(Value::Object(inner)) = map.get_mut(key)
                    && let Some(Value::String(text)) =
                        inner.iter_mut().map(|(_, value)| value).find(|value| value.is_string())
                {
                    text.push_str(&line);
                    return;
                }
            }
        }
        _ => {}
    }
}
