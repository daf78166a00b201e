//! `CopyImage` and `CancelCopyImage`: spec sections 13.1 and 13.2.

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_ecs::types::copy::{CancelCopyImageRequest, CopyImageRequest, CopyImageResponse};
use kiln_factory::images::CopySpec;
use serde_json::{Value, json};

use super::check::{self, Twice};
use super::idempotence::{self, Attempt};
use super::refusal::{Of, api_error};
use super::{errors, texts};
use crate::ecs::Call;

pub(super) async fn copy_image(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: CopyImageRequest = call.parse()?;
    let region = request.region_id.clone().unwrap_or_default();
    let image = check::needed("ImageId", request.image_id.as_ref())?;
    call.authorize("ecs:CopyImage", &call.resource(&region, &format!("image/{image}")))?;
    let spec = spec(call, &request, &region, image)?;
    let token = check::client_token(request.client_token.as_ref())?;
    let attempt = idempotence::begin(call, &region, token).await?;
    if let Attempt::Repeated(answer) = attempt {
        return Ok(answer);
    }
    texts::resource_group(call, spec.resource_group.as_deref())?;
    let images = &call.service.images;
    let examined = images.examine_copy(&spec, call.service.quotas.images).await;
    let source = match examined {
        Ok(source) => source,
        Err(refusal) => {
            return idempotence::or_answered(call, &region, token, Of::Copy, refusal).await;
        }
    };
    if request.dry_run == Some(true) {
        return Err(check::dry_run());
    }
    let remember = |image: &str, _: &str| match attempt {
        Attempt::First(first) => Some(first.remember(answer(image), Timestamp::now())),
        _ => None,
    };
    match images.copy(spec, &source, remember).await {
        Ok(copy) => Ok(answer(&copy.id)),
        Err(refusal) => idempotence::or_answered(call, &region, token, Of::Copy, refusal).await,
    }
}

fn answer(image: &str) -> Value {
    errors::value(&CopyImageResponse { image_id: Some(image.to_owned()) })
}

fn spec(
    call: &Call<'_>,
    request: &CopyImageRequest,
    region: &str,
    image: &str,
) -> Result<CopySpec, ApiError> {
    let is_region = |id: &str| call.service.regions.get(id).is_some();
    if check::given(request.region_id.as_ref()).is_none() {
        return Err(ApiError::missing_parameter("RegionId"));
    }
    if !is_region(region) {
        return Err(ApiError::new(400, "SourceRegion.NotFound", "The source region not found"));
    }
    let to_region = check::given(request.destination_region_id.as_ref()).unwrap_or(region);
    if !is_region(to_region) {
        let message = "The destination region not found";
        return Err(ApiError::new(400, "DestinationRegion.NotFound", message));
    }
    let has_key = check::given(request.kms_key_id.as_ref()).is_some();
    if request.encrypted == Some(true) || has_key {
        let message = "Encrypted copies are not supported.";
        return Err(ApiError::new(400, "InvalidParameter.KmsNotEnabled", message));
    }
    let name = check::given(request.destination_image_name.as_ref());
    name.map_or(Ok(()), texts::image_name)?;
    let description = check::given(request.destination_description.as_ref());
    description.map_or(Ok(()), texts::description)?;
    check::tag_count(&request.tag)?;
    Ok(CopySpec {
        owner: call.account().to_owned(),
        region: region.to_owned(),
        image: image.to_owned(),
        to_region: to_region.to_owned(),
        name: name.map(str::to_owned),
        description: description.map(str::to_owned),
        tags: check::tags(&request.tag, Twice::Exactly)?,
        resource_group: check::given(request.resource_group_id.as_ref()).map(str::to_owned),
    })
}

pub(super) async fn cancel_copy_image(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: CancelCopyImageRequest = call.parse()?;
    let region = call.region(request.region_id.as_deref().unwrap_or_default())?.id.as_str();
    let image = check::needed("ImageId", request.image_id.as_ref())?;
    call.authorize("ecs:CancelCopyImage", &call.resource(region, &format!("image/{image}")))?;
    let cancelled = call.service.images.cancel_copy(call.account(), region, image).await;
    cancelled.map_err(|refusal| api_error(Of::CancelCopy, &refusal))?;
    Ok(json!({}))
}
