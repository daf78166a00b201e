//! Launch templates and their versions.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    course::with_seconds,
    error::ApiFault,
    operations::{Operation, Request},
    paging::page,
    tags::{has_tags, tag_fields},
    world::World,
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("CreateLaunchTemplate", create_launch_template),
    Operation::ecs("CreateLaunchTemplateVersion", create_launch_template_version),
    Operation::ecs("DeleteLaunchTemplate", delete_launch_template),
    Operation::ecs("DeleteLaunchTemplateVersion", delete_launch_template_version),
    Operation::ecs("DescribeLaunchTemplateVersions", describe_launch_template_versions),
    Operation::ecs("DescribeLaunchTemplates", describe_launch_templates),
    Operation::ecs("ModifyLaunchTemplateDefaultVersion", modify_launch_template_default_version),
];

/// Versions of one template.
const MAX_VERSIONS: usize = 30;

/// A launch template. It has one version at least.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaunchTemplate {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) default_version: i64,
    pub(crate) latest_version: i64,
    pub(crate) created: Timestamp,
    pub(crate) versions: Vec<Version>,
    pub(crate) tags: IndexMap<String, String>,
}

/// A version of a launch template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) number: i64,
    pub(crate) description: String,
    pub(crate) created: Timestamp,
    /// `LaunchTemplateData` as answers have it.
    pub(crate) data: Map<String, Value>,
    pub(crate) made: bool,
}

fn template_not_found() -> ApiFault {
    let message = "The specified launch template is not found.";
    ApiFault::new(404, "InvalidLaunchTemplate.NotFound", message)
}

fn version_not_found() -> ApiFault {
    let message = "The specified launch template version is not found.";
    ApiFault::new(404, "InvalidLaunchTemplateVersion.NotFound", message)
}

impl World {
    /// The template that the request names, by identifier or by name.
    fn launch_template(&self, request: &Request<'_>) -> Result<&LaunchTemplate, ApiFault> {
        let id = request.parameters.text("LaunchTemplateId");
        let name = request.parameters.text("LaunchTemplateName");
        if id.is_none() && name.is_none() {
            return Err(ApiFault::missing("LaunchTemplateId or LaunchTemplateName"));
        }
        let mut known = self.launch_templates.values();
        let found = known.find(|each| {
            each.region == request.region
                && id.as_ref().is_none_or(|id| *id == each.id)
                && name.as_ref().is_none_or(|name| *name == each.name)
        });
        found.ok_or_else(template_not_found)
    }
}

/// Names of data as answers spell them, for requests that spell them otherwise.
const DATA: &[&str] = &[
    "AutoReleaseTime",
    "DeploymentSetId",
    "Description",
    "HostName",
    "ImageId",
    "ImageOwnerAlias",
    "InstanceChargeType",
    "InstanceName",
    "InstanceType",
    "InternetChargeType",
    "InternetMaxBandwidthIn",
    "InternetMaxBandwidthOut",
    "IoOptimized",
    "KeyPairName",
    "NetworkType",
    "PasswordInherit",
    "Period",
    "RamRoleName",
    "ResourceGroupId",
    "SecurityEnhancementStrategy",
    "SecurityGroupId",
    "SpotDuration",
    "SpotPriceLimit",
    "SpotStrategy",
    "SystemDisk.Category",
    "SystemDisk.DeleteWithInstance",
    "SystemDisk.Description",
    "SystemDisk.DiskName",
    "SystemDisk.Iops",
    "SystemDisk.PerformanceLevel",
    "SystemDisk.Size",
    "UserData",
    "VSwitchId",
    "VpcId",
    "ZoneId",
];

/// Lists of data: the parameter, and the two wrappers of the answer.
const LISTS: &[(&str, &str, &str)] = &[
    ("DataDisk", "DataDisks", "DataDisk"),
    ("NetworkInterface", "NetworkInterfaces", "NetworkInterface"),
    ("Tag", "Tags", "InstanceTag"),
    ("SecurityGroupId", "SecurityGroupIds", "SecurityGroupId"),
];

