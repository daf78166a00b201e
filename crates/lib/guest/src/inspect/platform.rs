//! Operating systems by name: platform of the import API, family, and how to show them.

use crate::{Family, OsInfo};

/// A system that is known by its `ID`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// `ID`; with a `*` at the end, what it starts with.
    id: &'static str,
    /// Only with this `VARIANT_ID`.
    variant: Option<&'static str>,
    /// As ImportImage names it.
    pub(crate) platform: &'static str,
    /// Whose descendant it is.
    pub(crate) family: Family,
    /// Name in front of the version; `None`: as the system names itself.
    pub(crate) display: Option<&'static str>,
}

const fn known(
    id: &'static str,
    platform: &'static str,
    family: Family,
    display: &'static str,
) -> Known {
    let display = if display.is_empty() { None } else { Some(display) };
    Known { id, variant: None, platform, family, display }
}

const fn variant(variant: &'static str, known: Known) -> Known {
    Known { variant: Some(variant), ..known }
}

const OTHERS: &str = "Others Linux";

/// The first that matches counts.
const KNOWN: &[Known] = &[
    known("alinux", "Aliyun", Family::RedHat, "Alibaba Cloud Linux"),
    known("aliyun", "Aliyun", Family::RedHat, "Aliyun Linux"),
    known("lifsea", "Aliyun", Family::RedHat, "LifseaOS"),
    known("alios", "Aliyun", Family::RedHat, "AliOS"),
    known("anolis", "Anolis", Family::RedHat, "Anolis OS"),
    variant("stream", known("centos", "CentOS Stream", Family::RedHat, "CentOS Stream")),
    known("centos", "CentOS", Family::RedHat, "CentOS"),
    known("ubuntu", "Ubuntu", Family::Debian, "Ubuntu"),
    known("debian", "Debian", Family::Debian, "Debian"),
    known("sles_sap", "SUSE", Family::Suse, "SLES for SAP"),
    known("sles", "SUSE", Family::Suse, "SLES"),
    known("sled", "SUSE", Family::Suse, "SLED"),
    known("sle-micro*", "SUSE", Family::Suse, "SLE Micro"),
    known("sl-micro*", "SUSE", Family::Suse, "SL Micro"),
    known("suse*", "SUSE", Family::Suse, ""),
    known("opensuse-leap", "OpenSUSE", Family::Suse, "openSUSE Leap"),
    known("opensuse-tumbleweed", "OpenSUSE", Family::Suse, "openSUSE Tumbleweed"),
    known("opensuse*", "OpenSUSE", Family::Suse, ""),
    known("rhel", "RedHat", Family::RedHat, "Red Hat Enterprise Linux"),
    known("redhatenterprise*", "RedHat", Family::RedHat, "Red Hat Enterprise Linux"),
    known("almalinux", "AlmaLinux", Family::RedHat, "AlmaLinux"),
    known("rocky", "Rocky Linux", Family::RedHat, "Rocky Linux"),
    variant("coreos", known("fedora", "Fedora CoreOS", Family::RedHat, "Fedora CoreOS")),
    known("fedora", "Fedora", Family::RedHat, "Fedora"),
    known("kylin", "Kylin", Family::RedHat, "Kylin"),
    known("neokylin", "Kylin", Family::RedHat, "NeoKylin"),
    known("uos", "UOS", Family::Debian, "UOS"),
    known("uniontech*", "UOS", Family::RedHat, "UOS"),
    known("deepin", "UOS", Family::Debian, "Deepin"),
    known("gentoo", "Gentoo", Family::Gentoo, "Gentoo"),
    known("freebsd", "FreeBSD", Family::Bsd, "FreeBSD"),
    known("coreos", "CoreOS", Family::CoreOs, "CoreOS"),
    known("flatcar", "CoreOS", Family::CoreOs, "Flatcar"),
    known("ol", OTHERS, Family::RedHat, "Oracle Linux"),
    known("amzn", OTHERS, Family::RedHat, "Amazon Linux"),
    known("openeuler", OTHERS, Family::RedHat, "openEuler"),
    known("tencentos", OTHERS, Family::RedHat, "TencentOS"),
    known("opencloudos", OTHERS, Family::RedHat, "OpenCloudOS"),
    known("scientific", OTHERS, Family::RedHat, "Scientific Linux"),
    known("openmandriva", OTHERS, Family::RedHat, "OpenMandriva"),
    known("virtuozzo", OTHERS, Family::RedHat, "Virtuozzo"),
    known("azurelinux", OTHERS, Family::RedHat, "Azure Linux"),
    known("mariner", OTHERS, Family::RedHat, "CBL-Mariner"),
    known("photon", OTHERS, Family::RedHat, "Photon"),
    known("redhat-like", OTHERS, Family::RedHat, ""),
    known("arch", OTHERS, Family::Arch, "Arch Linux"),
    known("manjaro", OTHERS, Family::Arch, "Manjaro"),
    known("alpine", OTHERS, Family::Alpine, "Alpine"),
    known("void", OTHERS, Family::OtherLinux, "Void"),
    known("nixos", OTHERS, Family::OtherLinux, "NixOS"),
    known("slackware", OTHERS, Family::OtherLinux, "Slackware"),
    known("kali", OTHERS, Family::Debian, "Kali"),
    known("linuxmint", OTHERS, Family::Debian, "Linux Mint"),
    known("raspbian", OTHERS, Family::Debian, "Raspbian"),
    known("devuan", OTHERS, Family::Debian, "Devuan"),
    known("proxmox", OTHERS, Family::Debian, "Proxmox"),
];

