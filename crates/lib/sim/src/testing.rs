//! A world and a clock, for tests.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{ApiFault, Call, ResourceKind, World};

pub(crate) const REGION: &str = "cn-hangzhou";

/// A rehearsal by hand.
#[derive(Clone, Debug)]
pub(crate) struct Rehearsal {
    pub(crate) world: World,
    pub(crate) now: Timestamp,
    /// Save the world and load it before every call.
    pub(crate) restarts: bool,
    /// Operations that were answered.
    pub(crate) answered: BTreeSet<String>,
}

impl Rehearsal {
    pub(crate) fn of(text: &str) -> Self {
        let now = "2026-03-01T08:00:00Z".parse().unwrap();
        Self { world: World::parse(text).unwrap(), now, restarts: false, answered: BTreeSet::new() }
    }

    /// A world with a base image, an own image and a running instance.
    pub(crate) fn small(more: &str) -> Self {
        Self::of(&format!(
            "images:\n- {{id: base, owner: system}}\n\
             - {{id: m-own, name: own, snapshotId: s-own, tags: {{k: v}}}}\n\
             instances:\n- {{id: i-own, imageId: m-own, zone: cn-hangzhou-b}}\n{more}"
        ))
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(crate) fn try_in(
        &mut self,
        service: &str,
        api: &str,
        parameters: Value,
    ) -> Result<Value, ApiFault> {
        if self.restarts {
            let saved = self.world.save().to_string();
            self.world = World::load(serde_json::from_str(&saved).unwrap()).unwrap();
        }
        let parameters = parameters.as_object().unwrap();
        let call = Call { service, api, region: REGION, account: "1000000000000001", parameters };
        let outcome = self.world.call(self.now, &call);
        if outcome.is_ok() {
            self.answered.insert(api.to_owned());
        }
        outcome
    }

    pub(crate) fn call(&mut self, api: &str, parameters: Value) -> Value {
        self.try_in("ECS", api, parameters).unwrap_or_else(|fault| panic!("{api}: {fault}"))
    }

    /// The code of the refusal.
    pub(crate) fn refused(&mut self, api: &str, parameters: Value) -> String {
        let outcome = self.try_in("ECS", api, parameters);
        outcome.expect_err(api).code
    }

    /// One text of an answer.
    pub(crate) fn text(&mut self, api: &str, parameters: Value, pointer: &str) -> String {
        let answer = self.call(api, parameters);
        let found = answer.pointer(pointer).unwrap_or_else(|| panic!("{api}: {answer}"));
        found.as_str().unwrap_or_else(|| panic!("{api}: {found}")).to_owned()
    }

    /// Identifiers of what was made by calls and exists now, without the records of commands.
    pub(crate) fn left(&self) -> Vec<(ResourceKind, String)> {
        let resources = self.world.resources(self.now).into_iter();
        resources
            .filter(|each| each.made_by_call && each.kind != ResourceKind::Invocation)
            .map(|each| (each.kind, each.id))
            .collect()
    }
}
