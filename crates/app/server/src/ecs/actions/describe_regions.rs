//! `DescribeRegions`: where images can be.

use kiln_ecs::error::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ecs::Call;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    accept_language: Option<String>,
    resource_type: Option<String>,
}

const LANGUAGES: &[&str] = &["zh-CN", "en-US", "ja", "de", "fr", "es", "ko", "ar", "it", "zh-TW"];
const RESOURCES: &[&str] = &["instance", "disk", "reservedinstance", "scu"];

/// All regions of the configuration. Their endpoint is this server, so that clients who follow it
/// stay here.
pub(super) async fn describe_regions(call: &Call<'_>) -> Result<Value, ApiError> {
    call.authorize("ecs:DescribeRegions", "*")?;
    let request: Request = call.parse()?;
    one_of("AcceptLanguage", request.accept_language.as_deref(), LANGUAGES)?;
    one_of("ResourceType", request.resource_type.as_deref(), RESOURCES)?;
    let regions = call.service.regions.iter().map(|region| {
        json!({
            "RegionId": region.id,
            "LocalName": region.name,
            "RegionEndpoint": call.host,
            "Status": "available",
        })
    });
    Ok(json!({ "Regions": { "Region": regions.collect::<Vec<_>>() } }))
}

fn one_of(name: &str, value: Option<&str>, known: &[&str]) -> Result<(), ApiError> {
    match value {
        Some(value) if !value.is_empty() && !known.contains(&value) => {
            let message = format!("The specified {name} does not exist.");
            Err(ApiError::new(404, format!("Invalid{name}.NotFound"), message))
        }
        _ => Ok(()),
    }
}
