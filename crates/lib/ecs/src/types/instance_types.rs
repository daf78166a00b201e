//! `DescribeInstanceTypes`: what instances can be.

use serde::{Deserialize, Serialize};

/// The request of `DescribeInstanceTypes`: the instance types.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstanceTypesRequest {
    /// Attributes to tell besides.
    pub additional_attributes: Vec<String>,
    /// `X86` or `ARM`.
    pub cpu_architecture: Option<String>,
    /// The architectures, any of which will do.
    pub cpu_architectures: Vec<String>,
    /// The kind of GPU.
    #[serde(rename = "GPUSpec")]
    pub gpu_spec: Option<String>,
    /// The kinds of GPU, any of which will do.
    pub gpu_specs: Vec<String>,
    /// The categories, any of which will do.
    pub instance_categories: Vec<String>,
    /// The category, for example `General-purpose`.
    pub instance_category: Option<String>,
    /// `EntryLevel`, `EnterpriseLevel` or `CreditEntryLevel`.
    pub instance_family_level: Option<String>,
    /// The families, any of which will do.
    pub instance_type_families: Vec<String>,
    /// The family of the type, for example `ecs.g7`.
    pub instance_type_family: Option<String>,
    /// The names of the types, at most ten.
    pub instance_types: Vec<String>,
    /// The kinds of local disks, any of which will do.
    pub local_storage_categories: Vec<String>,
    /// The kind of local disks.
    pub local_storage_category: Option<String>,
    /// Types on a page.
    pub max_results: Option<i64>,
    /// At most this many virtual processors.
    pub maximum_cpu_core_count: Option<i64>,
    /// At most this clock of the processor, in GHz.
    pub maximum_cpu_speed_frequency: Option<f64>,
    /// At most this highest clock of the processor, in GHz.
    pub maximum_cpu_turbo_frequency: Option<f64>,
    /// At most this many GPUs.
    #[serde(rename = "MaximumGPUAmount")]
    pub maximum_gpu_amount: Option<i64>,
    /// At most this much memory, in GiB.
    pub maximum_memory_size: Option<f64>,
    /// At least this many credits that a burstable instance gains, per minute.
    pub minimum_baseline_credit: Option<i64>,
    /// At least this many virtual processors.
    pub minimum_cpu_core_count: Option<i64>,
    /// At least this clock of the processor, in GHz.
    pub minimum_cpu_speed_frequency: Option<f64>,
    /// At least this highest clock of the processor, in GHz.
    pub minimum_cpu_turbo_frequency: Option<f64>,
    /// At least this many disks.
    pub minimum_disk_quantity: Option<i64>,
    /// At least this many IPv6 addresses of a network interface.
    pub minimum_eni_ipv6_address_quantity: Option<i64>,
    /// At least this many private IPv4 addresses of a network interface.
    pub minimum_eni_private_ip_address_quantity: Option<i64>,
    /// At least this many network interfaces.
    pub minimum_eni_quantity: Option<i64>,
    /// At least this many elastic RDMA interfaces.
    pub minimum_eri_quantity: Option<i64>,
    /// At least this many GPUs.
    #[serde(rename = "MinimumGPUAmount")]
    pub minimum_gpu_amount: Option<i64>,
    /// At least this many credits that a burstable instance starts with.
    pub minimum_initial_credit: Option<i64>,
    /// At least this much bandwidth to the instance, in kbit/s.
    pub minimum_instance_bandwidth_rx: Option<i64>,
    /// At least this much bandwidth from the instance, in kbit/s.
    pub minimum_instance_bandwidth_tx: Option<i64>,
    /// At least this many packets to the instance, per second.
    pub minimum_instance_pps_rx: Option<i64>,
    /// At least this many packets from the instance, per second.
    pub minimum_instance_pps_tx: Option<i64>,
    /// At least this many local disks.
    pub minimum_local_storage_amount: Option<i64>,
    /// At least this size of a local disk, in GiB.
    pub minimum_local_storage_capacity: Option<i64>,
    /// At least this much memory, in GiB.
    pub minimum_memory_size: Option<f64>,
    /// At least this many queues of the first network interface.
    pub minimum_primary_eni_queue_number: Option<i64>,
    /// At least this many queue pairs of elastic RDMA interfaces.
    pub minimum_queue_pair_number: Option<i64>,
    /// At least this many queues of each further network interface.
    pub minimum_secondary_eni_queue_number: Option<i64>,
    /// Where the page starts, from the answer before.
    pub next_token: Option<String>,
    /// Whether NVMe is supported.
    pub nvme_support: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The model of the processor.
    pub physical_processor_model: Option<String>,
    /// The models of processors, any of which will do.
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
    /// The types of this page.
    pub instance_types: Option<InstanceTypes>,
    /// Where the next page starts; absent on the last one.
    pub next_token: Option<String>,
}

