//! Why a repair is not made: a code to decide by, the reason, and what to do.

use serde::Serialize;

use kiln_volume::Error;

/// A repair that is refused. The codes are those of the specification, and ours where it has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// `Repair.<Condition>`, see [`codes`].
    pub code: &'static str,
    /// The facts, one sentence.
    pub reason: String,
    /// What the user can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Codes of refusals. A code, once released, keeps its meaning.
pub mod codes {
    /// The disk is no sound system disk: there is nothing to repair.
    pub const SYSTEM_IMAGE_INVALID: &str = "Repair.SystemImageInvalid";
    /// Neither x86_64 nor arm64.
    pub const UNSUPPORTED_ARCH: &str = "Repair.UnsupportedArch";
    /// Not a Linux system: ours, the specification's Windows repairs are not in this version.
    pub const UNSUPPORTED_OS: &str = "Repair.UnsupportedOs";
    /// A filesystem that cannot be written to.
    pub const FILESYSTEM_READ_ONLY: &str = "Repair.FilesystemReadOnly";
    /// Not enough free space.
    pub const NO_SPACE: &str = "Repair.NoSpace";
    /// Something has to be installed and is not in the bundle.
    pub const NO_BUNDLE: &str = "Repair.NoBundle";
    /// ostree, composefs, verity: files are not what the system starts from.
    pub const IMMUTABLE_OS: &str = "Repair.ImmutableOs";
    /// The initial ramdisk is inside a unified kernel image, which may be signed.
    pub const UKI_SIGNED: &str = "Repair.UkiSigned";
    /// Only running programs of the guest would do it, and that was not allowed.
    pub const EXEC_DISABLED: &str = "Repair.ExecDisabled";
    /// Another item got worse by it.
    pub const REGRESSED: &str = "Repair.Regressed";
    /// The item is still at risk after it: ours.
    pub const NOT_MENDED: &str = "Repair.NotMended";
    /// Which volume is the root cannot be told.
    pub const FSTAB_ROOT_AMBIGUOUS: &str = "Repair.FstabRootAmbiguous";
    /// The driver is no module of any installed kernel.
    pub const VIRTIO_NO_MODULE: &str = "Repair.VirtioNoModule";
    /// No configuration of the boot loader is there.
    pub const GRUB_NO_CONFIG: &str = "Repair.GrubNoConfig";
    /// Which volume the boot loader should name as root cannot be told.
    pub const GRUB_ROOT_AMBIGUOUS: &str = "Repair.GrubRootAmbiguous";
    /// No DHCP client of any kind is installed.
    pub const DHCP_NO_CLIENT: &str = "Repair.DhcpNoClient";
    /// The root partition is not the last one, so it cannot grow.
    pub const ROOT_NOT_LAST: &str = "Repair.RootNotLast";
    /// The Security Center agent enrols over the network at its first start.
    pub const AEGIS_NEEDS_NETWORK: &str = "Repair.AegisNeedsNetwork";
    /// The guest could not be read far enough to plan: ours.
    pub const UNREADABLE: &str = "Repair.Unreadable";
}

impl Refusal {
    /// A refusal.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), hint: None }
    }

    /// Say what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// "Could not look" stops a repair as a refusal does, but keeps its own words.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let hint = error.hint_text().map(str::to_owned);
        Self { code: codes::UNREADABLE, reason: error.to_string(), hint }
    }
}
