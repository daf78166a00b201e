//! Regions and zones: where resources are.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    error::ApiFault,
    operations::{Operation, Request},
    world::World,
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("DescribeRegions", describe_regions),
    Operation::ecs("DescribeZones", describe_zones),
];

/// A region and its zones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Region {
    pub(crate) id: String,
    pub(crate) zones: Vec<String>,
}

impl Region {
    /// A region with two zones, named as the cloud does.
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), zones: vec![format!("{id}-a"), format!("{id}-b")] }
    }
}

impl World {
    pub(crate) fn has_region(&self, id: &str) -> bool {
        self.regions.iter().any(|region| region.id == id)
    }

    /// The zone where something is made that names none.
    pub(crate) fn first_zone(&self, region: &str) -> String {
        let region = self.regions.iter().find(|each| each.id == region);
        region.and_then(|region| region.zones.first()).cloned().unwrap_or_default()
    }
}

fn describe_regions(world: &mut World, _: &Request<'_>) -> Result<Value, ApiFault> {
    let regions: Vec<_> = world
        .regions
        .iter()
        .map(|region| {
            json!({
                "RegionId": region.id,
                "LocalName": region.id,
                "RegionEndpoint": format!("ecs.{}.aliyuncs.com", region.id),
                "Status": "available",
            })
        })
        .collect();
    Ok(json!({ "Regions": { "Region": regions } }))
}

fn describe_zones(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let region = world.regions.iter().find(|region| region.id == request.region);
    let zones: Vec<_> = region
        .into_iter()
        .flat_map(|region| &region.zones)
        .map(|zone| {
            json!({
                "ZoneId": zone,
                "LocalName": zone,
                "ZoneType": "AvailabilityZone",
                "AvailableResourceCreation": { "ResourceTypes": ["Instance", "Disk", "VSwitch"] },
                "AvailableDiskCategories": { "DiskCategories": ["cloud_essd", "cloud_efficiency"] },
            })
        })
        .collect();
    Ok(json!({ "Zones": { "Zone": zones } }))
}