/// The list wrapper of [`DescribeInstanceTypesResponse::instance_types`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceTypes {
    /// The instance types.
    pub instance_type: Vec<InstanceType>,
}

/// One instance type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceType {
    /// The attributes asked for besides.
    pub attributes: Option<Attributes>,
    /// Credits that a burstable instance gains, per minute.
    pub baseline_credit: Option<i64>,
    /// What clocks there are.
    pub clock: Option<Clock>,
    /// `X86` or `ARM`.
    pub cpu_architecture: Option<String>,
    /// Virtual processors.
    pub cpu_core_count: Option<i64>,
    /// How processors can be arranged.
    pub cpu_options: Option<CpuOptions>,
    /// The clock of the processor, in GHz.
    pub cpu_speed_frequency: Option<f64>,
    /// The highest clock of the processor, in GHz.
    pub cpu_turbo_frequency: Option<f64>,
    /// Most disks.
    pub disk_quantity: Option<i64>,
    /// What the network can do besides.
    pub enhanced_network: Option<EnhancedNetwork>,
    /// Most IPv6 addresses of a network interface.
    pub eni_ipv6_address_quantity: Option<i64>,
    /// Most private IPv4 addresses of a network interface.
    pub eni_private_ip_address_quantity: Option<i64>,
    /// Most network interfaces.
    pub eni_quantity: Option<i64>,
    /// Most network interfaces, trunked ones among them.
    pub eni_total_quantity: Option<i64>,
    /// Whether network interfaces can be trunked.
    pub eni_trunk_supported: Option<bool>,
    /// Most elastic RDMA interfaces.
    pub eri_quantity: Option<i64>,
    /// GPUs.
    #[serde(rename = "GPUAmount")]
    pub gpu_amount: Option<i64>,
    /// Memory of a GPU, in GiB.
    #[serde(rename = "GPUMemorySize")]
    pub gpu_memory_size: Option<f64>,
    /// The kind of GPU.
    #[serde(rename = "GPUSpec")]
    pub gpu_spec: Option<String>,
    /// Credits that a burstable instance starts with.
    pub initial_credit: Option<i64>,
    /// Bandwidth to the instance, in kbit/s.
    pub instance_bandwidth_rx: Option<i64>,
    /// Bandwidth from the instance, in kbit/s.
    pub instance_bandwidth_tx: Option<i64>,
    /// The category, for example `General-purpose`.
    pub instance_category: Option<String>,
    /// `EntryLevel`, `EnterpriseLevel` or `CreditEntryLevel`.
    pub instance_family_level: Option<String>,
    /// Packets to the instance, per second.
    pub instance_pps_rx: Option<i64>,
    /// Packets from the instance, per second.
    pub instance_pps_tx: Option<i64>,
    /// The family of the type, for example `ecs.g7`.
    pub instance_type_family: Option<String>,
    /// The name of the type, for example `ecs.g7.large`.
    pub instance_type_id: Option<String>,
    /// Whether jumbo frames are supported.
    pub jumbo_frame_support: Option<bool>,
    /// Local disks.
    pub local_storage_amount: Option<i64>,
    /// The size of a local disk, in GiB.
    pub local_storage_capacity: Option<i64>,
    /// The kind of local disks.
    pub local_storage_category: Option<String>,
    /// Most queues of a network interface.
    pub maximum_queue_number_per_eni: Option<i64>,
    /// Memory, in GiB.
    pub memory_size: Option<f64>,
    /// Network cards.
    pub network_card_quantity: Option<i64>,
    /// The network cards.
    pub network_cards: Option<NetworkCards>,
    /// Whether traffic between instances is encrypted.
    pub network_encryption_support: Option<bool>,
    /// How bandwidth can be divided.
    pub network_info: Option<NetworkInfo>,
    /// Whether NVMe is supported.
    pub nvme_support: Option<String>,
    /// The model of the processor.
    pub physical_processor_model: Option<String>,
    /// Queues of the first network interface.
    pub primary_eni_queue_number: Option<i64>,
    /// Most queue pairs of elastic RDMA interfaces.
    pub queue_pair_number: Option<i64>,
    /// Queues of each further network interface.
    pub secondary_eni_queue_number: Option<i64>,
    /// What is known of security.
    pub security_options: Option<SecurityOptions>,
    /// Boot modes.
    pub supported_boot_modes: Option<SupportedBootModes>,
    /// Most queues of all network interfaces.
    pub total_eni_queue_quantity: Option<i64>,
}

