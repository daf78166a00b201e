//! What many actions check alike: regions, names, tags, words, and how they say no.
//!
//! Codes and statuses differ between actions for the same fault (an unknown region is 400 for an
//! import and 404 for most others), so the action passes what differs and the rule stands here once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kiln_ecs::{error::ApiError, types::Tag};
use kiln_model::{Architecture, BootMode, ImdsSupport, LicenseType, OsType, Support};

/// Most tags of one request, and of one resource.
pub(crate) const MAX_TAGS: usize = 20;
/// Most identifiers in a list with commas.
pub(crate) const MAX_IDS: usize = 100;

/// Distributions, in the words of requests. `Red Hat` is taken for `RedHat` too.
const LINUX: [&str; 20] = [
    "Aliyun",
    "Anolis",
    "CentOS",
    "Ubuntu",
    "CoreOS",
    "SUSE",
    "Debian",
    "OpenSUSE",
    "FreeBSD",
    "RedHat",
    "Kylin",
    "UOS",
    "Fedora",
    "Fedora CoreOS",
    "CentOS Stream",
    "AlmaLinux",
    "Rocky Linux",
    "Gentoo",
    "Customized Linux",
    "Others Linux",
];
const WINDOWS: [&str; 7] = [
    "Windows Server 2022",
    "Windows Server 2019",
    "Windows Server 2016",
    "Windows Server 2012",
    "Windows Server 2008",
    "Windows Server 2003",
    "Other Windows",
];

/// A parameter's text, unless it is absent or empty: some clients send every field they know.
pub(crate) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// A parameter that the action needs.
///
/// # Errors
///
/// 400 `MissingParameter`.
pub(crate) fn needed<'a>(name: &str, text: Option<&'a String>) -> Result<&'a str, ApiError> {
    given(text).ok_or_else(|| ApiError::missing_parameter(name))
}

/// `InvalidRegionId.NotFound`.
pub(crate) fn unknown_region(status: u16) -> ApiError {
    ApiError::new(status, "InvalidRegionId.NotFound", "The specified RegionId does not exist.")
}

/// 404 `InvalidImageId.NotFound`: also for what others own, so that nobody learns that it exists.
pub(crate) fn unknown_image() -> ApiError {
    ApiError::new(404, "InvalidImageId.NotFound", "The specified ImageId does not exist.")
}

/// The success of a dry run, which the API tells as an error: 400 `DryRunOperation`.
pub(crate) fn dry_run() -> ApiError {
    let message = "Request validation has been passed with DryRun flag set.";
    ApiError::new(400, "DryRunOperation", message)
}

/// `OwnerId` and `OwnerAccount`, which have no effect, but not together.
///
/// # Errors
///
/// 400 `InvalidOwner`.
pub(crate) fn owner(pairs: &[(String, String)]) -> Result<(), ApiError> {
    let has = |name: &str| pairs.iter().any(|(key, value)| key == name && !value.is_empty());
    if has("OwnerId") && has("OwnerAccount") {
        let message = "OwnerId and OwnerAccount can't be used at one API access.";
        return Err(ApiError::new(400, "InvalidOwner", message));
    }
    Ok(())
}

/// A client token: up to 64 ASCII characters. Empty is none.
///
/// # Errors
///
/// 400 `InvalidClientToken.Malformed`.
pub(crate) fn client_token(text: Option<&String>) -> Result<Option<&str>, ApiError> {
    let Some(token) = given(text) else { return Ok(None) };
    if token.len() <= 64 && token.is_ascii() {
        return Ok(Some(token));
    }
    let message = "The specified parameter clientToken is not valid.";
    Err(ApiError::new(400, "InvalidClientToken.Malformed", message))
}

/// Identifiers in a list with commas, without empty ones. `name` is the parameter's.
///
/// # Errors
///
/// 400 `InvalidParameter` where there are more than [`MAX_IDS`].
pub(crate) fn ids(name: &str, text: Option<&String>) -> Result<Vec<String>, ApiError> {
    let ids: Vec<String> = given(text)
        .into_iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .take(MAX_IDS + 1)
        .map(str::to_owned)
        .collect();
    if ids.len() > MAX_IDS {
        return Err(ApiError::invalid_parameter(name, "It lists more than 100 identifiers."));
    }
    Ok(ids)
}

/// How an action says that one key comes twice among the tags of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twice {
    /// 400 `Duplicate.TagKey`.
    Exactly,
    /// 403 `TagKey.Duplication`; upper and lower case are one.
    AnyCase,
}

