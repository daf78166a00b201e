//! `ExportImage`: spec section 13.3.

use kiln_ecs::error::ApiError;
use kiln_ecs::types::copy::{ExportImageRequest, ExportImageResponse};
use kiln_factory::images::{ExportFormat, ExportSpec};
use serde_json::Value;

use super::refusal::{Of, api_error};
use super::{check, errors};
use crate::ecs::Call;

/// The role that the service takes on where a request names none.
const DEFAULT_ROLE: &str = "AliyunECSImageExportDefaultRole";

/// The longest prefix of objects.
const MAX_PREFIX: usize = 30;

pub(super) async fn export_image(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: ExportImageRequest = call.parse()?;
    let region = call.region(request.region_id.as_deref().unwrap_or_default())?.id.as_str();
    let image = check::needed("ImageId", request.image_id.as_ref())?;
    call.authorize("ecs:ExportImage", &call.resource(region, &format!("image/{image}")))?;
    let bucket = check::needed("OSSBucket", request.oss_bucket.as_ref())?;
    let prefix = prefix(request.oss_prefix.as_ref())?;
    let word = check::given(request.image_format.as_ref()).unwrap_or("raw");
    let format = ExportFormat::parse(word).ok_or_else(|| {
        let message = "The specified Image Format is wrongly formed.";
        ApiError::new(400, "InvalidImageFormat.Malformed", message)
    })?;
    let role = check::given(request.role_name.as_ref()).unwrap_or(DEFAULT_ROLE);
    let object = format!("{}*", prefix.unwrap_or_default());
    call.assume(role, "oss:PutObject", bucket, &object)?;
    let spec = ExportSpec {
        owner: call.account().to_owned(),
        region: region.to_owned(),
        image: image.to_owned(),
        bucket: bucket.to_owned(),
        prefix: prefix.map(str::to_owned),
        format,
    };
    let is_dry = request.dry_run == Some(true);
    let begun = call.service.images.export(&spec, !is_dry).await;
    let task = begun.map_err(|refusal| api_error(Of::Export, &refusal))?;
    if is_dry {
        return Err(check::dry_run());
    }
    let response =
        ExportImageResponse { region_id: Some(region.to_owned()), task_id: Some(task.id) };
    Ok(errors::value(&response))
}

fn prefix(text: Option<&String>) -> Result<Option<&str>, ApiError> {
    let Some(prefix) = check::given(text) else { return Ok(None) };
    let is_good = prefix.len() <= MAX_PREFIX && prefix.bytes().all(|it| it.is_ascii_alphanumeric());
    if is_good {
        return Ok(Some(prefix));
    }
    let message = "The specified OSS Prefix is wrongly formed.";
    Err(ApiError::new(400, "InvalidOSSPrefix.Malformed", message))
}
