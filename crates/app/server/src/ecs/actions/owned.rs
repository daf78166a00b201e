//! Images as records that an action reads, changes and writes back.

use std::collections::BTreeMap;

use kiln_ecs::error::ApiError;
use kiln_model::Image;
use kiln_store::{Change, StoreError, Versioned};

use super::{check, errors};
use crate::ecs::Call;

/// How often a change is made anew because someone else changed the record meanwhile.
const MAX_TRIES: usize = 5;

/// An image of the caller's own.
///
/// # Errors
///
/// 404 `InvalidImageId.NotFound`, also where it is another account's.
pub(super) async fn own(
    call: &Call<'_>,
    region: &str,
    id: &str,
) -> Result<Versioned<Image>, ApiError> {
    let found = call.service.records.image(region, id).await.map_err(errors::store)?;
    found.filter(|found| found.value.owner == call.account()).ok_or_else(check::unknown_image)
}

/// An image that the caller may see: own, shared or public.
///
/// # Errors
///
/// 404 `InvalidImageId.NotFound`.
pub(super) async fn visible(call: &Call<'_>, region: &str, id: &str) -> Result<Image, ApiError> {
    let found = call.service.records.image(region, id).await.map_err(errors::store)?;
    let account = call.account();
    let is_visible = |image: &Image| {
        image.owner == account || image.is_public || image.shared.contains_key(account)
    };
    found.map(|found| found.value).filter(is_visible).ok_or_else(check::unknown_image)
}

/// Change own images together: all or none. `change` is called anew where a record was changed by
/// someone else in between, and then sees the new one.
///
/// # Errors
///
/// Those of `change`; 404 `InvalidImageId.NotFound`; 409 `OperationConflict` after five tries.
pub(super) async fn change(
    call: &Call<'_>,
    region: &str,
    ids: &[&str],
    change: impl Fn(&mut Image) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let mut error = StoreError::Conflict;
    for _ in 0..MAX_TRIES {
        let mut changed = BTreeMap::new();
        for id in ids {
            let mut image = own(call, region, id).await?;
            let before = image.value.clone();
            change(&mut image.value)?;
            if image.value != before {
                changed.insert(*id, image);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let changes = changed.into_values().map(Change::UpdateImage).collect();
        match call.service.records.apply(changes).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Conflict) => error = StoreError::Conflict,
            Err(other) => return Err(errors::store(other)),
        }
    }
    Err(errors::store(error))
}
