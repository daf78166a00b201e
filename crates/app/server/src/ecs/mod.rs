//! The ECS API over HTTP: one path, the action in a parameter or a header, signed requests.

mod actions;
mod gateway;
mod instance_types;
mod nonces;

use std::sync::Arc;

use kiln_ecs::error::ApiError;
use kiln_ecs::params::from_params;
use kiln_ecs::sign::AuthError;
use kiln_factory::images::Images;
use kiln_store::{Database, Records};
use serde::de::DeserializeOwned;

#[cfg(test)]
pub(crate) use self::actions::testing;
pub(crate) use self::actions::{Answer, Handler, find as find_action, store_error, token_of};
pub(crate) use self::gateway::router;
use crate::accounts::{Accounts, Assumed, Caller, State};

use crate::metrics::Metrics;
use crate::oos_api::Oos;
use crate::regions::{Quotas, Region, Regions};

/// What actions work with.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) database: Database,
    pub(crate) records: Records,
    pub(crate) images: Images,
    pub(crate) oos: Oos,
    pub(crate) regions: Regions,
    pub(crate) quotas: Quotas,
    pub(crate) accounts: Accounts,
    pub(crate) metrics: Arc<Metrics>,
}

/// One signed request on its way through its action.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Service,
    pub(crate) accounts: &'a State,
    pub(crate) caller: &'a Caller,
    /// The action's name.
    pub(crate) action: &'a str,
    /// The action's parameters and the common ones, query and form body together.
    pub(crate) pairs: &'a [(String, String)],
    /// The `Host` header, for endpoints in answers.
    pub(crate) host: &'a str,
}

impl<'a> Call<'a> {
    /// The parameters as the action's type.
    ///
    /// # Errors
    ///
    /// `InvalidParameter` that names the parameter.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        Ok(from_params(self.pairs)?)
    }

    /// The caller's account.
    #[must_use]
    pub(crate) fn account(&self) -> &'a str {
        &self.caller.account
    }

    /// Hold the caller to its policies. `action` is `ecs:ImportImage`, `resource` is
    /// `acs:ecs:<region>:<account>:image/<id>` or `*`.
    ///
    /// # Errors
    ///
    /// `Forbidden.RAM`.
    pub(crate) fn authorize(&self, action: &str, resource: &str) -> Result<(), ApiError> {
        if self.caller.may(action, resource) { Ok(()) } else { Err(AuthError::Forbidden.into()) }
    }

    /// `acs:ecs:<region>:<caller's account>:<rest>`, `rest` being `image/<id>` or `image/*`.
    #[must_use]
    pub(crate) fn resource(&self, region: &str, rest: &str) -> String {
        format!("acs:ecs:{region}:{}:{rest}", self.account())
    }

    /// The region of this id.
    ///
    /// # Errors
    ///
    /// `MissingParameter` where it is empty, `InvalidRegionId.NotFound` where there is none such;
    /// its status depends on the action.
    pub(crate) fn region(&self, id: &str) -> Result<&'a Region, ApiError> {
        if id.is_empty() {
            return Err(ApiError::missing_parameter("RegionId"));
        }
        self.service.regions.get(id).ok_or_else(|| {
            let of_tasks = matches!(self.action, "ImportImage" | "ExportImage" | "CancelTask")
                || self.action.starts_with("DescribeTask");
            let status = if of_tasks { 400 } else { 404 };
            let message = "The specified RegionId does not exist.";
            ApiError::new(status, "InvalidRegionId.NotFound", message)
        })
    }

    /// Refuse what the role that the service takes on for the caller's account may not do.
    pub(crate) fn assume(
        &self,
        role: &str,
        action: &str,
        bucket: &str,
        object: &str,
    ) -> Result<(), ApiError> {
        let resource = format!("acs:oss:*:{}:{bucket}/{object}", self.account());
        match self.accounts.assume(self.account(), role, action, &resource) {
            Assumed::Allowed => Ok(()),
            Assumed::Denied => Err(ApiError::new(
                403,
                "InvalidOSS.NotAuthorized",
                "The specified OSS bucket or object is not allowed to access.",
            )),
            Assumed::NoRole => Err(ApiError::new(
                403,
                "NoSetRoletoECSServiceAcount",
                "ECS service account Have no right to access your OSS.please attach a role of \
                 access your oss to ECS service account.",
            )),
        }
    }
}
