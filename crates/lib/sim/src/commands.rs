//! Commands of the Cloud Assistant: their runs end as the world file scripts it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    course::{Course, wire_names, with_seconds},
    error::ApiFault,
    instances::Instance,
    operations::{Operation, Request},
    paging::page,
    resources::ResourceKind,
    world::{World, done},
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("DescribeCloudAssistantStatus", describe_cloud_assistant_status),
    Operation::ecs("DescribeInvocationResults", describe_invocation_results),
    Operation::ecs("DescribeInvocations", describe_invocations),
    Operation::ecs("InstallCloudAssistant", install_cloud_assistant),
    Operation::ecs("InvokeCommand", invoke_command),
    Operation::ecs("RunCommand", run_command),
    Operation::ecs("StopInvocation", stop_invocation),
];

/// The longest content of a command, and the most output of it that is kept, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 24 * 1024;

wire_names! {
    /// Whether a run has ended, regardless of its exit code.
    InvokeStatus {
        Running = "Running", Finished = "Finished", Failed = "Failed", Stopped = "Stopped",
        PartialFailed = "PartialFailed",
    }
}

wire_names! {
    /// How a run on one instance ended.
    Outcome {
        Success = "Success", Failed = "Failed", Invalid = "Invalid", Aborted = "Aborted",
        Error = "Error", Timeout = "Timeout", Cancelled = "Cancelled", Terminated = "Terminated",
    }
}

/// A command that can be invoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) content: String,
}

/// How runs of some commands end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Script {
    /// The command's identifier.
    pub(crate) command: Option<String>,
    /// A part of the command's content.
    pub(crate) content: Option<String>,
    pub(crate) exit_code: i64,
    pub(crate) output: String,
    pub(crate) outcome: Outcome,
}

/// A command that was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Invocation {
    pub(crate) id: String,
    region: String,
    pub(crate) command_id: String,
    pub(crate) command_name: String,
    kind: String,
    content: String,
    parameters: String,
    username: String,
    working_dir: String,
    timeout: i64,
    created: Timestamp,
    pub(crate) runs: Vec<Run>,
}

/// A run on one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    instance_id: String,
    course: Course<InvokeStatus>,
    outcome: Outcome,
    exit_code: i64,
    error_code: String,
    /// The script whose output it has.
    script: Option<usize>,
}

impl Invocation {
    /// The status over all instances.
    pub(crate) fn status(&self, now: Timestamp) -> InvokeStatus {
        let statuses: Vec<_> = self.runs.iter().map(|run| run.course.at(now)).collect();
        let are_all = |wanted| statuses.iter().all(|status| *status == wanted);
        match () {
            () if statuses.contains(&InvokeStatus::Running) => InvokeStatus::Running,
            () if are_all(InvokeStatus::Failed) => InvokeStatus::Failed,
            () if are_all(InvokeStatus::Stopped) => InvokeStatus::Stopped,
            () if statuses.contains(&InvokeStatus::Failed) => InvokeStatus::PartialFailed,
            () => InvokeStatus::Finished,
        }
    }

    /// The same in the newer words, which regard exit codes.
    fn outcome(&self, now: Timestamp) -> &'static str {
        if self.status(now) == InvokeStatus::Running {
            return "Running";
        }
        let n_good = self.runs.iter().filter(|run| run.outcome == Outcome::Success).count();
        match (n_good, self.status(now)) {
            (_, InvokeStatus::Stopped) => "Stopped",
            (0, _) => "Failed",
            (n, _) if n == self.runs.len() => "Success",
            _ => "PartialFailed",
        }
    }
}

impl Run {
    fn outcome(&self, now: Timestamp) -> &'static str {
        match self.course.at(now) {
            InvokeStatus::Running => "Running",
            _ => self.outcome.name(),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.course.is_over(now)
    }

    fn end(&mut self, now: Timestamp, status: InvokeStatus, outcome: Outcome, error: &str) {
        self.course = Course::new(status, now);
        self.outcome = outcome;
        self.exit_code = -1;
        self.error_code = error.to_owned();
        self.script = None;
    }
}

impl World {
    /// What still runs on an instance ends when it stops.
    pub(crate) fn interrupt_commands(&mut self, instance_id: &str, now: Timestamp) {
        let runs = self.invocations.values_mut().flat_map(|invocation| &mut invocation.runs);
        for run in runs.filter(|run| run.instance_id == instance_id && !run.is_over(now)) {
            run.end(now, InvokeStatus::Failed, Outcome::Terminated, "ExecutionInterrupted");
        }
    }

    fn script_of(&self, command_id: &str, content: &str) -> Option<usize> {
        self.scripts.iter().position(|script| {
            script.command.as_deref().is_none_or(|id| id.eq_ignore_ascii_case(command_id))
                && script.content.as_ref().is_none_or(|part| content.contains(part.as_str()))
        })
    }

