//! Loops: items in order, never more than allowed at a time, batch by batch, until too many failed.

use serde_json::{Map, Value, json};

use super::conditions::Worked;
use super::kept::{of_map, of_plan};
use super::rate::{Counts, Plan};
use super::records::{Mode, Phase, Status, Waiting};
use super::shown::quoted;
use super::{Run, Step, TaskRef};
use crate::expr::size;
use crate::functions::{self, Function, Limits};
use crate::value::kind;

/// One more item has ended, or begun again, as `status`.
pub(super) fn count(counts: &mut Counts, status: Status) {
    let which = match status {
        Status::Success => &mut counts.success,
        Status::Failed => &mut counts.failed,
        Status::Cancelled => &mut counts.cancelled,
        Status::Skipped => &mut counts.skipped,
        _ => return,
    };
    *which += 1;
    counts.running = counts.running.saturating_sub(1);
}

impl Run {
    pub(super) fn begin_loop(&mut self, id: &str, here: &TaskRef) {
        if self.tasks.get(id).is_some_and(|task| task.plan.is_some()) {
            self.steps.push_back(Step::Fill(id.to_owned()));
            return;
        }
        let Some(looped) = &here.looped else { return };
        let items = match self.work_out(id, &looped.items) {
            Worked::Value(value) => value,
            Worked::Later => return,
            Worked::Wrong(error) => return self.fail(id, &format!("Loop.Items: {error}")),
        };
        let rate = match &looped.rate {
            None => Value::Null,
            Some(rate) => match self.work_out(id, rate) {
                Worked::Value(value) => value,
                Worked::Later => return,
                Worked::Wrong(error) => return self.fail(id, &format!("RateControl: {error}")),
            },
        };
        match self.plan(id, items, &rate) {
            Ok(plan) => {
                let new = of_plan(&plan);
                if let Err(error) = self.keep_bytes(0, new) {
                    return self.fail(id, &format!("Loop.Items: {error}"));
                }
                self.change(id, |task| task.plan = Some(plan));
                self.phase(id, Phase::Looping);
                self.steps.push_back(Step::Fill(id.to_owned()));
            }
            Err(error) => self.fail(id, &error),
        }
    }

