//! The world and how a call goes through it: faults, tokens, the operation, the record.

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    commands::{Command, Invocation, Script},
    disks::Disk,
    error::{ApiFault, WorldError},
    faults::{Fault, Strike},
    file::Delays,
    images::{CheckItem, Image},
    instances::Instance,
    launch_templates::LaunchTemplate,
    operations::{self, Operation, Request},
    parameters::Parameters,
    regions::Region,
    resources::ResourceKind,
    scaling::ScalingConfiguration,
    snapshots::Snapshot,
    stacks::Stack,
    tasks::Task,
};

/// Resources that a world holds at most, counted over all kinds.
pub(crate) const MAX_RESOURCES: usize = 10_000;
/// Calls that are remembered. When there are twice as many, the older half is forgotten.
const MAX_CALLS: usize = 10_000;
/// Answers that are kept for their token. The oldest goes first.
const MAX_TOKENS: usize = 10_000;
/// How long an answer is kept for its token.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// The longest client token, in characters.
const MAX_TOKEN_CHARS: usize = 64;

/// A world of scripted resources. See the documentation of this crate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    pub(crate) regions: Vec<Region>,
    pub(crate) delays: Delays,
    pub(crate) faults: Vec<Fault>,
    pub(crate) scripts: Vec<Script>,
    /// What a check finds in an image that is made here.
    pub(crate) check_items: Vec<CheckItem>,
    pub(crate) images: IndexMap<String, Image>,
    pub(crate) instances: IndexMap<String, Instance>,
    pub(crate) disks: IndexMap<String, Disk>,
    pub(crate) snapshots: IndexMap<String, Snapshot>,
    pub(crate) commands: IndexMap<String, Command>,
    pub(crate) invocations: IndexMap<String, Invocation>,
    pub(crate) launch_templates: IndexMap<String, LaunchTemplate>,
    pub(crate) stacks: IndexMap<String, Stack>,
    pub(crate) scaling_configurations: IndexMap<String, ScalingConfiguration>,
    pub(crate) tasks: IndexMap<String, Task>,
    tokens: IndexMap<String, Remembered>,
    calls: Vec<CallRecord>,
    n_calls_by_operation: IndexMap<String, u64>,
    n_made_by_kind: IndexMap<ResourceKind, u64>,
    last_number: u64,
    n_requests: u64,
}

/// A call of an operation, as a template makes it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The product code, in any letter case.
    pub service: &'a str,
    /// The operation, in any letter case.
    pub api: &'a str,
    /// The region of a call that names none.
    pub region: &'a str,
    /// The account that calls.
    pub account: &'a str,
    /// The parameters as the template wrote them, evaluated.
    pub parameters: &'a Map<String, Value>,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The product code.
    pub service: String,
    /// The operation.
    pub api: String,
    /// The how manieth call of this operation it was, from 1.
    pub nth: u64,
    /// The code of the error that was answered; `None` is success.
    pub code: Option<String>,
}

/// The answer that belongs to a client token.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remembered {
    fingerprint: String,
    answer: Value,
    at: Timestamp,
}