    fn new_run(&mut self, now: Timestamp, instance_id: &str, script: Option<usize>) -> Run {
        let seconds = self.delays.invocation;
        let running = Course::new(InvokeStatus::Running, now);
        let mut run = Run {
            instance_id: instance_id.to_owned(),
            course: running.clone().then(seconds, InvokeStatus::Finished),
            outcome: Outcome::Success,
            exit_code: 0,
            error_code: String::new(),
            script,
        };
        if let Some(script) = script.and_then(|index| self.scripts.get(index)) {
            run.exit_code = script.exit_code;
            run.outcome = script.outcome;
            match script.outcome {
                Outcome::Success => {}
                Outcome::Failed => run.error_code = "ExitCodeNonzero".into(),
                _ => {
                    run.course = running.clone().then(seconds, InvokeStatus::Failed);
                    run.error_code = match script.outcome {
                        Outcome::Timeout => "ExecutionTimeout".into(),
                        _ => "ExecutionException".into(),
                    };
                }
            }
        }
        let answers =
            self.instances.get(instance_id).is_some_and(|each| each.assistant_answers(now));
        if self.ends_failed(ResourceKind::Invocation) {
            run.course = running.then(seconds, InvokeStatus::Failed);
            run.outcome = Outcome::Failed;
            run.exit_code = 1;
            run.error_code = "ExecutionException".into();
        } else if !answers {
            run.course = running.then(seconds, InvokeStatus::Failed);
            run.outcome = Outcome::Aborted;
            run.exit_code = -1;
            run.error_code = "ClientNotRunning".into();
            run.script = None;
        }
        run
    }
}

fn run_command(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let kind = parameters.required("Type")?;
    if !["RunShellScript", "RunBatScript", "RunPowerShellScript"].contains(&kind.as_str()) {
        let message = "The specified command type does not exist.";
        return Err(ApiFault::new(404, "InvalidCmdType.NotFound", message));
    }
    let written = parameters.required("CommandContent")?;
    if written.len() > MAX_TEXT_BYTES {
        let message = "The length of the command content exceeds the limit.";
        return Err(ApiFault::new(403, "CmdContent.ExceedLimit", message));
    }
    let encoding = parameters.text("ContentEncoding").unwrap_or_default();
    let content = match encoding.eq_ignore_ascii_case("Base64") {
        false => written,
        true => decoded(&written).ok_or_else(|| {
            let message = "The CommandContent can not be base64 decoded.";
            ApiFault::new(400, "CmdContent.DecodeError", message)
        })?,
    };
    let name = parameters.text("Name").unwrap_or_default();
    let command = Command { id: String::new(), name, kind, content };
    let (command_id, invoke_id) = invoke(world, request, command)?;
    Ok(json!({ "CommandId": command_id, "InvokeId": invoke_id }))
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}

fn invoke_command(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let id = request.parameters.required("CommandId")?;
    let command = world.commands.get(&id).cloned().ok_or_else(|| {
        let message = "The specified command ID does not exist.";
        ApiFault::new(404, "InvalidCmdId.NotFound", message)
    })?;
    let (_, invoke_id) = invoke(world, request, command)?;
    Ok(json!({ "InvokeId": invoke_id }))
}

/// Begin the runs of a command on the instances of the request. A command without an identifier
/// gets one, and is not kept.
fn invoke(
    world: &mut World,
    request: &Request<'_>,
    command: Command,
) -> Result<(String, String), ApiFault> {
    let parameters = &request.parameters;
    let instance_ids = assistants(world, request)?;
    for id in &instance_ids {
        let instance = world.instances.get(id);
        if !instance.is_some_and(|instance| instance.is_running(request.now)) {
            let message = "The specified instance type does not match the command.";
            return Err(ApiFault::new(400, "InvalidInstance.NotMatch", message));
        }
    }
    let given = parameters.text("Parameters").unwrap_or_else(|| "{}".into());
    if serde_json::from_str::<serde_json::Map<String, Value>>(&given).is_err() {
        let message = "The specified parameter Parameters is not valid.";
        return Err(ApiFault::new(400, "InvalidParameter.Parameters", message));
    }
    if given.len() > MAX_TEXT_BYTES {
        let message = "The length of the command content exceeds the limit.";
        return Err(ApiFault::new(403, "CmdContent.ExceedLimit", message));
    }
    let timeout = parameters.number_in("Timeout", 1..=86_400)?.unwrap_or(60);
    world.room_for(instance_ids.len())?;
    let script = world.script_of(&command.id, &command.content);
    let command_id = if command.id.is_empty() { world.make_id("c") } else { command.id.clone() };
    let invoke_id = world.make_id("t");
    let runs = instance_ids.iter().map(|id| world.new_run(request.now, id, script)).collect();
    let invocation = Invocation {
        id: invoke_id.clone(),
        region: request.region.clone(),
        command_id: command_id.clone(),
        command_name: command.name,
        kind: command.kind,
        content: command.content,
        parameters: given,
        username: parameters.text("Username").unwrap_or_else(|| "root".into()),
        working_dir: parameters.text("WorkingDir").unwrap_or_else(|| "/root".into()),
        timeout,
        created: request.now,
        runs,
    };
    world.invocations.insert(invoke_id.clone(), invocation);
    Ok((command_id, invoke_id))
}