/// The tags of a request that makes or marks a resource. At most [`MAX_TAGS`], which the caller
/// has an error of its own for.
///
/// # Errors
///
/// 400 `InvalidTagKey.Malformed` and `InvalidTagValue.Malformed`; what `twice` says.
pub(crate) fn tags(tags: &[Tag], twice: Twice) -> Result<BTreeMap<String, String>, ApiError> {
    let mut seen = BTreeSet::new();
    let mut found = BTreeMap::new();
    for (tag, n) in tags.iter().zip(1_u32..) {
        let malformed = |field: &str, why: String| {
            let message = format!("The specified Tag.{n}.{field} is not valid: it {why}.");
            ApiError::new(400, format!("InvalidTag{field}.Malformed"), message)
        };
        let key = given(tag.key.as_ref()).ok_or_else(|| malformed("Key", "is empty".to_owned()))?;
        kiln_model::tag_key(key).map_err(|fault| malformed("Key", fault.to_string()))?;
        let value = tag.value.as_deref().unwrap_or_default();
        kiln_model::tag_value(value).map_err(|fault| malformed("Value", fault.to_string()))?;
        let (seen_as, error) = match twice {
            Twice::Exactly => {
                (key.to_owned(), (400, "Duplicate.TagKey", "The Tag.N.Key contain duplicate key."))
            }
            Twice::AnyCase => {
                let message = "The TagKey has duplication with others, case-insensitive.";
                (key.to_lowercase(), (403, "TagKey.Duplication", message))
            }
        };
        if !seen.insert(seen_as) {
            return Err(ApiError::new(error.0, error.1, error.2));
        }
        found.insert(key.to_owned(), value.to_owned());
    }
    Ok(found)
}

/// 400 `InvalidTagCount`.
///
/// # Errors
///
/// Where there are more than [`MAX_TAGS`].
pub(crate) fn tag_count(tags: &[Tag]) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        let message = "The specified tags are beyond the permitted range.";
        return Err(ApiError::new(400, "InvalidTagCount", message));
    }
    Ok(())
}

/// The processor of this word.
pub(crate) fn architecture(word: &str) -> Option<Architecture> {
    match word {
        "i386" => Some(Architecture::I386),
        "x86_64" => Some(Architecture::X86_64),
        "arm64" => Some(Architecture::Arm64),
        _ => None,
    }
}

/// The kind of operating system of this word.
pub(crate) fn os_type(word: &str) -> Option<OsType> {
    match word {
        "linux" => Some(OsType::Linux),
        "windows" => Some(OsType::Windows),
        _ => None,
    }
}

/// The firmware of this word.
pub(crate) fn boot_mode(word: &str) -> Option<BootMode> {
    match word {
        "BIOS" => Some(BootMode::Bios),
        "UEFI" => Some(BootMode::Uefi),
        "UEFI-Preferred" => Some(BootMode::UefiPreferred),
        _ => None,
    }
}

/// The licence of this word.
pub(crate) fn license_type(word: &str) -> Option<LicenseType> {
    match word {
        "Auto" => Some(LicenseType::Auto),
        "Aliyun" => Some(LicenseType::Aliyun),
        "BYOL" => Some(LicenseType::Byol),
        _ => None,
    }
}

/// `supported` or `unsupported`.
pub(crate) fn support(word: &str) -> Option<Support> {
    match word {
        "supported" => Some(Support::Supported),
        "unsupported" => Some(Support::Unsupported),
        _ => None,
    }
}

/// The metadata service of this word.
pub(crate) fn imds(word: &str) -> Option<ImdsSupport> {
    match word {
        "v1" => Some(ImdsSupport::V1),
        "v2" => Some(ImdsSupport::V2),
        _ => None,
    }
}

/// The distribution of this word as kiln keeps it, and the kind of system that it is.
pub(crate) fn platform(word: &str) -> Option<(&'static str, OsType)> {
    let word = if word == "Red Hat" { "RedHat" } else { word };
    let find = |words: &'static [&'static str], os_type| {
        words.iter().find(|known| **known == word).map(|known| (*known, os_type))
    };
    find(&LINUX, OsType::Linux).or_else(|| find(&WINDOWS, OsType::Windows))
}

/// `yyyy-MM-ddTHH:mm:ssZ`.
pub(crate) fn to_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `yyyy-MM-ddTHH:mmZ`.
pub(crate) fn to_minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

/// A time of exactly the form `yyyy-MM-ddTHH:mm:ssZ`.
pub(crate) fn second(text: &str) -> Option<Timestamp> {
    let time = text.parse().ok()?;
    (to_second(time) == text).then_some(time)
}

