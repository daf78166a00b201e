"""Documented errors that kiln has no occasion for, each with the reason."""

CLOUD_BOX = "kiln has no cloud boxes; a location of one is refused as unsupported"
BILLING = "kiln keeps no bills, so no account is in arrears"

IMPORT_IMAGE = {
    "InvalidRegion.NotSupport": "every configured region imports and exports",
    "InvalidOSSObject.NeedRestore": "kiln's object stores have no archive class",
    "InvalidOSSBucket.EncryptUnsupported": "encryption of a bucket is the store's own matter",
    "InvalidImageFormat.RegionNotSupported": "VMDK is enabled in every region",
    "ImportImageFailed": "a failure of kiln's own is InternalError; of an import, the task's error",
    "UserNotInTheWhiteList": "importing is not on invitation; policies decide who may",
    "InvalidAccountStatus.OSSDisabled": BILLING,
    "InvalidStorageLocation.NotFound": CLOUD_BOX,
    "InvalidOperation.CloudBoxImageImportRoleRequired": CLOUD_BOX,
}
