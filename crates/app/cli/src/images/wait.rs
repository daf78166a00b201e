//! Waiting for a task, with a bar that shows how far it is.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Images;
use crate::Hinted;
use crate::report::printable;

/// A task that was waited for did not succeed.
const EXIT_TASK_FAILED: u8 = 1;
/// The first pause between two questions; they get longer, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Wait until a task has ended, `timeout` seconds at most.
pub(super) fn until_ended(images: &Images, task: &str, timeout: u32) -> Result<ExitCode> {
    let deadline = Instant::now() + Duration::from_secs(u64::from(timeout));
    let bar = bar();
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = images.ask("DescribeTaskAttribute", &json!({ "TaskId": task }))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let status = text("TaskStatus");
        bar.set_position(text("TaskProcess").trim_end_matches('%').parse().unwrap_or(0));
        bar.set_message(printable(status));
        match status {
            "Finished" => {
                bar.finish_and_clear();
                return images.print.fields(&answer, &["TaskStatus"]);
            }
            "Processing" | "Pending" | "Waiting" | "Paused" => {}
            _ => {
                bar.finish_and_clear();
                images.print.fields(&answer, &["TaskStatus"])?;
                let message = format!("the task {task} ended as {status}{}", reasons(&answer));
                crate::output::error(&message, None);
                return Ok(ExitCode::from(EXIT_TASK_FAILED));
            }
        }
        if Instant::now() + pause > deadline {
            bar.finish_and_clear();
            let message = format!("the task {task} is still {status} after {timeout} s");
            return Err(Hinted::new(message, "it goes on: kiln images tasks shows it").into());
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(LAST_PAUSE);
    }
}

/// What went wrong with each disk.
fn reasons(answer: &Value) -> String {
    let operations = answer.pointer("/OperationProgressSet/OperationProgress");
    let operations = operations.and_then(Value::as_array).into_iter().flatten();
    let reason = |operation: &Value| {
        let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let (code, message) = (text("ErrorCode"), text("ErrorMsg"));
        (!code.is_empty()).then(|| format!(": {code}: {message}"))
    };
    operations.filter_map(reason).collect()
}

/// Nothing where standard error is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos:>3} % {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
