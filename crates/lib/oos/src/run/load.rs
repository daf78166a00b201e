//! A run from its records, after the process that had it was killed or has let go of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Execution, Loaded, Phase, Run, Settings, TaskRun, kept, loops};

impl Run {
    /// A run from what was stored. [`super::Event::Resume`] makes it go on.
    ///
    /// # Errors
    ///
    /// Where the records do not belong together.
    pub fn load(
        root: &str,
        executions: Vec<Execution>,
        tasks: Vec<TaskRun>,
        templates: Vec<Arc<Loaded>>,
        settings: Settings,
    ) -> Result<Self, String> {
        let now = executions
            .iter()
            .map(|execution| execution.updated)
            .chain(tasks.iter().map(|task| task.updated))
            .max()
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let mut run = Self::empty(root.to_owned(), settings, now);
        run.templates =
            templates.into_iter().map(|loaded| (loaded.digest.clone(), loaded)).collect();
        run.executions =
            executions.into_iter().map(|execution| (execution.id.clone(), execution)).collect();
        if !run.executions.contains_key(root) {
            return Err(format!("the execution {root} is not stored"));
        }
        for execution in run.executions.values() {
            if !run.templates.contains_key(&execution.template) {
                return Err(format!("the template of {} is not stored", execution.id));
            }
        }
        run.tasks = tasks.into_iter().map(|task| (task.id.clone(), task)).collect();
        run.index()?;
        Ok(run)
    }

    /// What follows from the stored records: counts of loops, timers, who comes last.
    fn index(&mut self) -> Result<(), String> {
        for id in self.executions.keys().cloned().collect::<Vec<_>>() {
            self.learn_secrets(&id);
        }
        self.secrets.extend(self.executions.values().flat_map(|own| own.secrets.iter().cloned()));
        let executions = self.executions.values().map(kept::of_execution);
        let tasks = self.tasks.values().map(kept::of_task);
        self.kept_bytes = executions.chain(tasks).fold(0, usize::saturating_add);
        let ids: Vec<String> = self.tasks.keys().cloned().collect();
        for id in ids {
            let task = &self.tasks[&id];
            if !self.executions.contains_key(&task.execution) {
                return Err(format!("the execution of {id} is not stored"));
            }
            if self.task_of(task).is_none() {
                return Err(format!("the task of {id} is not in its template"));
            }
            if !task.status.is_final() {
                self.active.insert(id.clone());
            }
            match &task.phase {
                Phase::Until(at) => {
                    self.timers.insert((*at, id.clone()));
                }
                Phase::Held(_) => {
                    self.held.insert(id.clone());
                }
                _ => {}
            }
            match task.parent.clone() {
                Some(parent) => {
                    let status = task.status;
                    if let Some(plan) =
                        self.tasks.get_mut(&parent).and_then(|task| task.plan.as_mut())
                    {
                        plan.counts.started += 1;
                        plan.counts.running += 1;
                        loops::count(&mut plan.counts, status);
                    }
                }
                None => {
                    let name = task.name.to_ascii_lowercase();
                    let execution = task.execution.clone();
                    self.latest.entry(execution).or_default().insert(name, id);
                }
            }
        }
        Ok(())
    }
}
