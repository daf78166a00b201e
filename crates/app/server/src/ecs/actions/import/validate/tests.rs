//! Every fault that the parameters of an import can have, a row each.

use kiln_ecs::params::from_params;

use super::*;

const SOUND: [(&str, &str); 3] = [
    ("RegionId", "cn-a"),
    ("DiskDeviceMapping.1.OSSBucket", "b"),
    ("DiskDeviceMapping.1.OSSObject", "o.raw"),
];

/// A sound request with `changes`; an empty list of them for a name takes it away.
fn judge(changes: &[(&str, &str)]) -> Result<ImportSpec, ApiError> {
    let is_changed =
        |name: &str| changes.iter().any(|(changed, _)| changed.trim_start_matches('!') == name);
    let pairs: Vec<(String, String)> = SOUND
        .iter()
        .filter(|(name, _)| !is_changed(name))
        .chain(changes.iter().filter(|(name, _)| !name.starts_with('!')))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    validate(&from_params(&pairs).unwrap(), |region| region == "cn-a")
}

#[test]
fn what_is_not_said_has_its_default() {
    let spec = judge(&[]).unwrap();
    assert_eq!(spec.architecture, Architecture::X86_64);
    assert_eq!((spec.os_type, spec.platform.as_str()), (OsType::Linux, "Others Linux"));
    assert_eq!((spec.boot_mode, spec.license_type), (BootMode::Bios, LicenseType::Auto));
    assert_eq!((spec.nvme, spec.imds), (Support::Unsupported, ImdsSupport::V1));
    assert!(!spec.is_checked && !spec.dry_run && spec.name.is_none());
    assert_eq!(spec.disks[0].device, "/dev/xvda");
    let arm = judge(&[("Architecture", "arm64")]).unwrap();
    assert_eq!(arm.boot_mode, BootMode::Uefi);
    let windows = judge(&[("OSType", "windows")]).unwrap();
    assert_eq!(windows.platform, "Other Windows");
    let told = judge(&[("Platform", "Windows Server 2022")]).unwrap();
    assert_eq!(told.os_type, OsType::Windows);
}

#[test]
fn all_that_is_said_is_kept() {
    let spec = judge(&[
        ("ImageName", "镜像-1"),
        ("Description", "Ein Bild"),
        ("Platform", "Red Hat"),
        ("BootMode", "UEFI"),
        ("DiskDeviceMapping.1.DiskImSize", "3"),
        ("DiskDeviceMapping.1.Format", "QCOW2"),
        ("DiskDeviceMapping.4.OSSBucket", "c"),
        ("DiskDeviceMapping.4.OSSObject", "d.raw.tar.gz"),
        ("DiskDeviceMapping.4.DiskImSize", "9999"),
        ("DiskDeviceMapping.4.DiskImageSize", "2"),
        ("Tag.1.Key", "a"),
        ("DetectionStrategy", "Standard"),
        ("Features.NvmeSupport", "supported"),
        ("Features.ImdsSupport", "v2"),
        ("ClientToken", "t"),
        ("DryRun", "True"),
    ])
    .unwrap();
    assert_eq!((spec.name.as_deref(), spec.platform.as_str()), (Some("镜像-1"), "RedHat"));
    let disks: Vec<_> = spec.disks.iter().map(|disk| (&*disk.device, disk.size_gib)).collect();
    assert_eq!(disks, [("/dev/xvda", Some(3)), ("/dev/xvdb", Some(2))]);
    assert_eq!(spec.disks[0].format.as_deref(), Some("QCOW2"));
    assert!(spec.is_checked && spec.dry_run && spec.tags.contains_key("a"));
    assert_eq!((spec.nvme, spec.imds), (Support::Supported, ImdsSupport::V2));
}

#[test]
fn the_eighteenth_disk_is_passed_over() {
    let names: Vec<(String, String)> = (1..=18)
        .flat_map(|n| ["OSSBucket", "OSSObject"].map(|f| format!("DiskDeviceMapping.{n}.{f}")))
        .map(|name| (name, "b".to_owned()))
        .collect();
    let changes: Vec<(&str, &str)> =
        names.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let spec = judge(&changes).unwrap();
    assert_eq!(spec.disks.len(), 17);
    assert_eq!(spec.disks[16].device, "/dev/xvdq");
}

const BUCKET: &str = "DiskDeviceMapping.1.OSSBucket";
const OBJECT: &str = "DiskDeviceMapping.1.OSSObject";
const MORE: [(&str, &str); 2] =
    [("DiskDeviceMapping.2.OSSBucket", "b"), ("DiskDeviceMapping.2.OSSObject", "p.raw")];