/// A time of exactly the form `yyyy-MM-ddTHH:mmZ`.
pub(crate) fn minute(text: &str) -> Option<Timestamp> {
    let time = format!("{}:00Z", text.strip_suffix('Z')?).parse().ok()?;
    (to_minute(time) == text).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) }
    }

    #[test]
    fn each_fault_of_a_tag_has_its_code() {
        let sound = [tag("a", "1"), tag("A", "")];
        assert_eq!(tags(&sound, Twice::Exactly).unwrap().len(), 2);
        let long = "k".repeat(129);
        for (given, twice, status, code) in [
            (vec![tag("", "1")], Twice::Exactly, 400, "InvalidTagKey.Malformed"),
            (vec![Tag::default()], Twice::Exactly, 400, "InvalidTagKey.Malformed"),
            (vec![tag("acs:x", "1")], Twice::Exactly, 400, "InvalidTagKey.Malformed"),
            (vec![tag("aliyunx", "1")], Twice::Exactly, 400, "InvalidTagKey.Malformed"),
            (vec![tag("a http://", "1")], Twice::Exactly, 400, "InvalidTagKey.Malformed"),
            (vec![tag(&long, "1")], Twice::Exactly, 400, "InvalidTagKey.Malformed"),
            (vec![tag("a", "acs:")], Twice::Exactly, 400, "InvalidTagValue.Malformed"),
            (vec![tag("a", "https://x")], Twice::Exactly, 400, "InvalidTagValue.Malformed"),
            (vec![tag("a", &long)], Twice::Exactly, 400, "InvalidTagValue.Malformed"),
            (vec![tag("a", "1"), tag("a", "2")], Twice::Exactly, 400, "Duplicate.TagKey"),
            (vec![tag("a", "1"), tag("A", "2")], Twice::AnyCase, 403, "TagKey.Duplication"),
        ] {
            let error = tags(&given, twice).unwrap_err();
            assert_eq!((error.status, error.code.as_str()), (status, code), "{given:?}");
        }
        let many: Vec<Tag> = (0..21).map(|n| tag(&format!("k{n}"), "")).collect();
        assert_eq!(tag_count(&many).unwrap_err().code, "InvalidTagCount");
        assert!(tag_count(&many[1..]).is_ok());
    }

    #[test]
    fn tokens_lists_and_owners_have_their_limits() {
        let token = |text: String| {
            client_token(Some(&text)).map(|token| token.map(str::to_owned)).map_err(|e| e.code)
        };
        assert_eq!(token("t".repeat(64)).unwrap().unwrap().len(), 64);
        assert_eq!(token(String::new()), Ok(None));
        for bad in ["t".repeat(65), "tökén".to_owned()] {
            assert_eq!(token(bad), Err("InvalidClientToken.Malformed".to_owned()));
        }
        assert_eq!(ids("ImageId", Some(&"m-1, ,m-2,".to_owned())).unwrap(), ["m-1", "m-2"]);
        assert_eq!(ids("ImageId", Some(&"m,".repeat(100))).unwrap().len(), 100);
        assert_eq!(ids("ImageId", Some(&"m,".repeat(101))).unwrap_err().code, "InvalidParameter");

        let pair = |name: &str| (name.to_owned(), "1".to_owned());
        assert!(owner(&[pair("OwnerId"), pair("ResourceOwnerAccount")]).is_ok());
        let both = owner(&[pair("OwnerId"), pair("OwnerAccount")]).unwrap_err();
        assert_eq!((both.status, both.code.as_str()), (400, "InvalidOwner"));
    }

    #[test]
    fn times_are_read_in_one_form_only() {
        let time: Timestamp = "2025-07-01T08:09:10Z".parse().unwrap();
        assert_eq!(to_second(time), "2025-07-01T08:09:10Z");
        assert_eq!(to_minute(time), "2025-07-01T08:09Z");
        assert_eq!(second("2025-07-01T08:09:10Z"), Some(time));
        assert_eq!(minute("2025-07-01T08:09Z"), "2025-07-01T08:09:00Z".parse().ok());
        for other in ["2025-07-01T08:09Z", "2025-07-01 08:09:10Z", "2025-07-01T08:09:10.5Z", "x"] {
            assert_eq!(second(other), None, "{other}");
        }
        for other in ["2025-07-01T08:09:10Z", "2025-13-01T08:09Z", "2025-07-01T08:09+01:00", "Z"] {
            assert_eq!(minute(other), None, "{other}");
        }
    }

    #[test]
    fn platforms_are_told_with_their_kind() {
        assert_eq!(platform("Red Hat"), Some(("RedHat", OsType::Linux)));
        assert_eq!(platform("RedHat"), Some(("RedHat", OsType::Linux)));
        assert_eq!(platform("Other Windows"), Some(("Other Windows", OsType::Windows)));
        assert_eq!(platform("ubuntu"), None, "words are compared by case");
    }
}
