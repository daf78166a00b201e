//! Regions and zones.

use serde::{Deserialize, Serialize};

/// The request of `DescribeRegions`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeRegionsRequest {
    /// The language of names.
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
    /// The kind of resource, for example `image`.
    pub resource_type: Option<String>,
}

/// The answer of `DescribeRegions`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeRegionsResponse {
    /// The regions.
    pub regions: Option<Regions>,
}

/// The regions of [`DescribeRegionsResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Regions {
    /// The region.
    pub region: Vec<Region>,
}

/// The region of [`Regions`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Region {
    /// The name in the language asked for.
    pub local_name: Option<String>,
    /// Where the region is reached.
    pub region_endpoint: Option<String>,
    /// The region.
    pub region_id: Option<String>,
    /// The status.
    pub status: Option<String>,
}

/// The request of `DescribeZones`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeZonesRequest {
    /// The language of names.
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
    /// How spot instances are paid for.
    pub spot_strategy: Option<String>,
    /// Whether to give all details.
    pub verbose: Option<bool>,
}

/// The answer of `DescribeZones`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeZonesResponse {
    /// The zones.
    pub zones: Option<Zones>,
}

/// The zones of [`DescribeZonesResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zones {
    /// The zone.
    pub zone: Vec<Zone>,
}

/// The zone of [`Zones`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zone {
    /// The available dedicated host types.
    pub available_dedicated_host_types: Option<AvailableDedicatedHostTypes>,
    /// The available disk categories.
    pub available_disk_categories: Option<AvailableDiskCategories>,
    /// The available instance types.
    pub available_instance_types: Option<AvailableInstanceTypes>,
    /// The available resource creation.
    pub available_resource_creation: Option<AvailableResourceCreation>,
    /// The available resources.
    pub available_resources: Option<AvailableResources>,
    /// The available volume categories.
    pub available_volume_categories: Option<AvailableVolumeCategories>,
    /// The dedicated host generations.
    pub dedicated_host_generations: Option<DedicatedHostGenerations>,
    /// The name in the language asked for.
    pub local_name: Option<String>,
    /// The zone.
    pub zone_id: Option<String>,
    /// The kind of zone.
    pub zone_type: Option<String>,
}

/// The available dedicated host types of [`Zone`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableDedicatedHostTypes {
    /// The dedicated host type.
    pub dedicated_host_type: Vec<String>,
}

/// The available disk categories of [`Zone`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableDiskCategories {
    /// The disk categories.
    pub disk_categories: Vec<String>,
}

/// The available instance types of [`Zone`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableInstanceTypes {
    /// The instance types.
    pub instance_types: Vec<String>,
}

/// The available resource creation of [`Zone`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResourceCreation {
    /// The resource types.
    pub resource_types: Vec<String>,
}

/// The available resources of [`Zone`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResources {
    /// The resources info.
    pub resources_info: Vec<ResourcesInfo>,
}

/// The resources info of [`AvailableResources`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResourcesInfo {
    /// The data disk categories.
    pub data_disk_categories: Option<DataDiskCategories>,
    /// The instance generations.
    pub instance_generations: Option<InstanceGenerations>,
    /// The instance type families.
    pub instance_type_families: Option<InstanceTypeFamilies>,
    /// The instance types.
    pub instance_types: Option<InstanceTypes>,
    /// The io optimized.
    pub io_optimized: Option<bool>,
    /// The network types.
    pub network_types: Option<NetworkTypes>,
    /// The system disk categories.
    pub system_disk_categories: Option<SystemDiskCategories>,
}

/// The data disk categories of [`ResourcesInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DataDiskCategories {
    /// The supported data disk category.
    #[serde(rename = "supportedDataDiskCategory")]
    pub supported_data_disk_category: Vec<String>,
}

/// The instance generations of [`ResourcesInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceGenerations {
    /// The supported instance generation.
    #[serde(rename = "supportedInstanceGeneration")]
    pub supported_instance_generation: Vec<String>,
}

/// The instance type families of [`ResourcesInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceTypeFamilies {
    /// The supported instance type family.
    #[serde(rename = "supportedInstanceTypeFamily")]
    pub supported_instance_type_family: Vec<String>,
}

/// The instance types of [`ResourcesInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceTypes {
    /// The supported instance type.
    #[serde(rename = "supportedInstanceType")]
    pub supported_instance_type: Vec<String>,
}

/// The network types of [`ResourcesInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkTypes {
    /// The supported network category.
    #[serde(rename = "supportedNetworkCategory")]
    pub supported_network_category: Vec<String>,
}

/// The system disk categories of [`ResourcesInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SystemDiskCategories {
    /// The supported system disk category.
    #[serde(rename = "supportedSystemDiskCategory")]
    pub supported_system_disk_category: Vec<String>,
}

/// The available volume categories of [`Zone`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableVolumeCategories {
    /// The volume categories.
    pub volume_categories: Vec<String>,
}

/// The dedicated host generations of [`Zone`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DedicatedHostGenerations {
    /// The dedicated host generation.
    pub dedicated_host_generation: Vec<String>,
}