/// What is known of the system that calls itself so.
pub(crate) fn known_by_id(id: &str, variant: Option<&str>) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        let same_id = match known.id.strip_suffix('*') {
            Some(start) => id.starts_with(start),
            None => known.id == id,
        };
        same_id && (known.variant.is_none() || known.variant == variant)
    })
}

/// What is known of `os`.
pub(crate) fn known_of(os: &OsInfo) -> Option<&'static Known> {
    known_by_id(os.id.as_deref()?, os.variant.as_deref())
}

/// The family a name of `ID_LIKE` stands for.
pub(crate) fn family_named(like: &str) -> Option<Family> {
    match like {
        "suse" | "opensuse" => Some(Family::Suse),
        _ => known_by_id(like, None).map(|known| known.family),
    }
}

/// Whether a name of `ID_LIKE` says anything.
pub(crate) fn is_family_name(like: &str) -> bool {
    family_named(like).is_some()
}

/// Platform names of the API that mean the same: reports write `Red Hat`, requests `RedHat`.
pub(crate) fn is_same_platform(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_to_platforms() {
        for (id, variant, platform) in [
            ("alinux", None, "Aliyun"),
            ("centos", None, "CentOS"),
            ("centos", Some("stream"), "CentOS Stream"),
            ("fedora", Some("cloud"), "Fedora"),
            ("fedora", Some("coreos"), "Fedora CoreOS"),
            ("opensuse-leap", None, "OpenSUSE"),
            ("sl-micro", None, "SUSE"),
            ("rhel", None, "RedHat"),
            ("ol", None, "Others Linux"),
            ("uos", None, "UOS"),
        ] {
            assert_eq!(
                known_by_id(id, variant).map(|known| known.platform),
                Some(platform),
                "{id}"
            );
        }
        for unknown in ["foo", "debianoid", ""] {
            assert!(known_by_id(unknown, None).is_none(), "{unknown}");
        }
    }

    #[test]
    fn names_that_say_nothing_are_no_family() {
        assert_eq!(family_named("rhel"), Some(Family::RedHat));
        assert_eq!(family_named("suse"), Some(Family::Suse));
        assert!(!is_family_name("foo"));
    }
}
