//! `ImportImage`: spec section 11.1.

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_ecs::types::import_image::{ImportImageRequest, ImportImageResponse};
use kiln_factory::images::{ImportDisk, ImportSpec};
use serde_json::Value;

use super::idempotence::{self, Attempt};
use super::import::validate::{self, validate};
use super::refusal::Of;
use super::{check, errors, texts};
use crate::ecs::Call;

/// The role that the service takes on where a request names none.
const DEFAULT_ROLE: &str = "AliyunECSImageImportDefaultRole";

pub(super) async fn import_image(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: ImportImageRequest = call.parse()?;
    let region = request.region_id.clone().unwrap_or_default();
    call.authorize("ecs:ImportImage", &call.resource(&region, "image/*"))?;
    let asked = validate(&request, |id| call.service.regions.get(id).is_some())?;
    let attempt = idempotence::begin(call, &asked.region, asked.client_token.as_deref()).await?;
    if let Attempt::Repeated(answer) = attempt {
        return Ok(answer);
    }
    texts::resource_group(call, asked.resource_group.as_deref())?;
    let role = asked.role_name.as_deref().unwrap_or(DEFAULT_ROLE);
    for disk in &asked.disks {
        call.assume(role, "oss:GetObject", &disk.bucket, &disk.object)?;
    }
    let (is_dry, token) = (asked.dry_run, asked.client_token.clone());
    let spec = spec(call.account(), asked);
    let images = &call.service.images;
    let examined = match images.examine_import(&spec, call.service.quotas.images).await {
        Ok(examined) => examined,
        Err(refusal) => {
            return idempotence::or_answered(call, &region, token.as_deref(), Of::Import, refusal)
                .await;
        }
    };
    if is_dry {
        return Err(check::dry_run());
    }
    let remember = |image: &str, task: &str| match attempt {
        Attempt::First(first) => {
            Some(first.remember(answer(image, task, &region), Timestamp::now()))
        }
        _ => None,
    };
    match images.import(spec, examined, remember).await {
        Ok((image, task)) => Ok(answer(&image.id, &task.id, &region)),
        Err(refusal) => {
            idempotence::or_answered(call, &region, token.as_deref(), Of::Import, refusal).await
        }
    }
}

fn answer(image: &str, task: &str, region: &str) -> Value {
    let response = ImportImageResponse {
        image_id: Some(image.to_owned()),
        task_id: Some(task.to_owned()),
        region_id: Some(region.to_owned()),
    };
    errors::value(&response)
}

fn spec(owner: &str, asked: validate::ImportSpec) -> ImportSpec {
    let disk = |disk: validate::ImportDisk| ImportDisk {
        bucket: disk.bucket,
        object: disk.object,
        format: disk.format,
        size_gib: disk.size_gib,
    };
    ImportSpec {
        region: asked.region,
        owner: owner.to_owned(),
        name: asked.name,
        description: asked.description,
        architecture: asked.architecture,
        os_type: asked.os_type,
        platform: asked.platform,
        boot_mode: asked.boot_mode,
        license_type: asked.license_type,
        resource_group: asked.resource_group,
        disks: asked.disks.into_iter().map(disk).collect(),
        tags: asked.tags,
        is_checked: asked.is_checked,
        nvme: asked.nvme,
        imds: asked.imds,
    }
}
