//! The ECS image API: what a handler of an action is given, and which actions there are.

pub mod actions;
pub mod instance_types;

use std::sync::Arc;

use kiln_ecs::error::ApiError;
use kiln_ecs::params::from_params;
use kiln_ecs::sign::AuthError;
use kiln_store::Records;
use serde::de::DeserializeOwned;

use crate::accounts::Caller;
use crate::regions::{Quotas, Region, Regions};

/// What all requests share.
#[derive(Clone, Debug)]
pub struct Service {
    // `images` and `buckets` have their place here.
    /// Images, tasks and the answers that client tokens stand for.
    pub records: Records,
    /// The regions that the server poses as.
    pub regions: Regions,
    /// How much an account may use.
    pub quotas: Quotas,
    /// Ids of the resource groups, which every account may name.
    pub resource_groups: Arc<[String]>,
}

/// One authenticated request to an action.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What all requests share.
    pub service: &'a Service,
    /// Who asks.
    pub caller: &'a Caller,
    /// The action's name.
    pub action: &'a str,
    /// Parameters of the query and then of the form, decoded.
    pub pairs: &'a [(String, String)],
    /// The `Host` header: where the client reached this server.
    pub host: &'a str,
}

impl<'a> Call<'a> {
    /// The parameters as the action's type.
    ///
    /// # Errors
    ///
    /// `InvalidParameter` that names the parameter.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        Ok(from_params(self.pairs)?)
    }

    /// The caller's account.
    #[must_use]
    pub fn account(&self) -> &'a str {
        &self.caller.account
    }

    /// Hold the caller to its policies. `action` is `ecs:ImportImage`, `resource` is
    /// `acs:ecs:<region>:<account>:image/<id>` or `*`.
    ///
    /// # Errors
    ///
    /// `Forbidden.RAM`.
    pub fn authorize(&self, action: &str, resource: &str) -> Result<(), ApiError> {
        if self.caller.may(action, resource) { Ok(()) } else { Err(AuthError::Forbidden.into()) }
    }

    /// `acs:ecs:<region>:<caller's account>:<rest>`, `rest` being `image/<id>` or `image/*`.
    #[must_use]
    pub fn resource(&self, region: &str, rest: &str) -> String {
        format!("acs:ecs:{region}:{}:{rest}", self.account())
    }

    /// The region of this id.
    ///
    /// # Errors
    ///
    /// `MissingParameter` where it is empty, `InvalidRegionId.NotFound` where there is none such;
    /// its status depends on the action.
    pub fn region(&self, id: &str) -> Result<&'a Region, ApiError> {
        if id.is_empty() {
            return Err(ApiError::missing_parameter("RegionId"));
        }
        self.service.regions.get(id).ok_or_else(|| {
            let of_tasks = matches!(self.action, "ImportImage" | "CancelTask")
                || self.action.starts_with("DescribeTask");
            let status = if of_tasks { 400 } else { 404 };
            let message = "The specified RegionId does not exist.";
            ApiError::new(status, "InvalidRegionId.NotFound", message)
        })
    }
}
