//! `DescribeRegions`, `DescribeZones`, `DescribeInstanceTypes` and
//! `DescribeImageSupportInstanceTypes`: where instances can be, and which there are.

use kiln_ecs::error::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    check::{self, given},
    owned, paging,
};
use crate::ecs::{
    Call,
    instance_types::{INSTANCE_TYPES, InstanceType},
};

const LANGUAGES: &[&str] = &[
    "zh-CN", "zh-TW", "en-US", "ja", "ja-JP", "ko", "de", "fr", "es", "pt", "it", "ru", "ar", "id",
    "th", "vi",
];
const RESOURCES: &[&str] = &["instance", "disk", "reservedinstance", "scu"];
/// Kinds of disks that a zone offers.
const DISKS: [&str; 4] = ["cloud_essd", "cloud_auto", "cloud_ssd", "cloud_efficiency"];
/// Most types that can be asked for by name.
const MAX_NAMED: usize = 10;
/// Most types on a page.
const MAX_RESULTS: i64 = 1600;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PlaceRequest {
    accept_language: Option<String>,
    region_id: Option<String>,
    resource_type: Option<String>,
}

/// All regions of the configuration. Their endpoint is this server, so that clients who follow it
/// stay here.
pub(super) async fn describe_regions(call: &Call<'_>) -> Result<Value, ApiError> {
    call.authorize("ecs:DescribeRegions", "*")?;
    let request: PlaceRequest = call.parse()?;
    one_of("AcceptLanguage", given(request.accept_language.as_ref()), LANGUAGES)?;
    one_of("ResourceType", given(request.resource_type.as_ref()), RESOURCES)?;
    let region = |region: &crate::regions::Region| {
        json!({
            "RegionId": region.id,
            "LocalName": if region.name.is_empty() { &region.id } else { &region.name },
            "RegionEndpoint": call.host,
            "Status": "available",
        })
    };
    let regions: Vec<Value> = call.service.regions.iter().map(region).collect();
    Ok(json!({ "Regions": { "Region": regions } }))
}