impl World {
    /// Read a world file, in YAML or JSON. All of its parts may be left out.
    ///
    /// # Errors
    ///
    /// With the line and the field, and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, WorldError> {
        crate::file::parse(text)
    }

    /// The whole state, for [`World::load`].
    pub fn save(&self) -> Value {
        // Serialising fails on keys that are not text, and all keys here are.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The world whose state [`World::save`] has given.
    ///
    /// # Errors
    ///
    /// If the state is not one, or holds more than a world may.
    pub fn load(state: Value) -> Result<Self, WorldError> {
        let state_error = |reason: String| WorldError::State { reason };
        let world: Self =
            serde_json::from_value(state).map_err(|error| state_error(error.to_string()))?;
        if world.n_resources() > MAX_RESOURCES {
            return Err(state_error(format!("more than {MAX_RESOURCES} resources")));
        }
        Ok(world)
    }

    /// The calls so far, the oldest first. Of very many the oldest are forgotten.
    pub fn calls(&self) -> &[CallRecord] {
        &self.calls
    }

    /// Answer a call made at `now`. The answer has a `RequestId`.
    ///
    /// # Errors
    ///
    /// The error that the real service answers, or the one that the world file scripts. With a
    /// scripted loss of the answer the operation has had its effect.
    pub fn call(&mut self, now: Timestamp, call: &Call<'_>) -> Result<Value, ApiFault> {
        self.n_requests = self.n_requests.saturating_add(1);
        let operation = operations::find(call.service, call.api);
        let service = operation.map_or(clipped(call.service), |known| known.service.to_owned());
        let api = operation.map_or(clipped(call.api), |known| known.api.to_owned());
        let nth = match operation {
            Some(_) => next(self.n_calls_by_operation.entry(format!("{service} {api}"))),
            None => next(self.n_calls_by_operation.entry("unknown".to_owned())),
        };
        let outcome = match operation {
            Some(operation) => self.strike_or_answer(now, call, operation, nth),
            None => Err(unknown_operation()),
        };
        let code = outcome.as_ref().err().map(|fault| fault.code.clone());
        if self.calls.len() >= MAX_CALLS * 2 {
            self.calls.drain(..MAX_CALLS);
        }
        self.calls.push(CallRecord { service, api, nth, code });
        outcome.map(|mut answer| {
            if let Some(fields) = answer.as_object_mut() {
                fields.insert("RequestId".into(), request_id(self.n_requests).into());
            }
            answer
        })
    }

    fn strike_or_answer(
        &mut self,
        now: Timestamp,
        call: &Call<'_>,
        operation: &'static Operation,
        nth: u64,
    ) -> Result<Value, ApiFault> {
        let strikes = self
            .faults
            .iter()
            .find_map(|fault| fault.strikes(operation.service, operation.api, nth));
        match strikes {
            None => self.answer(now, call, operation),
            Some(Strike::Refuse(fault)) => Err(fault),
            Some(Strike::LoseAnswer(fault)) => self.answer(now, call, operation).and(Err(fault)),
        }
    }

    /// The answer without scripted faults. A token that was seen gives its answer again.
    fn answer(
        &mut self,
        now: Timestamp,
        call: &Call<'_>,
        operation: &'static Operation,
    ) -> Result<Value, ApiFault> {
        self.forget_expired(now);
        let parameters = Parameters::read(call.parameters);
        let region = parameters.text("RegionId").unwrap_or_else(|| call.region.to_owned());
        let request =
            Request { api: operation.api, now, region, account: call.account, parameters };
        // The list of regions is asked for to learn which there are.
        if operation.api != "DescribeRegions" && !self.has_region(&request.region) {
            return Err(ApiFault::not_found("RegionId"));
        }
        if operation.only_reads() {
            return (operation.handler)(self, &request);
        }
        let Some(token) = request.parameters.text("ClientToken") else {
            return self.write(operation, &request);
        };
        if token.chars().count() > MAX_TOKEN_CHARS || !token.is_ascii() {
            let message = "The specified parameter clientToken is not valid.";
            return Err(ApiFault::new(400, "InvalidClientToken.Malformed", message));
        }
        let scope = format!("{} {} {} {}", request.account, request.region, operation.api, token);
        let fingerprint = request.parameters.fingerprint();
        if let Some(remembered) = self.tokens.get(&scope) {
            return match remembered.fingerprint == fingerprint {
                true => Ok(remembered.answer.clone()),
                false => Err(token_mismatch(operation.api)),
            };
        }
        let answer = self.write(operation, &request)?;
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.shift_remove_index(0);
        }
        self.tokens.insert(scope, Remembered { fingerprint, answer: answer.clone(), at: now });
        Ok(answer)
    }

    /// `DryRun` goes through the whole operation, on a copy.
    fn write(&mut self, operation: &Operation, request: &Request<'_>) -> Result<Value, ApiFault> {
        if request.parameters.flag("DryRun")? == Some(true) {
            (operation.handler)(&mut self.clone(), request)?;
            let message = "Request validation has been passed with DryRun flag set.";
            return Err(ApiFault::new(400, "DryRunOperation", message));
        }
        (operation.handler)(self, request)
    }

    /// Snapshots whose retention is over go, and answers whose tokens are.
    fn forget_expired(&mut self, now: Timestamp) {
        let expired: Vec<_> = self
            .snapshots
            .values()
            .filter(|each| self.is_expired(each, now))
            .map(|each| each.id.clone())
            .collect();
        self.snapshots.retain(|id, _| !expired.contains(id));
        self.tokens.retain(|_, remembered| now.duration_since(remembered.at) < TOKEN_LIFE);
    }

    /// A new identifier, like `i-sim00000001`. The file may have used some of that form.
    pub(crate) fn make_id(&mut self, prefix: &str) -> String {
        loop {
            self.last_number = self.last_number.saturating_add(1);
            let id = format!("{prefix}-sim{:08}", self.last_number);
            if !self.holds(&id) {
                return id;
            }
        }
    }

    /// A number that no earlier call of this has given.
    pub(crate) fn make_number(&mut self) -> u64 {
        self.last_number = self.last_number.saturating_add(1);
        self.last_number
    }

    /// Whether the next resource of this kind, which is counted by that, is to end badly.
    pub(crate) fn ends_failed(&mut self, kind: ResourceKind) -> bool {
        let nth = next(self.n_made_by_kind.entry(kind));
        self.faults.iter().any(|fault| fault.ends(kind, nth))
    }

    /// Refuse what would make the world larger than it may be.
    pub(crate) fn room_for(&self, n_more: usize) -> Result<(), ApiFault> {
        match self.n_resources().saturating_add(n_more) > MAX_RESOURCES {
            true => Err(ApiFault::quota("Resources")),
            false => Ok(()),
        }
    }

    pub(crate) fn n_resources(&self) -> usize {
        let n_versions = self.launch_templates.values().map(|each| each.versions.len());
        self.images.len()
            + self.instances.len()
            + self.disks.len()
            + self.snapshots.len()
            + self.invocations.values().map(|each| each.runs.len()).sum::<usize>()
            + n_versions.sum::<usize>()
            + self.stacks.len()
            + self.scaling_configurations.len()
            + self.tasks.len()
    }

    pub(crate) fn holds(&self, id: &str) -> bool {
        self.images.contains_key(id)
            || self.instances.contains_key(id)
            || self.disks.contains_key(id)
            || self.snapshots.contains_key(id)
            || self.commands.contains_key(id)
            || self.invocations.contains_key(id)
            || self.launch_templates.contains_key(id)
            || self.stacks.contains_key(id)
            || self.scaling_configurations.contains_key(id)
            || self.tasks.contains_key(id)
    }

    /// A world with nothing in it, to be filled from a file.
    pub(crate) fn empty(regions: Vec<Region>, delays: Delays) -> Self {
        Self {
            regions,
            delays,
            faults: Vec::new(),
            scripts: Vec::new(),
            check_items: Vec::new(),
            images: IndexMap::new(),
            instances: IndexMap::new(),
            disks: IndexMap::new(),
            snapshots: IndexMap::new(),
            commands: IndexMap::new(),
            invocations: IndexMap::new(),
            launch_templates: IndexMap::new(),
            stacks: IndexMap::new(),
            scaling_configurations: IndexMap::new(),
            tasks: IndexMap::new(),
            tokens: IndexMap::new(),
            calls: Vec::new(),
            n_calls_by_operation: IndexMap::new(),
            n_made_by_kind: IndexMap::new(),
            last_number: 0,
            n_requests: 0,
        }
    }
}

