//! Executions: started, listed, changed, cancelled, deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_ecs::error::ApiError;
use kiln_factory::executions::{ExecutionView, StartSpec, root_of};
use kiln_oos::run::{Context, Found, HttpRequest, LoopMode, Mode, SafetyCheck, Status};
use kiln_store::{Depth, ExecutionChange, ExecutionQuery, ExecutionRow, ExecutionSort, Once};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::once::{self, Attempt};
use super::request::{
    self, SortOrder, bound, client_token, needed, needed_list, object, put, read, region, time,
};
use super::view::{Shown, template_id, template_owner};
use super::{caller, errors, library};
use crate::ecs::Call;

/// Executions that one request deletes.
const MAX_DELETED: usize = 100;

/// How long a forced deletion waits for its executions to end.
const DELETE_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Start {
    client_token: Option<String>,
    description: Option<String>,
    loop_mode: Option<LoopMode>,
    mode: Mode,
    parameters: Option<String>,
    parent_execution_id: Option<String>,
    region_id: Option<String>,
    resource_group_id: Option<String>,
    safety_check: SafetyCheck,
    tags: BTreeMap<String, String>,
    template_content: Option<String>,
    template_name: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    template_version: Option<String>,
}

/// `StartExecution`: record an execution, and let it begin.
pub(super) async fn start_execution(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Start = read(call)?;
    let region = region(call, request.region_id.as_ref())?;
    call.allowed(
        &region,
        &format!("template/{}", request.template_name.as_deref().unwrap_or("*")),
    )?;
    let token = client_token(request.client_token.as_ref())?;
    let attempt = Attempt::of(call, &region, token);
    if let Some(before) = once::before(call, attempt.as_ref()).await? {
        return Ok(before);
    }
    request::tags(&request.tags)?;
    if request.mode != Mode::Automatic && call.pairs.iter().any(is_skip) {
        let told = "Skip goes with the mode Automatic only.";
        return Err(ApiError::invalid_parameter("SafetyCheck", told));
    }
    let parameters = object("Parameters", request.parameters.as_ref())?;
    let parent = parent(call, request.parent_execution_id.as_deref()).await?;
    let template = template(call, &request).await?;
    let most = call.service.quotas.executions;
    let records = call.oos().executions.records();
    if records.count_running(call.account()).await.map_err(errors::store)? >= most {
        return Err(errors::quota("Execution", most));
    }
    let context = Context {
        region,
        account: call.account().to_owned(),
        user: caller::starter(call.caller),
        mode: request.mode,
        loop_mode: request.loop_mode,
        safety_check: request.safety_check,
    };
    let name = template.name.clone();
    let spec = StartSpec {
        template,
        parameters,
        context,
        description: request.description.unwrap_or_default(),
        resource_group: request.resource_group_id.unwrap_or_default(),
        tags: request.tags,
    };
    start(call, spec, &parent, attempt.as_ref(), &name).await
}

fn is_skip((name, value): &(String, String)) -> bool {
    name == "SafetyCheck" && value == "Skip"
}

async fn start(
    call: &Call<'_>,
    spec: StartSpec,
    parent: &str,
    attempt: Option<&Attempt>,
    template: &str,
) -> Result<Value, ApiError> {
    let oos = call.oos();
    let (description, resource_group, tags) =
        (spec.description.clone(), spec.resource_group.clone(), spec.tags.clone());
    let answer = |view: &ExecutionView| {
        let shown = Shown {
            view,
            parent,
            description: &description,
            resource_group: &resource_group,
            tags: &tags,
            counters: None,
            current: Vec::new(),
            resources: BTreeMap::new(),
        };
        json!({"Execution": shown.started()})
    };
    let id = new_id();
    let token = |view: &ExecutionView| attempt.map(|attempt| attempt.with(answer(view)));
    let started = oos.executions.create_once(&id, spec, parent, token).await;
    let started = started.map_err(errors::failure)?;
    let started = started.map(|created| {
        oos.engine.begin(created.held);
        created.view
    });
    if let Once::Done(_) = &started {
        let counted = oos.templates.count_execution(call.account(), template).await;
        if let Err(error) = counted {
            tracing::warn!(%error, "an execution is missing in the count of its template");
        }
    }
    once::answered(started, |view| Ok(answer(&view)))
}

