//! Triggers: when an execution starts the rest of its template.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::records::{Execution, Firing, Origin, Phase, Status, Waiting};
use super::scope::get_any_case;
use super::{Found, Run, Step, TaskRef, kept};
use crate::template::Action;
use crate::value::text;

impl Run {
    /// The execution comes to its trigger.
    pub(super) fn begin_trigger(&mut self, id: &str, here: &TaskRef) {
        let Some(properties) = self.properties(id, here) else { return };
        let Some(execution) = self.tasks.get(id).map(|task| task.execution.clone()) else {
            return;
        };
        self.change_execution(&execution, |execution| {
            execution.trigger.get_or_insert_with(Firing::default);
        });
        if matches!(here.action, Action::TimerTrigger) {
            let begun = self.executions.get(&execution).map_or(self.now, |own| own.created);
            return self.set_timer(id, &properties, begun);
        }
        self.hold(id, Waiting::Trigger);
    }

    /// Wait for the next time, or end where there is none any more. A first rate counts from `begun`.
    pub(super) fn set_timer(
        &mut self,
        id: &str,
        properties: &Map<String, Value>,
        begun: Timestamp,
    ) {
        let Some(execution) = self.tasks.get(id).map(|task| task.execution.clone()) else {
            return;
        };
        let Some(own) = self.executions.get(&execution) else { return };
        match next_firing(properties, self.now, begun, is_first(own)) {
            Ok(Some(at)) => {
                self.phase(id, Phase::Until(at));
                self.change_execution(&execution, |execution| {
                    if let Some(firing) = &mut execution.trigger {
                        firing.next = Some(at);
                    }
                });
                self.log(&execution, Some(id), format!("fires next at {at}"));
                self.refresh(&execution);
            }
            Ok(None) => {
                self.change_execution(&execution, |execution| execution.trigger = None);
                self.change(id, |task| task.goto = Some("ACS::END".to_owned()));
                self.finish(id, Status::Success, "");
            }
            Err(error) => self.fail(id, &error),
        }
    }

    pub(super) fn timer_due(&mut self, id: &str) {
        let at = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.fire(id, json!({ "Time": at }));
    }

    /// An event or an alarm came, or somebody fires the trigger by hand.
    pub(super) fn fired(&mut self, content: Value) {
        let root = self.root.clone();
        let trigger = self.active_in(&root).into_iter().find(|id| {
            let task = self.tasks.get(id).and_then(|task| self.task_of(task));
            task.is_some_and(|task| task.action.is_trigger())
        });
        if let Some(id) = trigger {
            self.fire(&id, content);
        }
    }

    /// Start a child that runs the rest of the template. While one is at work none is started.
    fn fire(&mut self, id: &str, content: Value) {
        let Some(task) = self.tasks.get(id) else { return };
        let (execution, last) = (task.execution.clone(), task.child.clone());
        if task.phase == Phase::Child {
            return self.log(
                &execution,
                Some(id),
                "fires while the last run is at work: passed over",
            );
        }
        let Some(own) = self.executions.get(&execution) else { return };
        let Some(template) = self.templates.get(&own.template).cloned() else { return };
        let n_fired = own.trigger.as_ref().map_or(0, |firing| firing.n_fired).saturating_add(1);
        let found = Found {
            name: own.template_name.clone(),
            version: own.template_version.clone(),
            template,
        };
        let parameters = own.parameters.clone();
        if let Some(last) = last {
            self.forget(&last);
        }
        let now = self.now;
        self.change_execution(&execution, |execution| {
            let firing = execution.trigger.get_or_insert_with(Firing::default);
            firing.n_fired = n_fired;
            firing.last = Some(now);
            firing.next = None;
            firing.is_firing = true;
        });
        let child = format!("{id}.{n_fired:04}");
        let origin = Origin::Trigger(id.to_owned());
        self.change(id, |task| task.result = Some(content));
        match self.start_child(id, child, origin, &found, &parameters) {
            Ok(()) => self.refresh(&execution),
            Err(error) => self.fail(id, &error),
        }
    }

    /// What the trigger gives to the tasks of the child that it started.
    pub(super) fn skip_trigger(&mut self, child: &str, trigger: &str) {
        let content = self.tasks.get(trigger).and_then(|task| task.result.clone());
        let id = format!("{child}.t0001");
        let Some(mut run) = self.new_task(&id, child, 0) else { return };
        run.status = Status::Success;
        run.ended = Some(self.now);
        let name = run.name.to_ascii_lowercase();
        self.tasks.insert(id.clone(), run);
        self.dirty_tasks.insert(id.clone());
        self.latest.entry(child.to_owned()).or_default().insert(name, id.clone());
        if let Err(error) = self.give_outputs(&id, &content.unwrap_or_default()) {
            return self.end(child, Status::Failed, &error);
        }
        self.change_execution(child, |execution| execution.n_started = 1);
        self.steps.push_back(Step::Enter { execution: child.to_owned(), index: 1 });
    }

