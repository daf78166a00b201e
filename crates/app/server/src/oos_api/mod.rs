//! The OOS API (version 2019-06-01) over HTTP: executions, templates, parameters.
//!
//! It shares the gateway with the ECS API: the same signatures, accounts and policies, told apart
//! by the version of the request. An action's file translates: what a template does is in
//! `kiln-oos`, how it is driven and kept in `kiln-factory` and `kiln-store`.

mod actions;
mod caller;
mod errors;
mod executions;
mod library;
mod logs;
mod notify;
mod once;
mod parameters;
mod policy;
mod regions;
mod request;
mod tags;
mod tasks;
mod template_list;
mod templates;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use futures::future::BoxFuture;
use kiln_ecs::error::ApiError;
use kiln_factory::executions::{Engine, Executions, Shelf, Web};
use kiln_store::{Parameters, Tags, Templates};
use serde_json::Value;

pub(crate) use self::caller::InProcess;
pub(crate) use self::library::StoreLibrary;
use crate::ecs::{Answer, Call, Handler};

/// The version of the API.
pub(crate) const VERSION: &str = "2019-06-01";

/// What the actions of OOS work with.
#[derive(Debug)]
pub(crate) struct Oos {
    pub(crate) executions: Executions,
    pub(crate) engine: Engine,
    /// What kiln ships: public templates and cloud product actions.
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) templates: Templates,
    pub(crate) parameters: Parameters,
    pub(crate) tags: Tags,
    pub(crate) web: Arc<Web>,
}

impl Call<'_> {
    /// What the actions of OOS work with.
    fn oos(&self) -> &Oos {
        &self.service.oos
    }

    /// Hold the caller to its policies: `action` on `acs:oos:<region>:<account>:<rest>`.
    fn allowed(&self, region: &str, rest: &str) -> Result<(), ApiError> {
        let region = if region.is_empty() { "*" } else { region };
        let resource = format!("acs:oos:{region}:{}:{rest}", self.account());
        self.authorize(&format!("oos:{}", self.action), &resource)
    }
}

fn fields<'a>(
    work: impl Future<Output = Result<Value, ApiError>> + Send + 'a,
) -> BoxFuture<'a, Result<Answer, ApiError>> {
    Box::pin(async move { work.await.map(Answer::Fields) })
}

/// The table of actions.
const ACTIONS: &[(&str, Handler)] = &[
    ("CancelExecution", |call| fields(executions::cancel_execution(call))),
    ("ChangeResourceGroup", |call| fields(tags::change_resource_group(call))),
    ("CreateParameter", |call| fields(parameters::create(call, false))),
    ("CreateSecretParameter", |call| fields(parameters::create(call, true))),
    ("CreateTemplate", |call| fields(templates::create_template(call))),
    ("DeleteExecutions", |call| fields(executions::delete_executions(call))),
    ("DeleteParameter", |call| fields(parameters::delete(call, false))),
    ("DeleteSecretParameter", |call| fields(parameters::delete(call, true))),
    ("DeleteTemplate", |call| fields(templates::delete_template(call))),
    ("DeleteTemplates", |call| fields(templates::delete_templates(call))),
    ("DescribeRegions", |call| fields(regions::describe_regions(call))),
    ("GenerateExecutionPolicy", |call| fields(policy::generate_execution_policy(call))),
    ("GetExecutionTemplate", |call| fields(executions::get_execution_template(call))),
    ("GetParameter", |call| fields(parameters::get(call, false))),
    ("GetParameters", |call| fields(parameters::get_several(call, false))),
    ("GetParametersByPath", |call| fields(parameters::by_path(call, false))),
    ("GetSecretParameter", |call| fields(parameters::get(call, true))),
    ("GetSecretParameters", |call| fields(parameters::get_several(call, true))),
    ("GetSecretParametersByPath", |call| fields(parameters::by_path(call, true))),
    ("GetTemplate", |call| fields(templates::get_template(call))),
    ("GetTemplateParameterConstraints", |call| {
        fields(policy::get_template_parameter_constraints(call))
    }),
    ("ListActions", |call| fields(actions::list_actions(call))),
    ("ListExecutionLogs", |call| fields(logs::list_execution_logs(call))),
    ("ListExecutionRiskyTasks", |call| fields(policy::list_execution_risky_tasks(call))),
    ("ListExecutions", |call| fields(executions::list_executions(call))),
    ("ListParameterVersions", |call| fields(parameters::versions(call, false))),
    ("ListParameters", |call| fields(parameters::list(call, false))),
    ("ListResourceExecutionStatus", |call| fields(tasks::list_resource_execution_status(call))),
    ("ListSecretParameterVersions", |call| fields(parameters::versions(call, true))),
    ("ListSecretParameters", |call| fields(parameters::list(call, true))),
    ("ListTagKeys", |call| fields(tags::list_tag_keys(call))),
    ("ListTagResources", |call| fields(tags::list_tag_resources(call))),
    ("ListTagValues", |call| fields(tags::list_tag_values(call))),
    ("ListTaskExecutions", |call| fields(tasks::list_task_executions(call))),
    ("ListTemplateVersions", |call| fields(templates::list_template_versions(call))),
    ("ListTemplates", |call| fields(template_list::list_templates(call))),
    ("NotifyExecution", |call| fields(notify::notify_execution(call))),
    ("StartExecution", |call| fields(executions::start_execution(call))),
    ("TagResources", |call| fields(tags::tag_resources(call))),
    ("TriggerExecution", |call| fields(notify::trigger_execution(call))),
    ("UntagResources", |call| fields(tags::untag_resources(call))),
    ("UpdateExecution", |call| fields(executions::update_execution(call))),
    ("UpdateParameter", |call| fields(parameters::update(call, false))),
    ("UpdateSecretParameter", |call| fields(parameters::update(call, true))),
    ("UpdateTemplate", |call| fields(templates::update_template(call))),
    ("UpdateTemplateAttributes", |call| fields(templates::update_template_attributes(call))),
    ("ValidateTemplateContent", |call| fields(templates::validate_template_content(call))),
];

/// The action's name and handler, or `None` where there is no such action. Names are
/// case-sensitive.
#[must_use]
pub(crate) fn find(name: &str) -> Option<(&'static str, Handler)> {
    ACTIONS.iter().find(|(known, _)| *known == name).copied()
}