type Row = (&'static [(&'static str, &'static str)], u16, &'static str, &'static str);

const MISSING: &str = "MissingParameter";
const NAME: (&str, &str) =
    ("InvalidImageName.Malformed", "The specified Image name is wrongly formed.");
const TEXT: (&str, &str) =
    ("InvalidDescription.Malformed", "The specified Image description is wrongly formed.");
const NOT_A_KEY: (&str, &str) =
    ("InvalidOSSObject.Malformed", "The specified OSS object is wrongly formed.");
const NOT_A_BUCKET: (&str, &str) =
    ("InvalidOSSBucket.Malformed", "The specified OSS bucket is wrongly formed.");
const SUFFIX: (&str, &str) =
    ("UnsupportedSuffix.OSSObject", "The specified OSS object suffix is not supported.");
const OS_TYPE: (&str, &str) =
    ("InvalidOSType.Malformed", "The specified OSType is wrongly formed.");
const BOOT_MODE: (&str, &str) =
    ("InvalidBootMode.Malformed", "The specified parameter \"BootMode\" is malformed.");
const PLATFORM: (&str, &str) = (
    "InvalidArchitecture.PlatformUnsupported",
    "The OS platform you selected does not support the specified architecture.",
);
const SIZE: (&str, &str) =
    ("InvalidImageSize", "The specified DiskDeviceMapping.1.DiskImageSize is not 1 to 2048 GiB.");
const DEVICE: (&str, &str) = (
    "InvalidParameter.Malformed",
    "The specified parameter \"DiskDeviceMapping.n.Device \" is not valid.",
);
const NO_CHECK: (&str, &str) =
    ("ImageCheckUnsupported.WindowsImage", "Image check is unsupported for windows image.");

/// Names that start with `!` are taken away.
const ROWS: &[Row] = &[
    (
        &[("!RegionId", "")],
        400,
        MISSING,
        "An input parameter \"RegionId\" that is mandatory for processing the request is not \
         supplied.",
    ),
    (
        &[("!DiskDeviceMapping.1.OSSBucket", "")],
        400,
        MISSING,
        "An input parameter \"DiskDeviceMapping.1.OSSBucket\" that is mandatory for processing \
         the request is not supplied.",
    ),
    (
        &[("!DiskDeviceMapping.1.OSSObject", "")],
        400,
        MISSING,
        "An input parameter \"DiskDeviceMapping.1.OSSObject\" that is mandatory for processing \
         the request is not supplied.",
    ),
    (
        &[("!DiskDeviceMapping.1.OSSBucket", ""), ("!DiskDeviceMapping.1.OSSObject", "")],
        403,
        "MissingParameter.DiskDeviceMapping",
        "The specified parameter DiskDeviceMapping is not supplied.",
    ),
    (
        &[("RegionId", "mars-1")],
        400,
        "InvalidRegionId.NotFound",
        "The specified RegionId does not exist.",
    ),
    (&[(OBJECT, "installer.ISO")], 400, SUFFIX.0, SUFFIX.1),
    (&[(OBJECT, "disks.tar.gz")], 400, SUFFIX.0, SUFFIX.1),
    (&[(OBJECT, "disks.zip")], 400, SUFFIX.0, SUFFIX.1),
    (&[("ImageName", "a")], 400, NAME.0, NAME.1),
    (&[("ImageName", "1st")], 400, NAME.0, NAME.1),
    (&[("ImageName", "acs:x")], 400, NAME.0, NAME.1),
    (&[("ImageName", "aliyun-x")], 400, NAME.0, NAME.1),
    (&[("ImageName", "see-http://x")], 400, NAME.0, NAME.1),
    (&[("ImageName", "a b")], 400, NAME.0, NAME.1),
    (&[("Description", "x")], 400, TEXT.0, TEXT.1),
    (&[("Description", "https://x")], 400, TEXT.0, TEXT.1),
    (
        &[("Architecture", "sparc")],
        400,
        "InvalidArchitecture.Malformed",
        "The specified Architecture is wrongly formed.",
    ),
    (
        &[("Platform", "BeOS")],
        400,
        "InvalidPlatform.Malformed",
        "The specified Platform is wrongly formed.",
    ),
    (&[("OSType", "Linux")], 400, OS_TYPE.0, OS_TYPE.1),
    (&[("OSType", "linux"), ("Platform", "Windows Server 2022")], 400, OS_TYPE.0, OS_TYPE.1),
    (&[("BootMode", "CSM")], 400, BOOT_MODE.0, BOOT_MODE.1),
    (&[("BootMode", "UEFI-Preferred")], 400, BOOT_MODE.0, BOOT_MODE.1),
    (
        &[("Architecture", "arm64"), ("BootMode", "BIOS")],
        400,
        "InvalidBootMode.NotSupport",
        "The specified parameter BootMode is not supported for current image architecture.",
    ),
    (
        &[("LicenseType", "Free")],
        400,
        "InvalidLicenseType.NotSupported",
        "The specified LicenseType is not supported.",
    ),
    (
        &[("Platform", "Other Windows"), ("LicenseType", "Aliyun")],
        400,
        "InvalidLicenseType.BYOLOnly",
        "Only BYOL LicenseType is supported for the current platform provided.",
    ),
    (&[(BUCKET, "-Bad_")], 400, NOT_A_BUCKET.0, NOT_A_BUCKET.1),
    (&[(BUCKET, "")], 400, NOT_A_BUCKET.0, NOT_A_BUCKET.1),
    (&[(BUCKET, "bad-")], 400, NOT_A_BUCKET.0, NOT_A_BUCKET.1),
    (&[(OBJECT, "http://x/y.raw")], 400, NOT_A_KEY.0, NOT_A_KEY.1),
    (&[(OBJECT, "/y.raw")], 400, NOT_A_KEY.0, NOT_A_KEY.1),
    (&[("DiskDeviceMapping.1.DiskImageSize", "0")], 400, SIZE.0, SIZE.1),
    (&[("DiskDeviceMapping.1.DiskImageSize", "2049")], 400, SIZE.0, SIZE.1),
    (&[("DiskDeviceMapping.1.DiskImSize", "-1")], 400, SIZE.0, SIZE.1),
    (
        &[MORE[0], MORE[1], ("DiskDeviceMapping.2.DiskImageSize", "2049")],
        400,
        "InvalidDataDiskSize",
        "The specified DiskDeviceMapping.2.DiskImSize should be in the specified range.",
    ),
    (
        &[("DiskDeviceMapping.1.Format", "TAR")],
        400,
        "InvalidImageFormat.Malformed",
        "The specified Image Format is wrongly formed.",
    ),
    (
        &[("DetectionStrategy", "Thorough")],
        400,
        "InvalidParameter.DetectionStrategy",
        "The specified parameter DetectionStrategy is invalid.",
    ),
    (
        &[("Features.ImdsSupport", "v3")],
        400,
        "InvalidParameter.FeaturesImdsSupport",
        "The specified parameter Features.ImdsSupport is not supported.",
    ),
    (
        &[("Features.NvmeSupport", "auto")],
        400,
        "InvalidParameter",
        "The specified parameter Features.NvmeSupport is not valid. It is `supported` or \
         `unsupported`.",
    ),
    (
        &[("ClientToken", "tökén")],
        400,
        "InvalidClientToken.Malformed",
        "The specified parameter clientToken is not valid.",
    ),
    (&[("DiskDeviceMapping.1.Device", "/dev/null")], 403, DEVICE.0, DEVICE.1),
    (&[MORE[0], MORE[1], ("DiskDeviceMapping.2.Device", "/dev/xvda")], 403, DEVICE.0, DEVICE.1),
    (
        &[("Architecture", "arm64"), ("Platform", "Windows Server 2008")],
        403,
        PLATFORM.0,
        PLATFORM.1,
    ),
    (&[("Architecture", "i386"), ("Platform", "Windows Server 2022")], 403, PLATFORM.0, PLATFORM.1),
    (
        &[("Platform", "Windows Server 2003"), ("DetectionStrategy", "Standard")],
        403,
        NO_CHECK.0,
        NO_CHECK.1,
    ),
    (
        &[("Tag.1.Key", "One"), ("Tag.2.Key", "one")],
        403,
        "TagKey.Duplication",
        "The TagKey has duplication with others, case-insensitive.",
    ),
    (
        &[("Tag.1.Key", "acs:x")],
        400,
        "InvalidTagKey.Malformed",
        "The specified Tag.1.Key is not valid: it starts with `acs:`, which is reserved.",
    ),
    (
        &[("Tag.1.Key", "x"), ("Tag.1.Value", "https://x")],
        400,
        "InvalidTagValue.Malformed",
        "The specified Tag.1.Value is not valid: it contains `https://`.",
    ),
    (
        &[("StorageLocationArn", "arn:acs:cloudbox:x")],
        403,
        "InvalidOperation.CloudBoxImageImportUnsupported",
        "Importing an image to a CloudBox is not supported.",
    ),
];

#[test]
fn each_fault_of_the_parameters_has_its_status_code_and_text() {
    assert!(judge(&[]).is_ok(), "or the rows below would prove nothing");
    for (changes, status, code, message) in ROWS {
        let error = judge(changes).expect_err(&format!("{changes:?}"));
        let found = (error.status, error.code.as_str(), error.message.as_str());
        assert_eq!(found, (*status, *code, *message), "{changes:?}");
    }
}

#[test]
fn lengths_end_where_the_documentation_says() {
    let code = |name: &str, value: &str| judge(&[(name, value)]).map_err(|error| error.code);
    for (name, unit, max, expected) in [
        ("ImageName", "a", 128, "InvalidImageName.Malformed"),
        ("ImageName", "像", 128, "InvalidImageName.Malformed"),
        ("Description", "像", 256, "InvalidDescription.Malformed"),
        ("ClientToken", "t", 64, "InvalidClientToken.Malformed"),
        (BUCKET, "b", 63, "InvalidOSSBucket.Malformed"),
        (OBJECT, "o", 1023, "InvalidOSSObject.Malformed"),
    ] {
        assert!(code(name, &unit.repeat(max)).is_ok(), "{name}");
        assert_eq!(code(name, &unit.repeat(max + 1)).unwrap_err(), expected, "{name}");
    }
    let tags: Vec<String> = (1..=21).map(|n| format!("Tag.{n}.Key")).collect();
    let tags: Vec<(&str, &str)> = tags.iter().map(|tag| (&**tag, &tag[4..])).collect();
    assert!(judge(&tags[1..]).is_ok());
    assert_eq!(judge(&tags).unwrap_err().code, "InvalidTagCount");
}