    pub(super) fn firing_ended(&mut self, id: &str, child: &str) {
        let Some(ended) = self.executions.get(child) else { return };
        let (status, message) = (ended.status, ended.message.clone());
        // Only shown, and so without secrets.
        let outputs = match self.mask(&Value::Object(ended.outputs.clone())) {
            Value::Object(outputs) => outputs,
            _ => Map::new(),
        };
        let Some(task) = self.tasks.get(id) else { return };
        let execution = task.execution.clone();
        let Some(here) = self.task_of(task) else { return };
        if !self.active.contains(id) {
            return;
        }
        self.change_execution(&execution, |execution| {
            if let Some(firing) = &mut execution.trigger {
                firing.is_firing = false;
                firing.last_status = Some(status);
                firing.last_message = message;
                firing.last_outputs = outputs;
            }
        });
        if self.is_cancelling(&execution) {
            return self.finish(id, Status::Cancelled, "");
        }
        match &here.action {
            Action::TimerTrigger => {
                if let Some(properties) = self.properties(id, &here) {
                    self.set_timer(id, &properties, self.now);
                }
            }
            _ => self.hold(id, Waiting::Trigger),
        }
    }

    /// Let go of an execution that ended and was stored: a timer may fire for years.
    fn forget(&mut self, child: &str) {
        let (from, to) = (format!("{child}."), format!("{child}/"));
        let below = |id: &String| *id == child || (*id >= from && *id < to);
        if self.dirty_executions.iter().any(below) || self.dirty_tasks.iter().any(below) {
            return;
        }
        let executions = self.executions.values().filter(|own| below(&own.id));
        let tasks = self.tasks.values().filter(|own| below(&own.id));
        let sizes = executions.map(kept::of_execution).chain(tasks.map(kept::of_task));
        let forgotten = sizes.fold(0, usize::saturating_add);
        self.kept_bytes = self.kept_bytes.saturating_sub(forgotten);
        self.executions.retain(|id, _| !below(id));
        self.tasks.retain(|id, _| !below(id));
        self.latest.retain(|id, _| !below(id));
    }
}

/// Whether the trigger of an execution has not fired yet.
pub(super) fn is_first(execution: &Execution) -> bool {
    execution.trigger.as_ref().is_none_or(|firing| firing.n_fired == 0)
}

/// When a timer fires next after `now`. None where that is after its end.
///
/// `begun` is when the execution was recorded; a rate counts from there at first, and from now
/// later.
///
/// # Errors
///
/// What is wrong with the properties `Type`, `Expression`, `EndDate` or `TimeZone`.
pub fn next_firing(
    properties: &Map<String, Value>,
    now: Timestamp,
    begun: Timestamp,
    is_first: bool,
) -> Result<Option<Timestamp>, String> {
    let get = |name: &str| {
        let value = get_any_case(properties, name).filter(|value| !value.is_null());
        value.map(|value| text(value).trim().to_owned()).filter(|text| !text.is_empty())
    };
    let expression = get("Expression").ok_or("Expression is missing")?;
    let zone = match get("TimeZone") {
        None => TimeZone::UTC,
        Some(name) => {
            TimeZone::get(&name).map_err(|_| format!("TimeZone `{name}` is not known"))?
        }
    };
    let end = get("EndDate").map(|end| parse_time(&end)).transpose()?;
    let next = match get("Type").as_deref() {
        Some("cron") => next_cron(&expression, now, &zone)?,
        Some("rate") => {
            let every = parse_rate(&expression)?;
            let from = if is_first { begun } else { now };
            Some(from.checked_add(every).map_err(|error| error.to_string())?.max(now))
        }
        Some("at") => is_first.then(|| parse_time(&expression)).transpose()?,
        Some(other) => return Err(format!("Type must be cron, at or rate, and is `{other}`")),
        None => return Err("Type is missing: cron, at or rate".to_owned()),
    };
    Ok(next.filter(|next| end.is_none_or(|end| *next <= end)))
}

