//! Instance types, and what they can do.

use serde::{Deserialize, Serialize};

/// The request of `DescribeInstanceTypes`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstanceTypesRequest {
    /// The additional attributes.
    pub additional_attributes: Vec<String>,
    /// The cpu architecture.
    pub cpu_architecture: Option<String>,
    /// The cpu architectures.
    pub cpu_architectures: Vec<String>,
    /// The gpu specs.
    pub gpu_specs: Vec<String>,
    /// The GPU spec.
    #[serde(rename = "GPUSpec")]
    pub gpuspec: Option<String>,
    /// The instance categories.
    pub instance_categories: Vec<String>,
    /// The instance category.
    pub instance_category: Option<String>,
    /// The instance family level.
    pub instance_family_level: Option<String>,
    /// The instance type families.
    pub instance_type_families: Vec<String>,
    /// The family of the instance type.
    pub instance_type_family: Option<String>,
    /// The instance types.
    pub instance_types: Vec<String>,
    /// The local storage categories.
    pub local_storage_categories: Vec<String>,
    /// The local storage category.
    pub local_storage_category: Option<String>,
    /// Entries of one answer.
    pub max_results: Option<i64>,
    /// The most there may be of cpu core count.
    pub maximum_cpu_core_count: Option<i64>,
    /// The most there may be of cpu speed frequency.
    pub maximum_cpu_speed_frequency: Option<f64>,
    /// The most there may be of cpu turbo frequency.
    pub maximum_cpu_turbo_frequency: Option<f64>,
    /// The most there may be of GPU amount.
    #[serde(rename = "MaximumGPUAmount")]
    pub maximum_gpuamount: Option<i64>,
    /// The most there may be of memory size.
    pub maximum_memory_size: Option<f64>,
    /// The least there may be of baseline credit.
    pub minimum_baseline_credit: Option<i64>,
    /// The least there may be of cpu core count.
    pub minimum_cpu_core_count: Option<i64>,
    /// The least there may be of cpu speed frequency.
    pub minimum_cpu_speed_frequency: Option<f64>,
    /// The least there may be of cpu turbo frequency.
    pub minimum_cpu_turbo_frequency: Option<f64>,
    /// The least there may be of disk quantity.
    pub minimum_disk_quantity: Option<i64>,
    /// The least there may be of eni ipv6 address quantity.
    #[serde(rename = "MinimumEniIpv6AddressQuantity")]
    pub minimum_eni_ipv_6address_quantity: Option<i64>,
    /// The least there may be of eni private ip address quantity.
    pub minimum_eni_private_ip_address_quantity: Option<i64>,
    /// The least there may be of eni quantity.
    pub minimum_eni_quantity: Option<i64>,
    /// The least there may be of eri quantity.
    pub minimum_eri_quantity: Option<i64>,
    /// The least there may be of GPU amount.
    #[serde(rename = "MinimumGPUAmount")]
    pub minimum_gpuamount: Option<i64>,
    /// The least there may be of initial credit.
    pub minimum_initial_credit: Option<i64>,
    /// The least there may be of instance bandwidth rx.
    pub minimum_instance_bandwidth_rx: Option<i64>,
    /// The least there may be of instance bandwidth tx.
    pub minimum_instance_bandwidth_tx: Option<i64>,
    /// The least there may be of instance pps rx.
    pub minimum_instance_pps_rx: Option<i64>,
    /// The least there may be of instance pps tx.
    pub minimum_instance_pps_tx: Option<i64>,
    /// The least there may be of local storage amount.
    pub minimum_local_storage_amount: Option<i64>,
    /// The least there may be of local storage capacity.
    pub minimum_local_storage_capacity: Option<i64>,
    /// The least there may be of memory size.
    pub minimum_memory_size: Option<f64>,
    /// The least there may be of primary eni queue number.
    pub minimum_primary_eni_queue_number: Option<i64>,
    /// The least there may be of queue pair number.
    pub minimum_queue_pair_number: Option<i64>,
    /// The least there may be of secondary eni queue number.
    pub minimum_secondary_eni_queue_number: Option<i64>,
    /// Where to go on; absent on the last page.
    pub next_token: Option<String>,
    /// Whether NVMe is supported.
    pub nvme_support: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The physical processor model.
    pub physical_processor_model: Option<String>,
    /// The physical processor models.
    pub physical_processor_models: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
}

/// The answer of `DescribeInstanceTypes`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstanceTypesResponse {
    /// The instance types.
    pub instance_types: Option<InstanceTypes>,
    /// Where to go on; absent on the last page.
    pub next_token: Option<String>,
}

/// The instance types of [`DescribeInstanceTypesResponse`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceTypes {
    /// The instance type.
    pub instance_type: Vec<InstanceType>,
}

