//! Where resources can be: `DescribeRegions` and `DescribeZones`.

use serde::{Deserialize, Serialize};

/// The request of `DescribeRegions`: the regions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeRegionsRequest {
    /// The language of the names, for example `en-US`.
    pub accept_language: Option<String>,
    /// How instances are paid for.
    pub instance_charge_type: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// What is to be made in the region, for example `instance`.
    pub resource_type: Option<String>,
}

/// The answer of `DescribeRegions`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeRegionsResponse {
    /// The regions.
    pub regions: Option<Regions>,
}

/// The list wrapper of [`DescribeRegionsResponse::regions`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Regions {
    /// The regions.
    pub region: Vec<Region>,
}

/// One region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Region {
    /// The name for people, in the language asked for.
    pub local_name: Option<String>,
    /// The host, and perhaps the port, that serves the region.
    pub region_endpoint: Option<String>,
    /// The region.
    pub region_id: Option<String>,
    /// `available` or `soldOut`.
    pub status: Option<String>,
}

/// The request of `DescribeZones`: the zones of a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeZonesRequest {
    /// The language of the names, for example `en-US`.
    pub accept_language: Option<String>,
    /// How instances are paid for.
    pub instance_charge_type: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// How spot instances are bid for.
    pub spot_strategy: Option<String>,
    /// Whether to tell what can be made in each zone.
    pub verbose: Option<bool>,
}

/// The answer of `DescribeZones`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeZonesResponse {
    /// The zones.
    pub zones: Option<Zones>,
}

/// The list wrapper of [`DescribeZonesResponse::zones`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zones {
    /// The zones.
    pub zone: Vec<Zone>,
}

/// One zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zone {
    /// Types of dedicated hosts.
    pub available_dedicated_host_types: Option<AvailableDedicatedHostTypes>,
    /// Categories of disks.
    pub available_disk_categories: Option<AvailableDiskCategories>,
    /// Instance types.
    pub available_instance_types: Option<AvailableInstanceTypes>,
    /// Kinds of resources that can be made.
    pub available_resource_creation: Option<AvailableResourceCreation>,
    /// What can be had together.
    pub available_resources: Option<AvailableResources>,
    /// Categories of volumes.
    pub available_volume_categories: Option<AvailableVolumeCategories>,
    /// Generations of dedicated hosts.
    pub dedicated_host_generations: Option<DedicatedHostGenerations>,
    /// The name for people, in the language asked for.
    pub local_name: Option<String>,
    /// The id of the zone.
    pub zone_id: Option<String>,
    /// What kind of zone, for example `AvailabilityZone`.
    pub zone_type: Option<String>,
}

/// The list wrapper of [`Zone::available_dedicated_host_types`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableDedicatedHostTypes {
    /// The types.
    pub dedicated_host_type: Vec<String>,
}

/// The list wrapper of [`Zone::available_disk_categories`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableDiskCategories {
    /// The categories.
    pub disk_categories: Vec<String>,
}

/// The list wrapper of [`Zone::available_instance_types`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableInstanceTypes {
    /// The names of the types.
    pub instance_types: Vec<String>,
}

/// The list wrapper of [`Zone::available_resource_creation`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResourceCreation {
    /// The kinds.
    pub resource_types: Vec<String>,
}

/// The list wrapper of [`Zone::available_resources`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResources {
    /// The combinations.
    pub resources_info: Vec<ResourcesInfo>,
}

/// What can be had together in a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResourcesInfo {
    /// Categories of data disks.
    pub data_disk_categories: Option<DataDiskCategories>,
    /// Generations of instances.
    pub instance_generations: Option<InstanceGenerations>,
    /// Families of instance types.
    pub instance_type_families: Option<SupportedInstanceTypeFamilies>,
    /// Instance types.
    pub instance_types: Option<SupportedInstanceTypes>,
    /// Whether I/O is optimised.
    pub io_optimized: Option<bool>,
    /// Kinds of networks.
    pub network_types: Option<NetworkTypes>,
    /// Categories of system disks.
    pub system_disk_categories: Option<SystemDiskCategories>,
}

/// The list wrapper of [`ResourcesInfo::data_disk_categories`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DataDiskCategories {
    /// The categories.
    #[serde(rename = "supportedDataDiskCategory")]
    pub supported_data_disk_category: Vec<String>,
}

/// The list wrapper of [`ResourcesInfo::instance_generations`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceGenerations {
    /// The generations.
    #[serde(rename = "supportedInstanceGeneration")]
    pub supported_instance_generation: Vec<String>,
}

/// The list wrapper of [`ResourcesInfo::instance_type_families`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedInstanceTypeFamilies {
    /// The families.
    #[serde(rename = "supportedInstanceTypeFamily")]
    pub supported_instance_type_family: Vec<String>,
}

/// The list wrapper of [`ResourcesInfo::instance_types`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedInstanceTypes {
    /// The names of the types.
    #[serde(rename = "supportedInstanceType")]
    pub supported_instance_type: Vec<String>,
}

/// The list wrapper of [`ResourcesInfo::network_types`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkTypes {
    /// The kinds.
    #[serde(rename = "supportedNetworkCategory")]
    pub supported_network_category: Vec<String>,
}

/// The list wrapper of [`ResourcesInfo::system_disk_categories`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SystemDiskCategories {
    /// The categories.
    #[serde(rename = "supportedSystemDiskCategory")]
    pub supported_system_disk_category: Vec<String>,
}

/// The list wrapper of [`Zone::available_volume_categories`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableVolumeCategories {
    /// The categories.
    pub volume_categories: Vec<String>,
}