/// Six fields, seconds first, as Quartz has them: `?` for any day, 1 is Sunday.
fn next_cron(
    expression: &str,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Option<Timestamp>, String> {
    use croner::parser::{CronParser, Seconds};
    let refused = |why: String| {
        format!(
            "the cron expression `{expression}` does not go: {why}; write six fields: sec min hour day month weekday"
        )
    };
    let cron = CronParser::builder()
        .seconds(Seconds::Required)
        .dom_and_dow(false)
        .alternative_weekdays(true)
        .build()
        .parse(expression)
        .map_err(|error| refused(error.to_string()))?;
    // What is left out or comes twice when clocks change is the library's to know.
    match cron.find_next_occurrence(&now.to_zoned(zone.clone()), false) {
        Ok(next) => Ok(Some(next.timestamp())),
        Err(_) => Ok(None),
    }
}

/// `30 minutes`, `1 hour`, `2 days`.
fn parse_rate(text: &str) -> Result<SignedDuration, String> {
    let refused =
        || format!("the rate `{text}` does not go; write `30 minutes`, `1 hour` or `2 days`");
    let (count, unit) = text.trim().split_once(char::is_whitespace).ok_or_else(refused)?;
    let count: i64 = count.parse().map_err(|_| refused())?;
    let seconds = match unit.trim().trim_end_matches('s').to_ascii_lowercase().as_str() {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return Err(refused()),
    };
    if !(1..=1_000_000).contains(&count) {
        return Err(refused());
    }
    Ok(SignedDuration::from_secs(count.saturating_mul(seconds)))
}

/// A UTC time or date: `2026-01-31T08:00:00Z`, `2026-01-31 08:00:00`, `2026-01-31`.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wall = text.trim_end_matches(['Z', 'z']).parse::<DateTime>();
    let at = wall.ok().and_then(|wall| TimeZone::UTC.to_timestamp(wall).ok());
    at.ok_or_else(|| format!("`{text}` is no time; write 2026-01-31T08:00:00Z or 2026-01-31"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(properties: &Value, now: &str) -> Result<Option<String>, String> {
        let Value::Object(map) = properties else { panic!("a map") };
        let now: Timestamp = now.parse().unwrap();
        next_firing(map, now, now, true).map(|at| at.map(|at| at.to_string()))
    }

    #[test]
    fn timers_fire_when_they_say() {
        for (properties, now, at) in [
            (
                json!({"Type": "cron", "Expression": "0 30 8 ? * 2,3", "EndDate": "2027-01-01"}),
                "2026-11-26T09:00:00Z", // a Thursday: next is Monday, which is 2
                Some("2026-11-30T08:30:00Z"),
            ),
            (
                json!({"Type": "cron", "Expression": "0 0 8 * * ?", "TimeZone": "Asia/Shanghai"}),
                "2026-11-26T00:00:00Z",
                Some("2026-11-27T00:00:00Z"),
            ),
            (
                json!({"Type": "cron", "Expression": "0 0 8 ? * MON-FRI"}),
                "2026-11-27T09:00:00Z",
                Some("2026-11-30T08:00:00Z"),
            ),
            // A time that the clocks of spring leave out: as soon as the hour is over.
            (
                json!({"Type": "cron", "Expression": "0 30 2 * * ?", "TimeZone": "Europe/Berlin"}),
                "2026-03-29T00:00:00Z",
                Some("2026-03-29T01:00:00Z"),
            ),
            (
                json!({"Type": "rate", "Expression": "30 minutes"}),
                "2026-01-01T00:00:00Z",
                Some("2026-01-01T00:30:00Z"),
            ),
            (
                json!({"Type": "at", "Expression": "2026-01-02T00:00:00Z"}),
                "2026-01-01T00:00:00Z",
                Some("2026-01-02T00:00:00Z"),
            ),
            (
                json!({"Type": "rate", "Expression": "2 days", "EndDate": "2026-01-02"}),
                "2026-01-01T00:00:00Z",
                None,
            ),
        ] {
            assert_eq!(next(&properties, now).unwrap().as_deref(), at, "{properties}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_timer_is_named() {
        for (properties, message) in [
            (json!({}), "Expression is missing"),
            (json!({"Expression": "x"}), "Type is missing: cron, at or rate"),
            (json!({"Type": "x", "Expression": "x"}), "Type must be cron, at or rate, and is `x`"),
            (
                json!({"Type": "rate", "Expression": "often"}),
                "the rate `often` does not go; write `30 minutes`, `1 hour` or `2 days`",
            ),
            (
                json!({"Type": "rate", "Expression": "1 day", "TimeZone": "Moon"}),
                "TimeZone `Moon` is not known",
            ),
            (
                json!({"Type": "at", "Expression": "soon"}),
                "`soon` is no time; write 2026-01-31T08:00:00Z or 2026-01-31",
            ),
        ] {
            assert_eq!(next(&properties, "2026-01-01T00:00:00Z").unwrap_err(), message);
        }
        let wrong = json!({"Type": "cron", "Expression": "* *"});
        let error = next(&wrong, "2026-01-01T00:00:00Z").unwrap_err();
        assert!(error.contains("write six fields"), "{error}");
    }
}