/// The data of a version, out of the parameters of the request.
fn data_of(request: &Request<'_>) -> Result<Map<String, Value>, ApiFault> {
    let parameters = &request.parameters;
    let mut data = Map::new();
    for name in DATA {
        match parameters.get(name) {
            None => {}
            // Written as a list it is the repeated parameter below.
            Some(Value::Array(_)) if *name == "SecurityGroupId" => {}
            Some(value) => drop(data.insert((*name).to_owned(), value.clone())),
        }
    }
    for (parameter, outer, inner) in LISTS {
        let is_flat = *parameter == "SecurityGroupId";
        let has_single = is_flat && data.contains_key("SecurityGroupId");
        let items: Vec<Value> = match is_flat {
            true if has_single && parameters.get("SecurityGroupIds").is_none() => Vec::new(),
            true => security_groups(request)?,
            false => parameters.items(parameter)?.iter().map(|item| item.to_value(ITEM)).collect(),
        };
        if !items.is_empty() {
            data.insert((*outer).to_owned(), json!({ *inner: items }));
        }
    }
    Ok(data)
}

fn security_groups(request: &Request<'_>) -> Result<Vec<Value>, ApiFault> {
    let plural = request.parameters.list("SecurityGroupIds")?;
    let groups = match plural {
        Some(groups) => groups,
        None => request.parameters.list("SecurityGroupId")?.unwrap_or_default(),
    };
    Ok(groups.into_iter().map(Value::String).collect())
}

/// Names of members of listed data.
const ITEM: &[&str] = &[
    "Category",
    "DeleteWithInstance",
    "Description",
    "Device",
    "DiskName",
    "Encrypted",
    "InstanceType",
    "Key",
    "NetworkInterfaceName",
    "PerformanceLevel",
    "PrimaryIpAddress",
    "SecurityGroupId",
    "Size",
    "SnapshotId",
    "VSwitchId",
    "Value",
];

fn create_launch_template(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let name = request.parameters.required("LaunchTemplateName")?;
    let mut known = world.launch_templates.values();
    if known.any(|each| each.region == request.region && each.name == name) {
        let message = "The specified launch template name already exists.";
        return Err(ApiFault::new(403, "LaunchTemplateName.Duplicated", message));
    }
    let data = data_of(request)?;
    world.room_for(1)?;
    let id = world.make_id("lt");
    let version = new_version(request, 1, data);
    let template = LaunchTemplate {
        id: id.clone(),
        name,
        region: request.region.clone(),
        default_version: 1,
        latest_version: 1,
        created: request.now,
        versions: vec![version],
        tags: IndexMap::new(),
    };
    world.launch_templates.insert(id.clone(), template);
    Ok(json!({ "LaunchTemplateId": id, "LaunchTemplateVersionNumber": 1 }))
}

fn new_version(request: &Request<'_>, number: i64, data: Map<String, Value>) -> Version {
    Version {
        number,
        description: request.parameters.text("VersionDescription").unwrap_or_default(),
        created: request.now,
        data,
        made: true,
    }
}

fn create_launch_template_version(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let template = world.launch_template(request)?;
    let id = template.id.clone();
    if template.versions.len() >= MAX_VERSIONS {
        return Err(ApiFault::quota("LaunchTemplateVersion"));
    }
    let number = template.latest_version.saturating_add(1);
    let data = data_of(request)?;
    world.room_for(1)?;
    if let Some(template) = world.launch_templates.get_mut(&id) {
        template.latest_version = number;
        template.versions.push(new_version(request, number, data));
    }
    Ok(json!({ "LaunchTemplateId": id, "LaunchTemplateVersionNumber": number }))
}

fn delete_launch_template(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let id = world.launch_template(request)?.id.clone();
    world.launch_templates.shift_remove(&id);
    Ok(json!({ "LaunchTemplateId": id }))
}