/// An answer that says no more than that it was done.
pub(crate) fn done() -> Result<Value, ApiFault> {
    Ok(json!({}))
}

fn next<K>(entry: indexmap::map::Entry<'_, K, u64>) -> u64
where
    K: std::hash::Hash + Eq,
{
    let count = entry.or_insert(0);
    *count = count.saturating_add(1);
    *count
}

/// Names that nobody checked are kept short in the records.
fn clipped(name: &str) -> String {
    name.chars().take(64).collect()
}

fn unknown_operation() -> ApiFault {
    let message = "Specified api is not found, please check your url and method.";
    ApiFault::new(404, "InvalidAction.NotFound", message)
}

/// Operations differ in what they say of a token that comes with other parameters.
fn token_mismatch(api: &str) -> ApiFault {
    let (status, code, message) = match api {
        "CreateImage" => (
            400,
            "IdempotenceParamNotMatch",
            "Request uses a client token in a previous request but is not identical to that \
             request.",
        ),
        "CreateSnapshot" => {
            (403, "IdempotentParameterMismatch", "The specified clientToken is used.")
        }
        "RunCommand" | "InvokeCommand" => (
            403,
            "IdempotentParameterMismatch",
            "The specified parameter has changed while using an already used clientToken.",
        ),
        _ => {
            (400, "IdempotentParameterMismatch", "The request is retried with updated parameters.")
        }
    };
    ApiFault::new(status, code, message)
}

/// An upper-case UUID that depends on nothing but the number of the request.
fn request_id(number: u64) -> String {
    let digest = Sha256::digest(number.to_be_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02X}")).collect();
    let part = |range| hex.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}