/// The instances that a request of the Cloud Assistant names, which has its own codes.
fn assistants(world: &World, request: &Request<'_>) -> Result<Vec<String>, ApiFault> {
    let missing = || {
        let message = "The parameter instanceId is missing or empty.";
        ApiFault::new(400, "MissingParam.InstanceId", message)
    };
    let ids = request.parameters.list("InstanceId")?.filter(|ids| !ids.is_empty());
    let ids = ids.ok_or_else(missing)?;
    let unknown = || {
        let message = "The specified instance does not exist.";
        ApiFault::new(404, "InvalidInstance.NotFound", message)
    };
    match ids.iter().all(|id| world.instance(request, id).is_ok()) {
        true => Ok(ids),
        false => Err(unknown()),
    }
}

fn stop_invocation(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let id = request.parameters.required("InvokeId")?;
    let instances = request.parameters.list("InstanceId")?;
    let found = world.invocations.get_mut(&id).filter(|each| each.region == request.region);
    let invocation = found.ok_or_else(|| ApiFault::not_found("InvokeId"))?;
    for run in invocation.runs.iter_mut().filter(|run| !run.is_over(request.now)) {
        if instances.as_ref().is_none_or(|ids| ids.contains(&run.instance_id)) {
            run.end(request.now, InvokeStatus::Stopped, Outcome::Terminated, "");
        }
    }
    done()
}

/// It is there after the next start, as on real instances.
fn install_cloud_assistant(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    for id in assistants(world, request)? {
        if let Some(instance) = world.instances.get_mut(&id) {
            instance.assistant_is_pending = true;
        }
    }
    done()
}

fn describe_cloud_assistant_status(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let ids = match request.parameters.list("InstanceId")? {
        None => None,
        Some(_) => Some(assistants(world, request)?),
    };
    let is_wanted = |instance: &&Instance| {
        instance.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&instance.id))
    };
    let found: Vec<_> = world.instances.values().filter(is_wanted).collect();
    let page = page(request, &found, |instance| {
        let answers = instance.assistant_answers(request.now);
        let runs = world.invocations.values().flat_map(|each| &each.runs);
        let own: Vec<_> = runs.filter(|run| run.instance_id == instance.id).collect();
        json!({
            "InstanceId": instance.id,
            // A text, not a boolean: templates compare it with one.
            "CloudAssistantStatus": answers.to_string(),
            "CloudAssistantVersion": if answers { "2.2.3.967" } else { "" },
            "OSType": "Linux",
            "ActiveTaskCount": own.iter().filter(|run| !run.is_over(request.now)).count(),
            "InvocationCount": own.len(),
            "LastHeartbeatTime": if answers { with_seconds(request.now) } else { String::new() },
            "SupportSessionManager": true,
        })
    })?;
    Ok(page.answer("InstanceCloudAssistantStatusSet", "InstanceCloudAssistantStatus"))
}

fn describe_invocations(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let text = |name| parameters.text(name);
    let (id, command, instance) = (text("InvokeId"), text("CommandId"), text("InstanceId"));
    let (name, kind, status) = (text("CommandName"), text("CommandType"), text("InvokeStatus"));
    let with_output = parameters.flag("IncludeOutput")?.unwrap_or(false);
    let is_wanted = |each: &&Invocation| {
        each.region == request.region
            && id.as_ref().is_none_or(|id| *id == each.id)
            && command.as_ref().is_none_or(|command| *command == each.command_id)
            && name.as_ref().is_none_or(|name| *name == each.command_name)
            && kind.as_ref().is_none_or(|kind| *kind == each.kind)
            && status.as_ref().is_none_or(|status| status == each.status(request.now).name())
            && (instance.as_ref())
                .is_none_or(|id| each.runs.iter().any(|run| run.instance_id == *id))
    };
    let found: Vec<_> = world.invocations.values().rev().filter(is_wanted).collect();
    let page = page(request, &found, |each| show(world, each, request, with_output))?;
    Ok(page.answer("Invocations", "Invocation"))
}

