//! What a run keeps in memory: the values in its records, counted so that no template can fill it.

use serde_json::{Map, Value};

use super::Run;
use super::rate::Plan;
use super::records::{Execution, TaskRun};
use crate::expr::size;

/// Bytes of the values that an execution keeps.
pub(super) fn of_execution(execution: &Execution) -> usize {
    let maps = of_map(&execution.parameters).saturating_add(of_map(&execution.outputs));
    let secrets = execution.secrets.iter().map(String::len).fold(0, usize::saturating_add);
    maps.saturating_add(secrets).saturating_add(execution.item.as_ref().map_or(0, size))
}

/// Bytes of the values that a task execution keeps.
pub(super) fn of_task(task: &TaskRun) -> usize {
    let values = [&task.properties, &task.result, &task.item];
    let plan = task.plan.as_ref().map(of_plan);
    let values = values.into_iter().flatten().map(size).chain(plan);
    let maps = of_map(&task.outputs).saturating_add(of_map(&task.given));
    values.fold(maps, usize::saturating_add)
}

/// Bytes of the values that a loop keeps.
pub(super) fn of_plan(plan: &Plan) -> usize {
    /// Of a batch: two numbers, and as much again.
    const BATCH: usize = 16;
    let items = plan.items.iter().map(size).fold(size(&plan.rate), usize::saturating_add);
    items.saturating_add(plan.batches.len().saturating_mul(BATCH))
}

pub(super) fn of_map(map: &Map<String, Value>) -> usize {
    map.iter()
        .map(|(key, value)| key.len().saturating_add(size(value)))
        .fold(0, usize::saturating_add)
}

/// What may still be kept where everything is used up, and of how many bytes each: the tasks that
/// clean up come after the one that filled the memory.
const RESERVE_BYTES: usize = 16 << 20;
const SMALL_BYTES: usize = 64 << 10;

impl Run {
    /// Keep `new` bytes of values in place of `old` ones.
    pub(super) fn keep_bytes(&mut self, old: usize, new: usize) -> Result<(), String> {
        let kept = self.kept_bytes.saturating_sub(old).saturating_add(new);
        let most = self.settings.max_kept_bytes;
        let is_small = new <= SMALL_BYTES && kept <= most.saturating_add(RESERVE_BYTES);
        if new > old && kept > most && !is_small {
            return Err(self.too_much_kept());
        }
        self.kept_bytes = kept;
        Ok(())
    }

    pub(super) fn too_much_kept(&self) -> String {
        let most = self.settings.max_kept_bytes;
        format!("the run would keep more than {most} bytes of values")
    }

    /// Bytes of values that may still be kept.
    pub(super) fn room_bytes(&self) -> usize {
        self.settings.max_kept_bytes.saturating_sub(self.kept_bytes)
    }
}
