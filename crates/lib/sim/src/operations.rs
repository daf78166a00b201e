//! The operations of this world, and what each is given.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    commands, disks, error::ApiFault, images, instances, launch_templates, parameters::Parameters,
    regions, scaling, snapshots, stacks, tags, tasks, world::World,
};

/// One call, with what every operation needs of it at hand.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The operation, as the API reference spells it.
    pub(crate) api: &'static str,
    pub(crate) now: Timestamp,
    /// `RegionId` where it is written, else the region of the call.
    pub(crate) region: String,
    pub(crate) account: &'a str,
    pub(crate) parameters: Parameters,
}

/// An operation: it checks everything before it changes anything, so that a refusal has no effect.
/// The answer is an object without `RequestId`.
pub(crate) type Handler = fn(&mut World, &Request<'_>) -> Result<Value, ApiFault>;

/// An entry of the table of operations.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) service: &'static str,
    pub(crate) api: &'static str,
    pub(crate) handler: Handler,
}

impl Operation {
    pub(crate) const fn ecs(api: &'static str, handler: Handler) -> Self {
        Self { service: "ECS", api, handler }
    }

    /// Whether the operation changes nothing.
    pub(crate) fn only_reads(&self) -> bool {
        ["Describe", "List", "Get"].iter().any(|verb| self.api.starts_with(verb))
    }
}

const TABLES: &[&[Operation]] = &[
    commands::OPERATIONS,
    disks::OPERATIONS,
    images::OPERATIONS,
    instances::OPERATIONS,
    launch_templates::OPERATIONS,
    regions::OPERATIONS,
    scaling::OPERATIONS,
    snapshots::OPERATIONS,
    stacks::OPERATIONS,
    tags::OPERATIONS,
    tasks::OPERATIONS,
];

pub(crate) fn all() -> impl Iterator<Item = &'static Operation> {
    TABLES.iter().copied().flatten()
}

/// What a [`World`] answers: pairs of service and operation.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str)> {
    all().map(|operation| (operation.service, operation.api))
}

/// The operation of these names, in any letter case.
pub(crate) fn find(service: &str, api: &str) -> Option<&'static Operation> {
    all().find(|operation| {
        operation.service.eq_ignore_ascii_case(service) && operation.api.eq_ignore_ascii_case(api)
    })
}

/// The operations whose names are the closest to `api`, with their services, for who mistyped one.
pub(crate) fn closest(api: &str) -> Vec<String> {
    let api = api.to_ascii_lowercase();
    let distance = |known: &str| strsim::levenshtein(&known.to_ascii_lowercase(), &api);
    let mut known: Vec<_> = all().collect();
    known.sort_by_cached_key(|operation| (distance(operation.api), operation.api));
    known.iter().take(3).map(|each| format!("{} {}", each.service, each.api)).collect()
}