fn show(world: &World, invocation: &Invocation, request: &Request<'_>, with_output: bool) -> Value {
    let runs: Vec<_> = (invocation.runs.iter())
        .map(|run| {
            let mut shown = show_run(world, invocation, run, request, "FinishTime");
            shown.insert("InstanceInvokeStatus".into(), run.course.at(request.now).name().into());
            if !with_output {
                shown.shift_remove("Output");
            }
            shown
        })
        .collect();
    json!({
        "InvokeId": invocation.id,
        "CommandId": invocation.command_id,
        "CommandName": invocation.command_name,
        "CommandType": invocation.kind,
        "CommandContent": encoded(request, &invocation.content),
        "CreationTime": with_seconds(invocation.created),
        "Frequency": "",
        "RepeatMode": "Once",
        "Timed": false,
        "Timeout": invocation.timeout,
        "Parameters": invocation.parameters,
        "Username": invocation.username,
        "WorkingDir": invocation.working_dir,
        "InvokeStatus": invocation.status(request.now).name(),
        "InvocationStatus": invocation.outcome(request.now),
        "InvokeInstances": { "InvokeInstance": runs },
    })
}

/// The two operations differ in the name of the time at which a run ended.
fn show_run(
    world: &World,
    invocation: &Invocation,
    run: &Run,
    request: &Request<'_>,
    finish_field: &str,
) -> serde_json::Map<String, Value> {
    let script = run.script.and_then(|index| world.scripts.get(index));
    let is_over = run.is_over(request.now);
    let output = script.filter(|_| is_over).map_or("", |script| script.output.as_str());
    let error_code = if is_over { run.error_code.as_str() } else { "" };
    let time = |time| with_seconds(time).into();
    let mut shown = serde_json::Map::new();
    shown.insert("InvokeId".into(), invocation.id.clone().into());
    shown.insert("InstanceId".into(), run.instance_id.clone().into());
    shown.insert("InvocationStatus".into(), run.outcome(request.now).into());
    shown.insert("Output".into(), encoded(request, output).into());
    shown.insert("Dropped".into(), 0.into());
    shown.insert("ErrorCode".into(), error_code.into());
    shown.insert("ErrorInfo".into(), error_info(error_code).into());
    shown.insert("Repeats".into(), u8::from(is_over).into());
    shown.insert("CreationTime".into(), time(invocation.created));
    shown.insert("StartTime".into(), time(invocation.created));
    if is_over {
        shown.insert("ExitCode".into(), run.exit_code.into());
        shown.insert(finish_field.into(), time(run.course.end()));
    }
    shown
}

fn error_info(code: &str) -> &'static str {
    match code {
        "ExitCodeNonzero" => "the command execution exit code is not zero",
        "ExecutionTimeout" => "the command execution has been timeout",
        "ClientNotRunning" => "the aliyun service is not running on the instance",
        "ExecutionInterrupted" => "the command execution has been interrupted",
        "ExecutionException" => "the command execution got exception",
        _ => "",
    }
}

/// Texts are in Base64 unless the request asks otherwise.
fn encoded(request: &Request<'_>, text: &str) -> String {
    match request.parameters.text("ContentEncoding").as_deref() {
        Some("PlainText") => text.to_owned(),
        _ => STANDARD.encode(text),
    }
}

/// Its paging fields are inside `Invocation`.
fn describe_invocation_results(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let text = |name| request.parameters.text(name);
    let (id, command, instance) = (text("InvokeId"), text("CommandId"), text("InstanceId"));
    let status = text("InvokeRecordStatus");
    let all = world.invocations.values().rev().filter(|each| each.region == request.region);
    let found: Vec<_> = all
        .filter(|each| id.as_ref().is_none_or(|id| *id == each.id))
        .filter(|each| command.as_ref().is_none_or(|command| *command == each.command_id))
        .flat_map(|each| each.runs.iter().map(move |run| (each, run)))
        .filter(|(_, run)| instance.as_ref().is_none_or(|id| *id == run.instance_id))
        .filter(|(_, run)| {
            status.as_ref().is_none_or(|status| status == run.course.at(request.now).name())
        })
        .collect();
    let page = page(request, &found, |(invocation, run)| {
        let mut shown = show_run(world, invocation, run, request, "FinishedTime");
        shown.insert("CommandId".into(), invocation.command_id.clone().into());
        shown.insert("Username".into(), invocation.username.clone().into());
        shown.insert("InvokeRecordStatus".into(), run.course.at(request.now).name().into());
        Value::Object(shown)
    })?;
    Ok(json!({ "Invocation": page.answer("InvocationResults", "InvocationResult") }))
}

/// Commands that the cloud offers to everybody and that image templates invoke.
pub(crate) fn public_commands() -> IndexMap<String, Command> {
    let id = "ACS-ECS-ImageRepair-for-linux.sh";
    let command = Command {
        id: id.to_owned(),
        name: id.to_owned(),
        kind: "RunShellScript".into(),
        content: String::new(),
    };
    IndexMap::from([(id.to_owned(), command)])
}
