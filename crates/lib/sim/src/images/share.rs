//! Sharing images with other accounts.

use serde_json::{Value, json};

use super::ImageStatus;
use crate::{
    course::with_seconds,
    error::ApiFault,
    operations::Request,
    paging::page,
    world::{World, done},
};

/// Accounts that one call adds or removes; those after are passed over without a word.
const MAX_ACCOUNTS_PER_CALL: usize = 10;
/// Accounts that one image is shared with.
const MAX_ACCOUNTS: usize = 50;

pub(crate) fn modify_image_share_permission(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let id = parameters.required("ImageId")?;
    let accounts = |name| parameters.list(name).map(Option::unwrap_or_default);
    let (mut added, mut removed) = (accounts("AddAccount")?, accounts("RemoveAccount")?);
    added.truncate(MAX_ACCOUNTS_PER_CALL);
    removed.truncate(MAX_ACCOUNTS_PER_CALL);
    let is_public = parameters.flag("IsPublic")?;
    let image = world.own_image(request, &id)?;
    if is_public.is_some() && !(added.is_empty() && removed.is_empty()) {
        let message = "IsPublic cannot be used together with AddAccount or RemoveAccount.";
        return Err(ApiFault::new(403, "InvalidParameter.IsPublic", message));
    }
    if added.iter().any(|account| account == request.account) {
        let message = "The specified Account does not yourself.";
        return Err(ApiFault::new(404, "InvalidAccount.Forbbiden", message));
    }
    if image.course.at(request.now) == ImageStatus::Deprecated && !added.is_empty() {
        let message = "The specified image cannot be shared when it is deprecated.";
        return Err(ApiFault::new(403, "OperationDenied.InvalidImageStatus", message));
    }
    let mut shared_with = image.shared_with.clone();
    shared_with.retain(|account, _| !removed.contains(account));
    for account in added {
        shared_with.entry(account).or_insert(request.now);
    }
    if shared_with.len() > MAX_ACCOUNTS {
        return Err(ApiFault::quota("ShareImageUser"));
    }
    if let Some(image) = world.images.get_mut(&id) {
        image.shared_with = shared_with;
        image.is_public = is_public.unwrap_or(image.is_public);
    }
    done()
}

pub(crate) fn describe_image_share_permission(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let id = request.parameters.required("ImageId")?;
    let accounts: Vec<_> = world.own_image(request, &id)?.shared_with.iter().collect();
    let page = page(
        request,
        &accounts,
        |(account, since)| json!({ "AliyunId": account, "SharedTime": with_seconds(**since) }),
    )?;
    let mut answer = page.answer("Accounts", "Account");
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("RegionId".into(), request.region.clone().into());
        fields.insert("ImageId".into(), id.into());
        fields.insert("ShareGroups".into(), json!({ "ShareGroup": [] }));
    }
    Ok(answer)
}
