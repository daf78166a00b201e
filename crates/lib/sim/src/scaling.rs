//! Scaling configurations of ESS: what names the image of a scaling group's instances.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    error::ApiFault,
    operations::{Operation, Request},
    paging::page,
    world::{World, done},
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { service: "ESS", api: "DescribeScalingConfigurations", handler: describe },
    Operation { service: "ESS", api: "ModifyScalingConfiguration", handler: modify },
];

/// A scaling configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScalingConfiguration {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) group_id: String,
    pub(crate) region: String,
    pub(crate) image_id: String,
    pub(crate) instance_type: String,
}

fn modify(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let id = parameters.required("ScalingConfigurationId")?;
    let known = world.scaling_configurations.get(&id);
    if known.is_none_or(|each| each.region != request.region) {
        let message = "The specified scaling configuration does not exist.";
        return Err(ApiFault::new(404, "InvalidScalingConfigurationId.NotFound", message));
    }
    let types = parameters.list("InstanceType")?;
    let image_id = parameters.text("ImageId");
    if let Some(image_id) = &image_id {
        world.usable_image(request, image_id)?;
    }
    if let Some(known) = world.scaling_configurations.get_mut(&id) {
        let set = |field: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut known.image_id, image_id);
        set(&mut known.name, parameters.text("ScalingConfigurationName"));
        set(&mut known.instance_type, types.and_then(|types| types.into_iter().next()));
    }
    done()
}

fn describe(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let ids = request.parameters.list("ScalingConfigurationId")?;
    let group = request.parameters.text("ScalingGroupId");
    let is_wanted = |each: &&ScalingConfiguration| {
        each.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&each.id))
            && group.as_ref().is_none_or(|group| *group == each.group_id)
    };
    let found: Vec<_> = world.scaling_configurations.values().filter(is_wanted).collect();
    let page = page(request, &found, |each| {
        json!({
            "ScalingConfigurationId": each.id,
            "ScalingConfigurationName": each.name,
            "ScalingGroupId": each.group_id,
            "ImageId": each.image_id,
            "InstanceType": each.instance_type,
            "InstanceTypes": { "InstanceType": [each.instance_type] },
            "LifecycleState": "Active",
        })
    })?;
    Ok(page.answer("ScalingConfigurations", "ScalingConfiguration"))
}