/// The list wrapper of [`InstanceType::attributes`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attributes {
    /// The attributes.
    pub attribute: Vec<Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attribute {
    /// The name.
    pub name: Option<String>,
    /// The value.
    pub value: Option<String>,
}

/// What clocks there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Clock {
    /// Whether the precision time protocol is supported.
    pub ptp_support: Option<String>,
}

/// How processors can be arranged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CpuOptions {
    /// Cores.
    pub core: Option<i64>,
    /// What the number of cores has to be a multiple of.
    pub core_factor: Option<i64>,
    /// Whether hyper-threading can be turned off.
    pub hyper_threading_adjustable: Option<bool>,
    /// Whether instances can run virtual machines.
    pub nested_virtualization_support: Option<String>,
    /// Topologies of processors.
    pub supported_topology_types: Option<SupportedTopologyTypes>,
    /// Threads of a core.
    pub threads_per_core: Option<i64>,
}

/// The list wrapper of [`CpuOptions::supported_topology_types`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedTopologyTypes {
    /// The topologies.
    pub supported_topology_type: Vec<String>,
}

/// What the network can do besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EnhancedNetwork {
    /// Whether express networking is supported.
    pub express_support: Option<bool>,
    /// Whether receive side scaling is supported.
    pub rss_support: Option<bool>,
    /// Whether SR-IOV is supported.
    pub sriov_support: Option<bool>,
    /// Queues of a virtual function.
    pub vf_queue_number_per_eni: Option<i64>,
}

/// The list wrapper of [`InstanceType::network_cards`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCards {
    /// The cards.
    pub network_card_info: Vec<NetworkCard>,
}

/// One network card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCard {
    /// The number of the card, from 0.
    pub network_card_index: Option<i64>,
}

/// How bandwidth can be divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkInfo {
    /// The ways to divide bandwidth.
    pub bandwidth_weighting: Option<BandwidthWeighting>,
}

/// The ways to divide bandwidth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BandwidthWeighting {
    /// The ways.
    pub weighting_infos: Option<WeightingInfos>,
}

/// The list wrapper of [`BandwidthWeighting::weighting_infos`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WeightingInfos {
    /// The ways.
    pub weighting_info: Vec<Weighting>,
}

/// One way to divide bandwidth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Weighting {
    /// Bandwidth to disks, in kbit/s.
    pub ebs_bandwidth: Option<i64>,
    /// Bandwidth to disks for a short time, in kbit/s.
    pub ebs_burst_bandwidth: Option<i64>,
    /// The name of the way.
    pub name: Option<String>,
    /// Bandwidth to the network, in kbit/s.
    pub vpc_bandwidth: Option<i64>,
    /// Bandwidth to the network for a short time, in kbit/s.
    pub vpc_burst_bandwidth: Option<i64>,
}

/// What is known of security.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecurityOptions {
    /// Whether secure boot is supported.
    pub secure_boot_support: Option<String>,
}