/// The instance type of [`InstanceTypes`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceType {
    /// The attributes.
    pub attributes: Option<Attributes>,
    /// The baseline credit.
    pub baseline_credit: Option<i64>,
    /// The clock.
    pub clock: Option<Clock>,
    /// The cpu architecture.
    pub cpu_architecture: Option<String>,
    /// Virtual CPUs.
    pub cpu_core_count: Option<i64>,
    /// The cpu options.
    pub cpu_options: Option<CpuOptions>,
    /// The cpu speed frequency.
    pub cpu_speed_frequency: Option<f64>,
    /// The cpu turbo frequency.
    pub cpu_turbo_frequency: Option<f64>,
    /// The disk quantity.
    pub disk_quantity: Option<i64>,
    /// The enhanced network.
    pub enhanced_network: Option<EnhancedNetwork>,
    /// The eni ipv6 address quantity.
    #[serde(rename = "EniIpv6AddressQuantity")]
    pub eni_ipv_6address_quantity: Option<i64>,
    /// The eni private ip address quantity.
    pub eni_private_ip_address_quantity: Option<i64>,
    /// The eni quantity.
    pub eni_quantity: Option<i64>,
    /// The eni total quantity.
    pub eni_total_quantity: Option<i64>,
    /// The eni trunk supported.
    pub eni_trunk_supported: Option<bool>,
    /// The eri quantity.
    pub eri_quantity: Option<i64>,
    /// The GPU amount.
    #[serde(rename = "GPUAmount")]
    pub gpuamount: Option<i64>,
    /// The GPU memory size.
    #[serde(rename = "GPUMemorySize")]
    pub gpumemory_size: Option<f64>,
    /// The GPU spec.
    #[serde(rename = "GPUSpec")]
    pub gpuspec: Option<String>,
    /// The initial credit.
    pub initial_credit: Option<i64>,
    /// The instance bandwidth rx.
    pub instance_bandwidth_rx: Option<i64>,
    /// The instance bandwidth tx.
    pub instance_bandwidth_tx: Option<i64>,
    /// The instance category.
    pub instance_category: Option<String>,
    /// The instance family level.
    pub instance_family_level: Option<String>,
    /// The instance pps rx.
    pub instance_pps_rx: Option<i64>,
    /// The instance pps tx.
    pub instance_pps_tx: Option<i64>,
    /// The family of the instance type.
    pub instance_type_family: Option<String>,
    /// The id of the instance type.
    pub instance_type_id: Option<String>,
    /// The jumbo frame support.
    pub jumbo_frame_support: Option<bool>,
    /// The local storage amount.
    pub local_storage_amount: Option<i64>,
    /// The local storage capacity.
    pub local_storage_capacity: Option<i64>,
    /// The local storage category.
    pub local_storage_category: Option<String>,
    /// The most there may be of queue number per eni.
    pub maximum_queue_number_per_eni: Option<i64>,
    /// Memory, in GiB.
    pub memory_size: Option<f64>,
    /// The network card quantity.
    pub network_card_quantity: Option<i64>,
    /// The network cards.
    pub network_cards: Option<NetworkCards>,
    /// The network encryption support.
    pub network_encryption_support: Option<bool>,
    /// The network info.
    pub network_info: Option<NetworkInfo>,
    /// Whether NVMe is supported.
    pub nvme_support: Option<String>,
    /// The physical processor model.
    pub physical_processor_model: Option<String>,
    /// The primary eni queue number.
    pub primary_eni_queue_number: Option<i64>,
    /// The queue pair number.
    pub queue_pair_number: Option<i64>,
    /// The secondary eni queue number.
    pub secondary_eni_queue_number: Option<i64>,
    /// The security options.
    pub security_options: Option<SecurityOptions>,
    /// The supported boot modes.
    pub supported_boot_modes: Option<SupportedBootModes>,
    /// The total eni queue quantity.
    pub total_eni_queue_quantity: Option<i64>,
}

/// The attributes of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attributes {
    /// The attribute.
    pub attribute: Vec<Attribute>,
}

/// The attribute of [`Attributes`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attribute {
    /// The name.
    pub name: Option<String>,
    /// The value.
    pub value: Option<String>,
}

/// The clock of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Clock {
    /// The ptp support.
    pub ptp_support: Option<String>,
}

/// The cpu options of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CpuOptions {
    /// The core.
    pub core: Option<i64>,
    /// The core factor.
    pub core_factor: Option<i64>,
    /// The hyper threading adjustable.
    pub hyper_threading_adjustable: Option<bool>,
    /// The nested virtualization support.
    pub nested_virtualization_support: Option<String>,
    /// The supported topology types.
    pub supported_topology_types: Option<SupportedTopologyTypes>,
    /// The threads per core.
    pub threads_per_core: Option<i64>,
}

/// The supported topology types of [`CpuOptions`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedTopologyTypes {
    /// The supported topology type.
    pub supported_topology_type: Vec<String>,
}

/// The enhanced network of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EnhancedNetwork {
    /// The express support.
    pub express_support: Option<bool>,
    /// The rss support.
    pub rss_support: Option<bool>,
    /// The sriov support.
    pub sriov_support: Option<bool>,
    /// The vf queue number per eni.
    pub vf_queue_number_per_eni: Option<i64>,
}

/// The network cards of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCards {
    /// The network card info.
    pub network_card_info: Vec<NetworkCardInfo>,
}

/// The network card info of [`NetworkCards`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCardInfo {
    /// The network card index.
    pub network_card_index: Option<i64>,
}

/// The network info of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkInfo {
    /// The bandwidth weighting.
    pub bandwidth_weighting: Option<BandwidthWeighting>,
}

/// The bandwidth weighting of [`NetworkInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BandwidthWeighting {
    /// The weighting infos.
    pub weighting_infos: Option<WeightingInfos>,
}

/// The weighting infos of [`BandwidthWeighting`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WeightingInfos {
    /// The weighting info.
    pub weighting_info: Vec<WeightingInfo>,
}

/// The weighting info of [`WeightingInfos`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WeightingInfo {
    /// The ebs bandwidth.
    pub ebs_bandwidth: Option<i64>,
    /// The ebs burst bandwidth.
    pub ebs_burst_bandwidth: Option<i64>,
    /// The name.
    pub name: Option<String>,
    /// The vpc bandwidth.
    pub vpc_bandwidth: Option<i64>,
    /// The vpc burst bandwidth.
    pub vpc_burst_bandwidth: Option<i64>,
}

/// The security options of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecurityOptions {
    /// Whether secure boot is supported.
    pub secure_boot_support: Option<String>,
}

/// The supported boot modes of [`InstanceType`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedBootModes {
    /// The supported boot mode.
    pub supported_boot_mode: Vec<String>,
}