/// The zones of a region, each of which has everything.
pub(super) async fn describe_zones(call: &Call<'_>) -> Result<Value, ApiError> {
    call.authorize("ecs:DescribeZones", "*")?;
    let request: PlaceRequest = call.parse()?;
    one_of("AcceptLanguage", given(request.accept_language.as_ref()), LANGUAGES)?;
    let region = call.region(check::needed("RegionId", request.region_id.as_ref())?)?;
    let made = [format!("{}-a", region.id)];
    let zones = if region.zones.is_empty() { &made[..] } else { &region.zones };
    let types: Vec<&str> = INSTANCE_TYPES.iter().map(|known| known.id).collect();
    let mut families: Vec<&str> = INSTANCE_TYPES.iter().map(|known| known.family).collect();
    families.dedup();
    let zone = |zone: &String| {
        json!({
            "ZoneId": zone,
            "LocalName": zone,
            "ZoneType": "AvailabilityZone",
            "AvailableResourceCreation": { "ResourceTypes": ["Instance", "Disk", "VSwitch"] },
            "AvailableDiskCategories": { "DiskCategories": DISKS },
            "AvailableInstanceTypes": { "InstanceTypes": types },
            "AvailableResources": { "ResourcesInfo": [{
                "IoOptimized": true,
                "SystemDiskCategories": { "supportedSystemDiskCategory": DISKS },
                "DataDiskCategories": { "supportedDataDiskCategory": DISKS },
                "InstanceTypes": { "supportedInstanceType": types },
                "InstanceTypeFamilies": { "supportedInstanceTypeFamily": families },
                "InstanceGenerations": { "supportedInstanceGeneration": ["ecs-5"] },
                "NetworkTypes": { "supportedNetworkCategory": ["vpc"] },
            }] },
            "AvailableVolumeCategories": { "VolumeCategories": [] },
            "AvailableDedicatedHostTypes": { "DedicatedHostType": [] },
            "DedicatedHostGenerations": { "DedicatedHostGeneration": [] },
        })
    };
    let zones: Vec<Value> = zones.iter().map(zone).collect();
    Ok(json!({ "Zones": { "Zone": zones } }))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TypesRequest {
    cpu_architecture: Option<String>,
    instance_type_family: Option<String>,
    instance_types: Vec<String>,
    max_results: Option<i64>,
    maximum_cpu_core_count: Option<i64>,
    maximum_memory_size: Option<f32>,
    minimum_cpu_core_count: Option<i64>,
    minimum_memory_size: Option<f32>,
    next_token: Option<String>,
}

/// The types of instances, in the order of the table.
pub(super) async fn describe_instance_types(call: &Call<'_>) -> Result<Value, ApiError> {
    call.authorize("ecs:DescribeInstanceTypes", "*")?;
    let request: TypesRequest = call.parse()?;
    if request.instance_types.len() > MAX_NAMED {
        let why = "It lists more than 10 types.";
        return Err(ApiError::invalid_parameter("InstanceTypes", why));
    }
    let architecture = given(request.cpu_architecture.as_ref());
    if !matches!(architecture, None | Some("X86" | "ARM")) {
        return Err(ApiError::invalid_parameter("CpuArchitecture", "It is `X86` or `ARM`."));
    }
    let max = request.max_results.unwrap_or(MAX_RESULTS);
    if !(1..=MAX_RESULTS).contains(&max) {
        return Err(ApiError::invalid_parameter("MaxResults", "It is 1 to 1600."));
    }
    let max = usize::try_from(max).unwrap_or(1);
    let filters = TypesRequest { next_token: None, max_results: None, ..request.clone() };
    let filters = format!("{filters:?}");
    let list = [call.account(), "DescribeInstanceTypes", &filters];
    let skip = match given(request.next_token.as_ref()) {
        None => 0,
        Some(token) => {
            let at = paging::place(&list, token).ok_or_else(|| {
                let message = "The specified NextToken is not valid.";
                ApiError::new(400, "InvalidParameter.NextToken", message)
            })?;
            usize::try_from(at[0]).unwrap_or(usize::MAX)
        }
    };
    let found: Vec<&InstanceType> =
        INSTANCE_TYPES.iter().filter(|known| is_asked_for(known, &request)).collect();
    let end = skip.saturating_add(max);
    let next = (end < found.len())
        .then(|| paging::token(&list, [u64::try_from(end).unwrap_or(u64::MAX), 0]));
    let types: Vec<Value> = found.into_iter().skip(skip).take(max).map(instance_type).collect();
    Ok(json!({
        "InstanceTypes": { "InstanceType": types },
        "NextToken": next.unwrap_or_default(),
    }))
}

fn is_asked_for(known: &InstanceType, request: &TypesRequest) -> bool {
    let cores = i64::from(known.cores);
    let names = &request.instance_types;
    (names.is_empty() || names.iter().any(|name| name == known.id))
        && given(request.instance_type_family.as_ref()).is_none_or(|name| name == known.family)
        && given(request.cpu_architecture.as_ref()).is_none_or(|name| name == known.architecture())
        && request.minimum_cpu_core_count.is_none_or(|min| cores >= min)
        && request.maximum_cpu_core_count.is_none_or(|max| cores <= max)
        && request.minimum_memory_size.is_none_or(|min| known.memory_gib >= min)
        && request.maximum_memory_size.is_none_or(|max| known.memory_gib <= max)
}

fn instance_type(known: &InstanceType) -> Value {
    json!({
        "InstanceTypeId": known.id,
        "InstanceTypeFamily": known.family,
        "InstanceFamilyLevel": "EnterpriseLevel",
        "InstanceCategory": "General-purpose",
        "CpuCoreCount": known.cores,
        "CpuArchitecture": known.architecture(),
        "MemorySize": known.memory_gib,
        "DiskQuantity": 17,
        "EniQuantity": 3,
        "NvmeSupport": "supported",
        "GPUAmount": 0,
        "GPUSpec": "",
        "LocalStorageCategory": "",
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SupportRequest {
    action_type: Option<String>,
    image_id: Option<String>,
    region_id: Option<String>,
}

/// The types of instances that an image can start on.
pub(super) async fn describe_image_support_instance_types(
    call: &Call<'_>,
) -> Result<Value, ApiError> {
    let request: SupportRequest = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    let rest = format!("image/{}", given(request.image_id.as_ref()).unwrap_or("*"));
    call.authorize("ecs:DescribeImageSupportInstanceTypes", &call.resource(region, &rest))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    if !matches!(given(request.action_type.as_ref()), None | Some("CreateEcs" | "ChangeOS")) {
        return Err(ApiError::new(400, "InvalidParamter", "Invalid Parameter."));
    }
    // Without an image, all types there are.
    let id = given(request.image_id.as_ref());
    let architecture = match id {
        None => None,
        Some(id) => Some(owned::visible(call, region, id).await?.architecture),
    };
    let types: Vec<Value> = INSTANCE_TYPES
        .iter()
        .filter(|known| architecture.is_none_or(|architecture| known.starts(architecture)))
        .map(|known| {
            json!({
                "InstanceTypeId": known.id,
                "InstanceTypeFamily": known.family,
                "CpuCoreCount": known.cores,
                "MemorySize": known.memory_gib,
            })
        })
        .collect();
    Ok(json!({
        "RegionId": region,
        "ImageId": id.unwrap_or_default(),
        "InstanceTypes": { "InstanceType": types },
    }))
}

fn one_of(name: &str, value: Option<&str>, known: &[&str]) -> Result<(), ApiError> {
    if value.is_none_or(|value| known.contains(&value)) {
        return Ok(());
    }
    let message = format!("The specified {name} does not exist.");
    Err(ApiError::new(404, format!("Invalid{name}.NotFound"), message))
}

#[cfg(test)]
mod tests {
    use kiln_model::Architecture;

    use super::*;
    use crate::ecs::actions::testing::{Site, sound};

    fn ids(answer: &Value) -> Vec<String> {
        let types = answer["InstanceTypes"]["InstanceType"].as_array().unwrap();
        types.iter().map(|known| known["InstanceTypeId"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn regions_lead_back_to_this_server() {
        let site = Site::open().await;
        let answer = site.ask("DescribeRegions", &[("AcceptLanguage", "en-US")]).await.unwrap();
        let region = |id| {
            json!({
                "RegionId": id, "LocalName": id, "RegionEndpoint": "127.0.0.1:8080",
                "Status": "available",
            })
        };
        assert_eq!(answer, json!({"Regions": {"Region": [region("cn-a"), region("cn-b")]}}));
        let zones = site.ask("DescribeZones", &[]).await.unwrap();
        let zone = &zones["Zones"]["Zone"][0];
        assert_eq!(zone["ZoneId"], "cn-a-a");
        let types = zone["AvailableInstanceTypes"]["InstanceTypes"].as_array().unwrap();
        assert_eq!(types.len(), INSTANCE_TYPES.len());
    }

    #[tokio::test]
    async fn types_are_filtered_and_come_in_pieces() {
        let site = Site::open().await;
        let all = ids(&site.ask("DescribeInstanceTypes", &[]).await.unwrap());
        assert_eq!(all.len(), INSTANCE_TYPES.len());
        for (filters, expected) in [
            (vec![("InstanceTypes.1", "ecs.g7.large"), ("InstanceTypes.2", "x")], "ecs.g7.large"),
            (vec![("InstanceTypeFamily", "ecs.g8y")], "ecs.g8y.large ecs.g8y.xlarge"),
            (vec![("CpuArchitecture", "ARM"), ("MinimumCpuCoreCount", "8")], "ecs.c8y.2xlarge"),
            (
                vec![("MaximumMemorySize", "2"), ("MaximumCpuCoreCount", "2")],
                "ecs.t6-c1m1.large ecs.e-c1m1.large",
            ),
            (vec![("MinimumMemorySize", "1000.5")], ""),
        ] {
            let answer = site.ask("DescribeInstanceTypes", &filters).await.unwrap();
            assert_eq!(ids(&answer).join(" "), expected, "{filters:?}");
        }
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let pairs = [("MaxResults", "9"), ("NextToken", token.as_str())];
            let answer = site.ask("DescribeInstanceTypes", &pairs).await.unwrap();
            found.extend(ids(&answer));
            token = answer["NextToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found, all);
    }

    #[tokio::test]
    async fn an_image_fits_types_of_its_processor() {
        let mut images = ["m-a", "m-arm", "m-old", "m-other"].map(sound);
        images[1].architecture = Architecture::Arm64;
        images[2].architecture = Architecture::I386;
        images[3].owner = "2".to_owned();
        let site = Site::of(images).await;
        for (id, n_types) in [("m-a", 16), ("m-arm", 6), ("m-old", 0)] {
            let pairs = [("ImageId", id)];
            let answer = site.ask("DescribeImageSupportInstanceTypes", &pairs).await.unwrap();
            assert_eq!((ids(&answer).len(), &answer["ImageId"]), (n_types, &json!(id)));
        }
    }

    #[tokio::test]
    async fn each_fault_has_its_code() {
        let site = Site::open().await;
        let many: Vec<String> = (1..=11).map(|n| format!("InstanceTypes.{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "x")).collect();
        let types = "DescribeInstanceTypes";
        let fit = "DescribeImageSupportInstanceTypes";
        for (action, parameters, status, code) in [
            (
                "DescribeRegions",
                vec![("AcceptLanguage", "x")],
                404,
                "InvalidAcceptLanguage.NotFound",
            ),
            ("DescribeRegions", vec![("ResourceType", "x")], 404, "InvalidResourceType.NotFound"),
            ("DescribeZones", vec![("AcceptLanguage", "x")], 404, "InvalidAcceptLanguage.NotFound"),
            ("DescribeZones", vec![("RegionId", "mars")], 404, "InvalidRegionId.NotFound"),
            ("DescribeZones", vec![("RegionId", "")], 400, "MissingParameter"),
            (types, many, 400, "InvalidParameter"),
            (types, vec![("CpuArchitecture", "x86")], 400, "InvalidParameter"),
            (types, vec![("MaxResults", "1601")], 400, "InvalidParameter"),
            (types, vec![("NextToken", "x")], 400, "InvalidParameter.NextToken"),
            (fit, vec![("ImageId", "m-zz")], 404, "InvalidImageId.NotFound"),
            (fit, vec![("ActionType", "Fly")], 400, "InvalidParamter"),
        ] {
            let found = site.ask(action, &parameters).await;
            assert_eq!(found, Err((status, code.to_owned())), "{action} {parameters:?}");
        }
        for action in ["DescribeRegions", "DescribeZones", types, fit] {
            let denied = site.call("nobody", action, &[("RegionId", "cn-a")]).await;
            assert_eq!(denied.unwrap_err().code, "Forbidden.RAM");
        }
    }
}