    fn plan(&self, id: &str, items: Value, rate: &Value) -> Result<Plan, String> {
        let items = match items {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(Value::Array(items)) => items,
                _ => vec![Value::String(text)],
            },
            Value::Object(_) => return Err("Loop.Items must be a list, and is a map".to_owned()),
            other => vec![other],
        };
        let most = self.settings.max_items;
        if items.len() > most {
            return Err(format!(
                "Loop.Items has {} items, more than the {most} allowed",
                items.len()
            ));
        }
        let context = self
            .tasks
            .get(id)
            .and_then(|task| self.executions.get(&task.execution))
            .map(|execution| &execution.context);
        let rate = match rate {
            // A parameter of type Json that was given as text that is no JSON.
            Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| rate.clone()),
            other => other.clone(),
        };
        let mut plan = Plan::new(items, &rate, context.and_then(|context| context.loop_mode))?;
        if context.is_some_and(|context| context.mode == Mode::Debug) {
            plan.batches.iter_mut().for_each(|batch| batch.concurrency = 1);
        }
        Ok(plan)
    }

    /// Start as many items as may run, or end the loop.
    pub(super) fn fill(&mut self, id: &str) {
        if !self.active.contains(id) {
            return;
        }
        let Some(task) = self.tasks.get(id) else { return };
        if matches!(task.phase, Phase::Held(_)) {
            return;
        }
        let is_cancelling = self.is_cancelling(&task.execution);
        let Some(plan) = &task.plan else { return };
        let (counts, n_items) = (plan.counts, plan.n_items());
        // An item that was rejected ends the loop, which then counts as cancelled.
        let is_stopped = plan.is_broken() || counts.cancelled > 0;
        if is_cancelling || is_stopped || counts.started >= n_items {
            if counts.running == 0 {
                self.end_loop(id, is_cancelling);
            }
            return;
        }
        if counts.started >= plan.end_of_batch() {
            if counts.running > 0 {
                return;
            }
            let pauses = plan.pauses_now();
            self.change(id, |task| {
                if let Some(plan) = &mut task.plan {
                    plan.batch += 1;
                }
            });
            if pauses {
                return self.hold(id, Waiting::BatchPause);
            }
            self.steps.push_back(Step::Fill(id.to_owned()));
            return;
        }
        let end = plan.end_of_batch().min(n_items);
        let room = plan.concurrency().saturating_sub(counts.running);
        let n_new = room.min(end - counts.started);
        for _ in 0..n_new {
            if !self.start_item(id) {
                return;
            }
        }
    }

    fn start_item(&mut self, id: &str) -> bool {
        let Some(task) = self.tasks.get(id) else { return false };
        let Some(plan) = &task.plan else { return false };
        let position = plan.counts.started;
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        let Some(item) = plan.items.get(at).cloned() else { return false };
        let batch = u32::try_from(plan.batch).unwrap_or(u32::MAX).saturating_add(1);
        let item_id = format!("{id}.{:04}", position.saturating_add(1));
        let Some(mut run) = self.new_task(&item_id, &task.execution, task.index) else {
            return false;
        };
        if let Err(error) = self.keep_bytes(0, size(&item)) {
            self.fail(id, &format!("the item {}: {error}", position.saturating_add(1)));
            return false;
        }
        run.parent = Some(id.to_owned());
        run.item = Some(item);
        run.batch = Some(batch);
        run.position = position;
        if let Err(error) = self.add_task(run) {
            self.fail(id, &error);
            return false;
        }
        self.count_in(id, |counts| {
            counts.started += 1;
            counts.running += 1;
        });
        self.steps.push_back(Step::Act(item_id));
        true
    }

    /// Counting is not recorded: it follows from the items.
    fn count_in(&mut self, id: &str, change: impl FnOnce(&mut Counts)) {
        if let Some(plan) = self.tasks.get_mut(id).and_then(|task| task.plan.as_mut()) {
            change(&mut plan.counts);
        }
    }

    pub(super) fn item_ended(&mut self, id: &str, item: &str) {
        let Some(status) = self.tasks.get(item).map(|item| item.status) else { return };
        self.count_in(id, |counts| count(counts, status));
        self.steps.push_back(Step::Fill(id.to_owned()));
    }

    fn end_loop(&mut self, id: &str, is_cancelling: bool) {
        let (outputs, mut errors) = self.aggregates(id);
        let outputs = match self.keep_bytes(0, of_map(&outputs)) {
            Ok(()) => outputs,
            Err(error) => {
                errors.insert(0, format!("the outputs: {error}"));
                Map::new()
            }
        };
        self.change(id, |task| task.outputs = outputs);
        let Some(task) = self.tasks.get(id) else { return };
        let Some(plan) = &task.plan else { return };
        let counts = plan.counts;
        if is_cancelling || counts.cancelled > 0 {
            return self.finish(id, Status::Cancelled, "");
        }
        if plan.is_broken() {
            let first = self.items_of(id).find(|item| item.status == Status::Failed);
            let why = first.map_or_else(String::new, |item| {
                let shown = item.item.as_ref().map(quoted);
                format!(", the first one `{}`: {}", shown.unwrap_or_default(), item.message)
            });
            let message = format!("{} of {} items failed{why}", counts.failed, plan.n_items());
            return self.fail(id, &message);
        }
        match errors.first() {
            Some(error) => self.fail(id, error),
            None => self.finish(id, Status::Success, ""),
        }
    }

    fn items_of<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a super::TaskRun> + use<'a> {
        let (from, to) = (format!("{id}."), format!("{id}/"));
        let id = id.to_owned();
        let items = self.tasks.range(from..to).map(|(_, task)| task);
        items.filter(move |task| task.parent.as_deref() == Some(id.as_str()))
    }

    /// What the items gave, taken together, in the order of the items; and what went wrong.
    fn aggregates(&self, id: &str) -> (Map<String, Value>, Vec<String>) {
        let (mut outputs, mut errors) = (Map::new(), Vec::new());
        let Some(here) = self.tasks.get(id).and_then(|task| self.task_of(task)) else {
            return (outputs, errors);
        };
        let mut items: Vec<_> = self.items_of(id).collect();
        items.sort_by_key(|item| item.position);
        let joined = |field: &str| -> Vec<Value> {
            let value = |item: &&super::TaskRun| {
                super::scope::get_any_case(&item.outputs, field).cloned().unwrap_or_default()
            };
            items.iter().map(value).collect()
        };
        // Summed up on the way: many outputs may take the same field.
        let (mut n_bytes, room) = (0_usize, self.room_bytes());
        let too_large = |n_bytes: &mut usize, value: &Value| {
            *n_bytes = n_bytes.saturating_add(size(value));
            (*n_bytes > room).then(|| self.too_much_kept())
        };
        for output in &here.outputs {
            let value = Value::Array(joined(&output.name));
            if let Some(error) = too_large(&mut n_bytes, &value) {
                errors.push(format!("the output {}: {error}", output.name));
                return (Map::new(), errors);
            }
            outputs.insert(output.name.clone(), value);
        }
        let looped = here.looped.iter().flat_map(|looped| &looped.outputs);
        for aggregate in looped {
            match take_together(aggregate.function, joined(&aggregate.field)) {
                Ok(value) => {
                    if let Some(error) = too_large(&mut n_bytes, &value) {
                        errors.push(format!("the output {}: {error}", aggregate.name));
                        return (Map::new(), errors);
                    }
                    outputs.insert(aggregate.name.clone(), value);
                }
                Err(error) => errors.push(format!("the output {}: {error}", aggregate.name)),
            }
        }
        (outputs, errors)
    }

    /// What is told about a loop: its items, its rate, and how many ended how.
    #[must_use]
    pub fn loop_facts(plan: &Plan) -> Value {
        let counts = plan.counts;
        let never = plan.n_items().saturating_sub(counts.started);
        json!({
            "Items": plan.items,
            "RateControl": plan.rate,
            "Counters": {
                "Total": plan.n_items(),
                "Success": counts.success,
                "Failed": counts.failed,
                "Running": counts.running,
                "Cancelled": counts.cancelled,
                "Skipped": counts.skipped,
                "Pending": never,
            },
        })
    }
}

fn take_together(function: Function, values: Vec<Value>) -> Result<Value, String> {
    if function == Function::ListJoin {
        return Ok(Value::Array(values));
    }
    let values: Vec<_> = match function {
        Function::First | Function::Last => values,
        _ => values.into_iter().filter(|value| !value.is_null()).collect(),
    };
    let no_jq = |_: &str, _: &Value| Err(format!("{} does not go with jq", kind(&Value::Null)));
    functions::apply(function, &Value::Array(values), Limits::default(), &no_jq)
        .map_err(|error| error.to_string())
}