/// `exec-` and twenty hex digits that nobody had before.
fn new_id() -> String {
    let hex = uuid::Uuid::new_v4().simple().to_string();
    format!("exec-{}", hex.get(..20).unwrap_or(&hex))
}

/// The execution that a new one is linked below.
async fn parent(call: &Call<'_>, id: Option<&str>) -> Result<String, ApiError> {
    match id {
        Some(id) => Ok(row(call, id).await?.id),
        None => Ok(String::new()),
    }
}

/// The template of a request: its text, its URL or its name, in this order.
async fn template(call: &Call<'_>, request: &Start) -> Result<Found, ApiError> {
    if let Some(text) = &request.template_content {
        return library::inline(call, text);
    }
    if let Some(url) = &request.template_url {
        return library::inline(call, &fetched(call, url).await?);
    }
    let name = needed("TemplateName", request.template_name.as_ref())?;
    library::named(call, name, request.template_version.as_deref()).await
}

/// The text at a URL, where its host is allowed.
///
/// # Errors
///
/// `InvalidParameter`.
pub(super) async fn fetched(call: &Call<'_>, url: &str) -> Result<String, ApiError> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        query: Vec::new(),
        body: None,
    };
    let refused = |told: String| ApiError::invalid_parameter("TemplateURL", &format!("{told}."));
    let answer = call.oos().web.send(&request).await.map_err(refused)?;
    match answer.status {
        200 => Ok(answer.body),
        status => Err(refused(format!("The answer has the status {status}"))),
    }
}

/// An execution of the caller's account.
///
/// # Errors
///
/// `EntityNotExists.Execution`.
pub(super) async fn row(call: &Call<'_>, id: &str) -> Result<ExecutionRow, ApiError> {
    let row = call.oos().executions.records().execution(call.account(), id).await;
    row.map_err(errors::store)?.ok_or_else(|| errors::absent("Execution", id))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    account_id: Option<String>,
    categories: Option<String>,
    category: Option<String>,
    depth: Option<String>,
    description: Option<String>,
    end_date_after: Option<String>,
    end_date_before: Option<String>,
    executed_by: Option<String>,
    execution_id: Option<String>,
    include_child_execution: bool,
    mode: Option<Mode>,
    parent_execution_id: Option<String>,
    ram_role: Option<String>,
    region_id: Option<String>,
    resource_group_id: Option<String>,
    sort_field: Sort,
    sort_order: SortOrder,
    start_date_after: Option<String>,
    start_date_before: Option<String>,
    status: Option<Status>,
    tags: BTreeMap<String, String>,
    template_name: Option<String>,
}

/// What lists of executions and tasks are sorted by.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) enum Sort {
    /// When they were made.
    #[default]
    StartDate,
    /// When they ended.
    EndDate,
    /// Their status.
    Status,
}

impl List {
    fn categories(&self) -> Result<Vec<String>, ApiError> {
        const KNOWN: [&str; 4] = ["Other", "TimerTrigger", "EventTrigger", "AlarmTrigger"];
        if self.category.is_some() && self.categories.is_some() {
            let told = "Give one of Category and Categories.";
            return Err(ApiError::invalid_parameter("Categories", told));
        }
        let text = self.category.as_ref().or(self.categories.as_ref());
        let listed = request::list("Categories", text, KNOWN.len())?;
        if listed.iter().any(|own| !KNOWN.contains(&own.as_str())) {
            let told = format!("One of {} is expected.", KNOWN.join(", "));
            return Err(ApiError::invalid_parameter("Categories", &told));
        }
        Ok(listed)
    }

    fn depth(&self) -> Result<Option<Depth>, ApiError> {
        let refused = |told: &str| Err(ApiError::invalid_parameter("Depth", told));
        match self.depth.as_deref() {
            None => Ok(None),
            Some(_) if self.include_child_execution => {
                refused("It does not go with IncludeChildExecution.")
            }
            Some("RootDepth") => Ok(Some(Depth::Root)),
            Some("FirstChildDepth") => Ok(Some(Depth::FirstChild)),
            Some(_) => refused("RootDepth or FirstChildDepth is expected."),
        }
    }