/// The list wrapper of [`Zone::dedicated_host_generations`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DedicatedHostGenerations {
    /// The generations.
    pub dedicated_host_generation: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    #[test]
    fn parameters_of_describe_regions() {
        testing::are_read_and_sent_again::<DescribeRegionsRequest>(&[
            "AcceptLanguage=x&InstanceChargeType=x&OwnerAccount=x&OwnerId=7&\
             ResourceOwnerAccount=x&ResourceOwnerId=7&ResourceType=x",
        ]);
    }

    #[test]
    fn fields_of_describe_regions() {
        let json = r#"{"Regions":{"Region":[{"LocalName":"x","RegionEndpoint":"x","RegionId":"x",
            "Status":"x"}]},"RequestId":"R"}"#;
        let xml = "<RequestId>R</RequestId><Regions><Region><LocalName>x</LocalName><RegionEndpoint>x\
                   </RegionEndpoint><RegionId>x</RegionId><Status>x</Status></Region></Regions>";
        testing::is_written_as_it_is_read::<DescribeRegionsResponse>("DescribeRegions", json);
        testing::is_written_in_xml::<DescribeRegionsResponse>("DescribeRegions", json, xml);
    }

    #[test]
    fn parameters_of_describe_zones() {
        testing::are_read_and_sent_again::<DescribeZonesRequest>(&[
            "AcceptLanguage=x&InstanceChargeType=x&OwnerAccount=x&OwnerId=7&RegionId=x&\
             ResourceOwnerAccount=x&ResourceOwnerId=7&SpotStrategy=x&Verbose=true",
        ]);
    }

    #[test]
    fn fields_of_describe_zones() {
        let json = r#"{"RequestId":"R",
            "Zones":{"Zone":[{"AvailableDedicatedHostTypes":{"DedicatedHostType":["x","y"]},
            "AvailableDiskCategories":{"DiskCategories":["x","y"]},
            "AvailableInstanceTypes":{"InstanceTypes":["x","y"]},
            "AvailableResourceCreation":{"ResourceTypes":["x","y"]},
            "AvailableResources":{"ResourcesInfo":[{"DataDiskCategories":{"supportedDataDiskCategory":["x",
            "y"]},"InstanceGenerations":{"supportedInstanceGeneration":["x","y"]},
            "InstanceTypeFamilies":{"supportedInstanceTypeFamily":["x","y"]},
            "InstanceTypes":{"supportedInstanceType":["x","y"]},"IoOptimized":true,
            "NetworkTypes":{"supportedNetworkCategory":["x","y"]},
            "SystemDiskCategories":{"supportedSystemDiskCategory":["x","y"]}}]},
            "AvailableVolumeCategories":{"VolumeCategories":["x","y"]},
            "DedicatedHostGenerations":{"DedicatedHostGeneration":["x","y"]},"LocalName":"x",
            "ZoneId":"x","ZoneType":"x"}]}}"#;
        let xml = "<RequestId>R</RequestId><Zones><Zone><AvailableDedicatedHostTypes>\
                   <DedicatedHostType>x</DedicatedHostType><DedicatedHostType>y</DedicatedHostType>\
                   </AvailableDedicatedHostTypes><AvailableDiskCategories><DiskCategories>x\
                   </DiskCategories><DiskCategories>y</DiskCategories></AvailableDiskCategories>\
                   <AvailableInstanceTypes><InstanceTypes>x</InstanceTypes><InstanceTypes>y\
                   </InstanceTypes></AvailableInstanceTypes><AvailableResourceCreation><ResourceTypes>x\
                   </ResourceTypes><ResourceTypes>y</ResourceTypes></AvailableResourceCreation>\
                   <AvailableResources><ResourcesInfo><DataDiskCategories><supportedDataDiskCategory>x\
                   </supportedDataDiskCategory><supportedDataDiskCategory>y</supportedDataDiskCategory>\
                   </DataDiskCategories><InstanceGenerations><supportedInstanceGeneration>x\
                   </supportedInstanceGeneration><supportedInstanceGeneration>y\
                   </supportedInstanceGeneration></InstanceGenerations><InstanceTypeFamilies>\
                   <supportedInstanceTypeFamily>x</supportedInstanceTypeFamily>\
                   <supportedInstanceTypeFamily>y</supportedInstanceTypeFamily></InstanceTypeFamilies>\
                   <InstanceTypes><supportedInstanceType>x</supportedInstanceType>\
                   <supportedInstanceType>y</supportedInstanceType></InstanceTypes><IoOptimized>true\
                   </IoOptimized><NetworkTypes><supportedNetworkCategory>x</supportedNetworkCategory>\
                   <supportedNetworkCategory>y</supportedNetworkCategory></NetworkTypes>\
                   <SystemDiskCategories><supportedSystemDiskCategory>x</supportedSystemDiskCategory>\
                   <supportedSystemDiskCategory>y</supportedSystemDiskCategory></SystemDiskCategories>\
                   </ResourcesInfo></AvailableResources><AvailableVolumeCategories><VolumeCategories>x\
                   </VolumeCategories><VolumeCategories>y</VolumeCategories>\
                   </AvailableVolumeCategories><DedicatedHostGenerations><DedicatedHostGeneration>x\
                   </DedicatedHostGeneration><DedicatedHostGeneration>y</DedicatedHostGeneration>\
                   </DedicatedHostGenerations><LocalName>x</LocalName><ZoneId>x</ZoneId><ZoneType>x\
                   </ZoneType></Zone></Zones>";
        testing::is_written_as_it_is_read::<DescribeZonesResponse>("DescribeZones", json);
        testing::is_written_in_xml::<DescribeZonesResponse>("DescribeZones", json, xml);
    }
}
