//! `kiln executions`: what became of runs, and decisions about them.

use std::process::ExitCode;

use anyhow::{Context, Result};
use kiln_factory::executions::{ExecutionView, Executions, TaskView, root_of};
use kiln_oos::run::{Notice, NoticeKind, Status};
use kiln_store::{ExecutionQuery, Listing, PageOf, TaskExecutionQuery};
use serde::Serialize;

use super::args::{DecideArgs, ExecutionsArgs, ExecutionsCommand, ExecutionsFormat};
use super::state::State;
use super::{ACCOUNT, drive, runtime, user};
use crate::{Hinted, output, template};

pub(crate) fn run(args: &ExecutionsArgs) -> Result<ExitCode> {
    let state = State::open(&args.state)?;
    runtime()?.block_on(answer(args, &state))
}

async fn answer(args: &ExecutionsArgs, state: &State) -> Result<ExitCode> {
    if let ExecutionsCommand::Resume { id } = &args.command {
        anyhow::ensure!(state.hold(id)?.is_some(), "{id} is driven by another process");
        let setting = state.setting(id)?;
        let executions = state.executions(id, &setting, false).await?;
        return drive(&executions, id, None, state).await;
    }
    let executions = state.records().await?;
    match &args.command {
        ExecutionsCommand::List { status, children, limit } => {
            list(&executions, args.format, status.as_deref(), *children, *limit).await?;
        }
        ExecutionsCommand::Show { id } => show(&executions, args.format, state, id).await?,
        ExecutionsCommand::Logs { id } => logs(&executions, args.format, id).await?,
        ExecutionsCommand::Cancel { id } => {
            executions.cancel(id).await?;
            told(state, id)?;
        }
        ExecutionsCommand::Trigger { id, content } => {
            let content = serde_json::from_str(content).context("--content is no JSON")?;
            executions.fire(id, content).await?;
            told(state, id)?;
        }
        ExecutionsCommand::Approve(decide) => {
            notify(&executions, state, decide, NoticeKind::Approve).await?;
        }
        ExecutionsCommand::Reject(decide) => {
            notify(&executions, state, decide, NoticeKind::Reject).await?;
        }
        ExecutionsCommand::Retry(decide) => {
            notify(&executions, state, decide, NoticeKind::RetryTask).await?;
        }
        ExecutionsCommand::Skip(decide) => {
            notify(&executions, state, decide, NoticeKind::SkipTask).await?;
        }
        ExecutionsCommand::Step { decide, name } => {
            notify(
                &executions,
                state,
                decide,
                NoticeKind::ExecuteTask { name: name.clone(), properties: serde_json::Map::new() },
            )
            .await?;
        }
        ExecutionsCommand::Complete { decide, status } => {
            let status = match status.as_str() {
                "Failed" => Status::Failed,
                "Cancelled" => Status::Cancelled,
                _ => Status::Success,
            };
            notify(&executions, state, decide, NoticeKind::CompleteExecution(status)).await?;
        }
        ExecutionsCommand::Delete { ids } => {
            for id in ids {
                executions.delete(ACCOUNT, std::slice::from_ref(id)).await?;
                state.forget(id);
            }
        }
        ExecutionsCommand::Resume { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn notify(
    executions: &Executions,
    state: &State,
    decide: &DecideArgs,
    kind: NoticeKind,
) -> Result<()> {
    executions
        .notify(Notice {
            execution: decide.id.clone(),
            kind,
            tasks: decide.tasks.clone(),
            item: None,
            user: user(),
            note: decide.note.clone(),
        })
        .await?;
    told(state, &decide.id)
}

/// A decision lies in the inbox of the run: say so where nobody drives it.
fn told(state: &State, id: &str) -> Result<()> {
    let root = root_of(id);
    if state.hold(root)?.is_some() {
        output::hint(&format!("nobody drives {id} now: kiln executions resume {id}"));
    }
    Ok(())
}

fn print_json<T: Serialize>(value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    output::exact(text.as_bytes())
}

async fn list(
    executions: &Executions,
    format: ExecutionsFormat,
    status: Option<&str>,
    children: bool,
    limit: u32,
) -> Result<()> {
    let query = ExecutionQuery {
        account: ACCOUNT.to_owned(),
        status: status.map(str::to_owned),
        include_children: children,
        page: PageOf { after: None, limit: usize::try_from(limit)? },
        ..ExecutionQuery::default()
    };
    let Listing { items, .. } = executions.list(&query).await?;
    if format == ExecutionsFormat::Json {
        return print_json(&items);
    }
    let rows = items.iter().map(|view| {
        let name = if view.template_name.is_empty() { "(a file)" } else { &view.template_name };
        vec![
            view.id.clone(),
            name.to_owned(),
            status_of(view),
            view.created.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            view.message.clone(),
        ]
    });
    let mut page = String::new();
    template::table(
        &mut page,
        "",
        &["Execution", "Template", "Status", "Started", ""],
        rows.collect(),
    );
    output::styled(page.as_bytes())
}

fn status_of(view: &ExecutionView) -> String {
    match view.waiting {
        Some(waiting) => format!("{} ({waiting:?})", view.status.name()),
        None => view.status.name().to_owned(),
    }
}

async fn show(
    executions: &Executions,
    format: ExecutionsFormat,
    state: &State,
    id: &str,
) -> Result<()> {
    let view = state.view(executions, id).await?;
    let query = TaskExecutionQuery {
        account: ACCOUNT.to_owned(),
        execution: Some(id.to_owned()),
        include_items: true,
        is_ascending: true,
        page: PageOf { after: None, limit: 1000 },
        ..TaskExecutionQuery::default()
    };
    let tasks: Vec<TaskView> = executions.list_tasks(&query).await?.items;
    if format == ExecutionsFormat::Json {
        return print_json(&serde_json::json!({ "execution": view, "tasks": tasks }));
    }
    let mut page = String::new();
    let mut facts = vec![
        vec!["Template".to_owned(), view.template_name.clone()],
        vec!["Status".to_owned(), status_of(&view)],
        vec!["Message".to_owned(), view.message.clone()],
        vec!["Started".to_owned(), view.created.to_string()],
        vec!["Ended".to_owned(), view.ended.map(|at| at.to_string()).unwrap_or_default()],
        vec!["Parameters".to_owned(), serde_json::to_string(&view.parameters)?],
        vec!["Outputs".to_owned(), serde_json::to_string(&view.outputs)?],
    ];
    facts.retain(|row| row.get(1).is_some_and(|value| !value.is_empty()));
    template::table(&mut page, "", &["Execution", id], facts);
    let rows = tasks.iter().map(|task| {
        let item = task.item.as_ref().map(|item| kiln_oos::value::text(item).into_owned());
        let name = match item {
            Some(item) if !task.parent.is_empty() => format!("  {} [{item}]", task.name),
            _ => task.name.clone(),
        };
        vec![
            task.id.strip_prefix(id).unwrap_or(&task.id).to_owned(),
            name,
            task.action.clone(),
            task.status.name().to_owned(),
            task.message.clone(),
        ]
    });
    template::table(&mut page, "Tasks", &["Id", "Task", "Action", "Status", ""], rows.collect());
    output::styled(page.as_bytes())
}

async fn logs(executions: &Executions, format: ExecutionsFormat, id: &str) -> Result<()> {
    let mut after = 0;
    loop {
        let (entries, last) = executions.logs(id, after, 500).await?;
        if entries.is_empty() {
            if after == 0 {
                return Err(Hinted::new(format!("{id} has no log"), "kiln executions list").into());
            }
            return Ok(());
        }
        let mut page = String::new();
        for entry in &entries {
            match format {
                ExecutionsFormat::Json => page += &serde_json::to_string(entry)?,
                ExecutionsFormat::Table => {
                    let time = entry.at.strftime("%Y-%m-%d %H:%M:%S");
                    let about = entry.task.as_deref().unwrap_or(&entry.execution);
                    let about = about.strip_prefix(id).unwrap_or(about);
                    page += &format!(
                        "{time}  {about:<16}  {}",
                        crate::report::printable(&entry.message)
                    );
                }
            }
            page.push('\n');
        }
        output::exact(page.as_bytes())?;
        after = last;
    }
}