    fn query(&self, call: &Call<'_>) -> Result<ExecutionQuery, ApiError> {
        // An execution is looked for by its identifier wherever it is.
        let region = match (&self.execution_id, &self.region_id) {
            (None, Some(id)) => Some(region(call, Some(id))?),
            _ => None,
        };
        Ok(ExecutionQuery {
            account: call.account().to_owned(),
            region,
            id: self.execution_id.clone(),
            template_name: self.template_name.clone(),
            status: self.status.map(|status| status.name().to_owned()),
            mode: self.mode.map(|mode| format!("{mode:?}")),
            parent: self.parent_execution_id.clone(),
            depth: self.depth()?,
            include_children: self.include_child_execution,
            categories: self.categories()?,
            created_from: bound("StartDateAfter", self.start_date_after.as_ref(), false)?,
            created_to: bound("StartDateBefore", self.start_date_before.as_ref(), true)?,
            ended_from: bound("EndDateAfter", self.end_date_after.as_ref(), false)?,
            ended_to: bound("EndDateBefore", self.end_date_before.as_ref(), true)?,
            executed_by: self.executed_by.clone(),
            ram_role: self.ram_role.clone(),
            description: self.description.clone(),
            resource_group: self.resource_group_id.clone(),
            tags: self.tags.clone(),
            sort: match self.sort_field {
                Sort::StartDate => ExecutionSort::Created,
                Sort::EndDate => ExecutionSort::Ended,
                Sort::Status => ExecutionSort::Status,
            },
            is_ascending: self.sort_order == SortOrder::Ascending,
            page: request::paging(call)?.page(10)?,
        })
    }
}

/// `ListExecutions`; also how clients ask for one.
pub(super) async fn list_executions(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: List = read(call)?;
    call.allowed(request.region_id.as_deref().unwrap_or_default(), "execution/*")?;
    let query = request.query(call)?;
    if request.account_id.as_deref().is_some_and(|account| account != call.account()) {
        let limit = query.page.limit;
        return Ok(json!({"Executions": [], "MaxResults": limit, "TotalCount": 0}));
    }
    let records = call.oos().executions.records();
    let page = records.list(&query).await.map_err(errors::store)?;
    let mut answer = Map::new();
    answer.insert("Executions".to_owned(), Value::from(listed(call, &page.items).await?));
    answer.insert("MaxResults".to_owned(), Value::from(query.page.limit));
    answer.insert("TotalCount".to_owned(), Value::from(page.total));
    put(&mut answer, "NextToken", page.next);
    Ok(Value::Object(answer))
}

