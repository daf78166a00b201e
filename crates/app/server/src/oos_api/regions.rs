//! `DescribeRegions`: those of the configuration.

use kiln_ecs::error::ApiError;
use serde_json::{Value, json};

use crate::ecs::Call;

pub(super) async fn describe_regions(call: &Call<'_>) -> Result<Value, ApiError> {
    call.allowed("", "*")?;
    let region = |region: &crate::regions::Region| json!({"RegionId": region.id, "LocalName": region.name, "RegionEndpoint": call.host});
    let regions: Vec<Value> = call.service.regions.iter().map(region).collect();
    Ok(json!({"Regions": regions}))
}