/// The list wrapper of [`InstanceType::supported_boot_modes`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedBootModes {
    /// The boot modes.
    pub supported_boot_mode: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    #[test]
    fn parameters_of_describe_instance_types() {
        testing::are_read_and_sent_again::<DescribeInstanceTypesRequest>(&[
            "AdditionalAttributes.1=x&AdditionalAttributes.2=y&CpuArchitecture=x&\
             CpuArchitectures.1=x&CpuArchitectures.2=y&GPUSpec=x&GpuSpecs.1=x&GpuSpecs.2=y&\
             InstanceCategories.1=x&InstanceCategories.2=y&InstanceCategory=x&\
             InstanceFamilyLevel=x&InstanceTypeFamilies.1=x&InstanceTypeFamilies.2=y&\
             InstanceTypeFamily=x&InstanceTypes.1=x&InstanceTypes.2=y&\
             LocalStorageCategories.1=x&LocalStorageCategories.2=y&LocalStorageCategory=x&\
             MaxResults=7&MaximumCpuCoreCount=7&MaximumCpuSpeedFrequency=7.5&\
             MaximumCpuTurboFrequency=7.5&MaximumGPUAmount=7&MaximumMemorySize=7.5&\
             MinimumBaselineCredit=7&MinimumCpuCoreCount=7&MinimumCpuSpeedFrequency=7.5&\
             MinimumCpuTurboFrequency=7.5&MinimumDiskQuantity=7&\
             MinimumEniIpv6AddressQuantity=7&MinimumEniPrivateIpAddressQuantity=7&\
             MinimumEniQuantity=7&MinimumEriQuantity=7&MinimumGPUAmount=7&\
             MinimumInitialCredit=7&MinimumInstanceBandwidthRx=7&MinimumInstanceBandwidthTx=7&\
             MinimumInstancePpsRx=7&MinimumInstancePpsTx=7&MinimumLocalStorageAmount=7&\
             MinimumLocalStorageCapacity=7&MinimumMemorySize=7.5&\
             MinimumPrimaryEniQueueNumber=7&MinimumQueuePairNumber=7&\
             MinimumSecondaryEniQueueNumber=7&NextToken=x&NvmeSupport=x&OwnerAccount=x&\
             OwnerId=7&PhysicalProcessorModel=x&PhysicalProcessorModels.1=x&\
             PhysicalProcessorModels.2=y&ResourceOwnerAccount=x&ResourceOwnerId=7",
        ]);
    }

    #[test]
    fn fields_of_describe_instance_types() {
        let json = r#"{"InstanceTypes":{"InstanceType":[{"Attributes":{"Attribute":[{"Name":"x",
            "Value":"x"}]},"BaselineCredit":7,"Clock":{"PtpSupport":"x"},"CpuArchitecture":"x",
            "CpuCoreCount":7,"CpuOptions":{"Core":7,"CoreFactor":7,
            "HyperThreadingAdjustable":true,"NestedVirtualizationSupport":"x",
            "SupportedTopologyTypes":{"SupportedTopologyType":["x","y"]},"ThreadsPerCore":7},
            "CpuSpeedFrequency":7.5,"CpuTurboFrequency":7.5,"DiskQuantity":7,
            "EnhancedNetwork":{"ExpressSupport":true,"RssSupport":true,"SriovSupport":true,
            "VfQueueNumberPerEni":7},"EniIpv6AddressQuantity":7,"EniPrivateIpAddressQuantity":7,
            "EniQuantity":7,"EniTotalQuantity":7,"EniTrunkSupported":true,"EriQuantity":7,
            "GPUAmount":7,"GPUMemorySize":7.5,"GPUSpec":"x","InitialCredit":7,
            "InstanceBandwidthRx":7,"InstanceBandwidthTx":7,"InstanceCategory":"x",
            "InstanceFamilyLevel":"x","InstancePpsRx":7,"InstancePpsTx":7,
            "InstanceTypeFamily":"x","InstanceTypeId":"x","JumboFrameSupport":true,
            "LocalStorageAmount":7,"LocalStorageCapacity":7,"LocalStorageCategory":"x",
            "MaximumQueueNumberPerEni":7,"MemorySize":7.5,"NetworkCardQuantity":7,
            "NetworkCards":{"NetworkCardInfo":[{"NetworkCardIndex":7}]},
            "NetworkEncryptionSupport":true,
            "NetworkInfo":{"BandwidthWeighting":{"WeightingInfos":{"WeightingInfo":[{"EbsBandwidth":7,
            "EbsBurstBandwidth":7,"Name":"x","VpcBandwidth":7,"VpcBurstBandwidth":7}]}}},
            "NvmeSupport":"x","PhysicalProcessorModel":"x","PrimaryEniQueueNumber":7,
            "QueuePairNumber":7,"SecondaryEniQueueNumber":7,
            "SecurityOptions":{"SecureBootSupport":"x"},
            "SupportedBootModes":{"SupportedBootMode":["x","y"]},"TotalEniQueueQuantity":7}]},
            "NextToken":"x","RequestId":"R"}"#;
        let xml = "<RequestId>R</RequestId><InstanceTypes><InstanceType><Attributes><Attribute><Name>x\
                   </Name><Value>x</Value></Attribute></Attributes><BaselineCredit>7</BaselineCredit>\
                   <Clock><PtpSupport>x</PtpSupport></Clock><CpuArchitecture>x</CpuArchitecture>\
                   <CpuCoreCount>7</CpuCoreCount><CpuOptions><Core>7</Core><CoreFactor>7</CoreFactor>\
                   <HyperThreadingAdjustable>true</HyperThreadingAdjustable>\
                   <NestedVirtualizationSupport>x</NestedVirtualizationSupport><SupportedTopologyTypes>\
                   <SupportedTopologyType>x</SupportedTopologyType><SupportedTopologyType>y\
                   </SupportedTopologyType></SupportedTopologyTypes><ThreadsPerCore>7</ThreadsPerCore>\
                   </CpuOptions><CpuSpeedFrequency>7.5</CpuSpeedFrequency><CpuTurboFrequency>7.5\
                   </CpuTurboFrequency><DiskQuantity>7</DiskQuantity><EnhancedNetwork>\
                   <ExpressSupport>true</ExpressSupport><RssSupport>true</RssSupport><SriovSupport>true\
                   </SriovSupport><VfQueueNumberPerEni>7</VfQueueNumberPerEni></EnhancedNetwork>\
                   <EniIpv6AddressQuantity>7</EniIpv6AddressQuantity><EniPrivateIpAddressQuantity>7\
                   </EniPrivateIpAddressQuantity><EniQuantity>7</EniQuantity><EniTotalQuantity>7\
                   </EniTotalQuantity><EniTrunkSupported>true</EniTrunkSupported><EriQuantity>7\
                   </EriQuantity><GPUAmount>7</GPUAmount><GPUMemorySize>7.5</GPUMemorySize><GPUSpec>x\
                   </GPUSpec><InitialCredit>7</InitialCredit><InstanceBandwidthRx>7\
                   </InstanceBandwidthRx><InstanceBandwidthTx>7</InstanceBandwidthTx>\
                   <InstanceCategory>x</InstanceCategory><InstanceFamilyLevel>x</InstanceFamilyLevel>\
                   <InstancePpsRx>7</InstancePpsRx><InstancePpsTx>7</InstancePpsTx>\
                   <InstanceTypeFamily>x</InstanceTypeFamily><InstanceTypeId>x</InstanceTypeId>\
                   <JumboFrameSupport>true</JumboFrameSupport><LocalStorageAmount>7\
                   </LocalStorageAmount><LocalStorageCapacity>7</LocalStorageCapacity>\
                   <LocalStorageCategory>x</LocalStorageCategory><MaximumQueueNumberPerEni>7\
                   </MaximumQueueNumberPerEni><MemorySize>7.5</MemorySize><NetworkCardQuantity>7\
                   </NetworkCardQuantity><NetworkCards><NetworkCardInfo><NetworkCardIndex>7\
                   </NetworkCardIndex></NetworkCardInfo></NetworkCards><NetworkEncryptionSupport>true\
                   </NetworkEncryptionSupport><NetworkInfo><BandwidthWeighting><WeightingInfos>\
                   <WeightingInfo><EbsBandwidth>7</EbsBandwidth><EbsBurstBandwidth>7\
                   </EbsBurstBandwidth><Name>x</Name><VpcBandwidth>7</VpcBandwidth><VpcBurstBandwidth>7\
                   </VpcBurstBandwidth></WeightingInfo></WeightingInfos></BandwidthWeighting>\
                   </NetworkInfo><NvmeSupport>x</NvmeSupport><PhysicalProcessorModel>x\
                   </PhysicalProcessorModel><PrimaryEniQueueNumber>7</PrimaryEniQueueNumber>\
                   <QueuePairNumber>7</QueuePairNumber><SecondaryEniQueueNumber>7\
                   </SecondaryEniQueueNumber><SecurityOptions><SecureBootSupport>x</SecureBootSupport>\
                   </SecurityOptions><SupportedBootModes><SupportedBootMode>x</SupportedBootMode>\
                   <SupportedBootMode>y</SupportedBootMode></SupportedBootModes>\
                   <TotalEniQueueQuantity>7</TotalEniQueueQuantity></InstanceType></InstanceTypes>\
                   <NextToken>x</NextToken>";
        testing::is_written_as_it_is_read::<DescribeInstanceTypesResponse>(
            "DescribeInstanceTypes",
            json,
        );
        testing::is_written_in_xml::<DescribeInstanceTypesResponse>(
            "DescribeInstanceTypes",
            json,
            xml,
        );
    }
}