/// Executions with their counters and the tasks that they are at.
async fn listed(call: &Call<'_>, rows: &[ExecutionRow]) -> Result<Vec<Value>, ApiError> {
    let records = call.oos().executions.records();
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let counters = records.counters(&ids).await.map_err(errors::store)?;
    let current = records.current_tasks(&ids).await.map_err(errors::store)?;
    let mut resources = records.resources(&ids).await.map_err(errors::store)?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in rows {
        let view = super::view::read(&row.view)?;
        let mut one = Shown::of(row, &view);
        one.counters = counters.get(&row.id);
        one.resources = resources.remove(&row.id).unwrap_or_default();
        one.current = current.iter().filter(|task| task.execution == row.id).collect();
        shown.push(Value::Object(one.listed()));
    }
    Ok(shown)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct One {
    client_token: Option<String>,
    description: Option<String>,
    execution_id: Option<String>,
    parameters: Option<String>,
    region_id: Option<String>,
    resource_group_id: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

/// `CancelExecution`: no more tasks begin, and what is under way is let finish.
pub(super) async fn cancel_execution(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    let id = needed("ExecutionId", request.execution_id.as_ref())?;
    let row = row(call, id).await?;
    call.allowed(&row.region, &format!("execution/{id}"))?;
    let oos = call.oos();
    oos.executions.cancel(id).await.map_err(errors::failure)?;
    oos.engine.wake(root_of(id)).await;
    Ok(json!({}))
}

/// `GetExecutionTemplate`: the text as it was when the execution started.
pub(super) async fn get_execution_template(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    let id = needed("ExecutionId", request.execution_id.as_ref())?;
    let row = row(call, id).await?;
    call.allowed(&row.region, &format!("execution/{id}"))?;
    let view: ExecutionView = super::view::read(&row.view)?;
    let text = call.oos().executions.template_of(&view).await.map_err(errors::failure)?;
    let text = text.ok_or_else(|| errors::absent("Execution", id))?;
    let owner = template_owner(&view.account, &view.template_name);
    let is_public = owner == "ACS";
    let description = kiln_oos::template::load(&text).ok().and_then(|own| own.description);
    Ok(json!({
        "Content": text,
        "Template": {
            "CreatedBy": owner,
            "CreatedDate": time(view.created),
            "Description": description.map(super::templates::description),
            "Hash": view.template,
            "ShareType": if is_public { "Public" } else { "Private" },
            "Tags": {},
            "TemplateFormat": super::templates::format_of(&text),
            "TemplateId": template_id(owner, &view.template_name, &view.template),
            "TemplateName": view.template_name,
            "TemplateVersion": view.template_version,
            "UpdatedBy": owner,
            "UpdatedDate": time(view.created),
        },
    }))
}

/// `UpdateExecution`: what lists find an execution by, and parameters for a trigger's next firing.
pub(super) async fn update_execution(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    let id = needed("ExecutionId", request.execution_id.as_ref())?;
    let row = row(call, id).await?;
    call.allowed(&row.region, &format!("execution/{id}"))?;
    let parameters = object("Parameters", request.parameters.as_ref())?;
    if !parameters.is_empty() {
        caller::may_give(call.caller, &row.executed_by)?;
    }
    if let Some(tags) = &request.tags {
        request::tags(tags)?;
    }
    let token = client_token(request.client_token.as_ref())?;
    let attempt = Attempt::of(call, &row.region, token);
    if let Some(before) = once::before(call, attempt.as_ref()).await? {
        return Ok(before);
    }
    if !parameters.is_empty() {
        // A second time changes nothing, so the token need not be in the same transaction.
        let oos = call.oos();
        oos.executions.renew(id, parameters).await.map_err(errors::failure)?;
        oos.engine.wake(id).await;
    }
    let change = ExecutionChange {
        description: request.description,
        resource_group: request.resource_group_id,
        tags: request.tags,
    };
    let token = attempt.map(|attempt| attempt.with(json!({})));
    let records = call.oos().executions.records();
    let done = records.update(call.account(), id, &change, token.as_ref()).await;
    once::answered(done.map_err(errors::store)?, |()| Ok(json!({})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Delete {
    execution_ids: Option<String>,
    force: bool,
}

/// `DeleteExecutions`: all of them, or none.
pub(super) async fn delete_executions(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Delete = read(call)?;
    let ids = needed_list("ExecutionIds", request.execution_ids.as_ref(), MAX_DELETED)?;
    let mut running = Vec::new();
    for id in &ids {
        let row = row(call, id).await?;
        call.allowed(&row.region, &format!("execution/{id}"))?;
        if root_of(id) != id {
            let told = format!("{id} is part of {}, and goes with it.", root_of(id));
            return Err(ApiError::invalid_parameter("ExecutionIds", &told));
        }
        if row.ended == 0 {
            running.push(id.as_str());
        }
    }
    if let (Some(first), false) = (running.first(), request.force) {
        return Err(errors::status(&format!("{first} has not ended")));
    }
    end(call, &running).await?;
    let records = call.oos().executions.records();
    records.delete(&ids).await.map_err(errors::store)?;
    Ok(json!({}))
}

/// Cancel executions, and wait a while for their end.
async fn end(call: &Call<'_>, ids: &[&str]) -> Result<(), ApiError> {
    let oos = call.oos();
    for id in ids {
        match oos.executions.cancel(id).await.map_err(errors::failure) {
            // It ended in this moment.
            Err(error) if error.status == 400 => {}
            done => done?,
        }
        oos.engine.wake(id).await;
    }
    let deadline = tokio::time::Instant::now() + DELETE_WAIT;
    for id in ids {
        while row(call, id).await?.ended == 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}
