//! Names, descriptions and resource groups, as actions on images judge them alike.

use kiln_ecs::error::ApiError;

use crate::ecs::Call;

/// The name of an image.
///
/// # Errors
///
/// 400 `InvalidImageName.Malformed`.
pub(super) fn image_name(name: &str) -> Result<(), ApiError> {
    kiln_model::image_name(name).map_err(|_| {
        let message = "The specified Image name is wrongly formed.";
        ApiError::new(400, "InvalidImageName.Malformed", message)
    })
}

/// The description of an image.
///
/// # Errors
///
/// 400 `InvalidDescription.Malformed`.
pub(super) fn description(text: &str) -> Result<(), ApiError> {
    kiln_model::description(text).map_err(|_| {
        let message = "The specified Image description is wrongly formed.";
        ApiError::new(400, "InvalidDescription.Malformed", message)
    })
}

/// A resource group of the caller's account.
///
/// # Errors
///
/// 404 `InvalidResourceGroup.NotFound`.
pub(super) fn resource_group(call: &Call<'_>, group: Option<&str>) -> Result<(), ApiError> {
    let Some(group) = group else { return Ok(()) };
    let groups = call.accounts.resource_groups.get(call.account());
    if groups.is_some_and(|groups| groups.iter().any(|known| known == group)) {
        return Ok(());
    }
    let message = "The ResourceGroup provided does not exist in our records.";
    Err(ApiError::new(404, "InvalidResourceGroup.NotFound", message))
}