fn delete_launch_template_version(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let template = world.launch_template(request)?;
    let id = template.id.clone();
    let written = request.parameters.required_list("DeleteVersion")?;
    let numbers: Vec<i64> =
        written.iter().filter_map(|number| number.trim().parse().ok()).collect();
    if numbers.len() != written.len() {
        return Err(ApiFault::invalid("DeleteVersion"));
    }
    if numbers.contains(&template.default_version) {
        // The reference forbids it and shows no code for it; this one is ours.
        let message = "The default version of a launch template cannot be deleted.";
        return Err(ApiFault::new(403, "InvalidDefaultVersion.DeleteForbidden", message));
    }
    let exists = |number: &i64| template.versions.iter().any(|each| each.number == *number);
    if !numbers.iter().all(exists) {
        return Err(version_not_found());
    }
    if let Some(template) = world.launch_templates.get_mut(&id) {
        template.versions.retain(|version| !numbers.contains(&version.number));
    }
    let deleted: Vec<_> = (numbers.iter())
        .map(|number| json!({ "LaunchTemplateId": id, "LaunchTemplateVersionNumber": number }))
        .collect();
    Ok(json!({ "LaunchTemplateVersions": { "LaunchTemplateVersion": deleted } }))
}

fn modify_launch_template_default_version(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let template = world.launch_template(request)?;
    let id = template.id.clone();
    let number = request.parameters.number("DefaultVersionNumber")?;
    let number = number.ok_or_else(|| ApiFault::missing("DefaultVersionNumber"))?;
    if !template.versions.iter().any(|version| version.number == number) {
        return Err(version_not_found());
    }
    if let Some(template) = world.launch_templates.get_mut(&id) {
        template.default_version = number;
    }
    Ok(json!({}))
}

fn describe_launch_templates(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let ids = request.parameters.list("LaunchTemplateId")?;
    let names = request.parameters.list("LaunchTemplateName")?;
    let tags = request.parameters.tags()?;
    let is_wanted = |each: &&LaunchTemplate| {
        each.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&each.id))
            && names.as_ref().is_none_or(|names| names.contains(&each.name))
            && has_tags(&each.tags, &tags)
    };
    let found: Vec<_> = world.launch_templates.values().filter(is_wanted).collect();
    let page = page(request, &found, |each| {
        let modified = each.versions.last().map_or(each.created, |version| version.created);
        json!({
            "LaunchTemplateId": each.id,
            "LaunchTemplateName": each.name,
            "DefaultVersionNumber": each.default_version,
            "LatestVersionNumber": each.latest_version,
            "CreateTime": with_seconds(each.created),
            "ModifiedTime": with_seconds(modified),
            "CreatedBy": request.account,
            "ResourceGroupId": "",
            "Tags": tag_fields(&each.tags),
        })
    })?;
    Ok(page.answer("LaunchTemplateSets", "LaunchTemplateSet"))
}

fn describe_launch_template_versions(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let template = world.launch_template(request)?;
    let wanted = request.parameters.list("LaunchTemplateVersion")?;
    let only_default = request.parameters.flag("DefaultVersion")?.unwrap_or(false);
    let is_wanted = |version: &&Version| {
        wanted.as_ref().is_none_or(|wanted| wanted.contains(&version.number.to_string()))
            && (!only_default || version.number == template.default_version)
    };
    let found: Vec<_> = template.versions.iter().rev().filter(is_wanted).collect();
    let page = page(request, &found, |version| {
        json!({
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": version.number,
            "DefaultVersion": version.number == template.default_version,
            "VersionDescription": version.description,
            "CreateTime": with_seconds(version.created),
            "ModifiedTime": with_seconds(version.created),
            "CreatedBy": request.account,
            "LaunchTemplateData": version.data,
        })
    })?;
    Ok(page.answer("LaunchTemplateVersionSets", "LaunchTemplateVersionSet"))
}

/// Data of a world file, whose names may be written in any letter case.
pub(crate) fn data_in_wire_names(written: Map<String, Value>) -> Map<String, Value> {
    let known = |name: &str| {
        let lists = LISTS.iter().map(|(_, outer, _)| *outer);
        DATA.iter().copied().chain(lists).find(|known| known.eq_ignore_ascii_case(name))
    };
    written
        .into_iter()
        .map(|(name, value)| (known(&name).map_or_else(|| name.clone(), str::to_owned), value))
        .collect()
}
