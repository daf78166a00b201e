//! Which cloud-init: upstream's numbers, and the two builds the vendor patched.

use kiln_volume::{Result, Tree};

use crate::check::Evidence;

/// Where distributions keep Python packages; `*` stands for one directory.
const PYTHON_HOMES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt"];

/// The version, and the file it was read from.
pub(super) fn find(tree: &Tree) -> Result<Option<(String, Evidence)>> {
    for home in PYTHON_HOMES {
        for entry in tree.list(home)?.into_iter().take(1000) {
            let name = entry.name_lossy();
            if !name.starts_with("python") {
                continue;
            }
            for packages in ["site-packages", "dist-packages"] {
                let path = format!("{home}/{name}/{packages}/cloudinit/version.py");
                let Some(text) = tree.read_text(&path)? else { continue };
                if let Some(version) = in_python(&text) {
                    let evidence = Evidence::file(&path, format!("cloud-init {version}"));
                    return Ok(Some((version, evidence)));
                }
            }
        }
    }
    Ok(None)
}

/// `_PACKAGED_VERSION` where the packager filled it in, else `__VERSION__`, else what the function
/// of old versions returns.
fn in_python(text: &str) -> Option<String> {
    let quoted = |line: &str| {
        let rest = line.split(['"', '\'']).nth(1)?;
        rest.starts_with(|c: char| c.is_ascii_digit()).then(|| rest.to_owned())
    };
    for start in ["_PACKAGED_VERSION", "__VERSION__", "return "] {
        let found =
            text.lines().map(str::trim).filter(|line| line.starts_with(start)).find_map(quoted);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Whether the published requirement refuses `version`: below 0.7.9, with 0.7.6a from a15 on and
/// 19.1 from 19.1.3 on as the vendor's own builds.
pub(super) fn is_too_old(version: &str) -> bool {
    let upstream = version.split(['-', '~', '+']).next().unwrap_or_default();
    if let Some(build) = upstream.strip_prefix("0.7.6a") {
        let digits: String = build.chars().take_while(char::is_ascii_digit).collect();
        return digits.parse::<u32>().unwrap_or(0) < 15;
    }
    let mut numbers = upstream.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or(0)
    });
    let mut next = || numbers.next().unwrap_or(0);
    let version = (next(), next(), next());
    version < (0, 7, 9) || (version.0, version.1) == (19, 1) && version.2 < 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_limits() {
        for (version, expected) in [
            ("0.7.5", true),
            ("0.7.9", false),
            ("0.7.6a14", true),
            ("0.7.6a15", false),
            ("18.5-3", false),
            ("19.1", true),
            ("19.1.1", true),
            ("19.1.3", false),
            ("19.10", false),
            ("22.4.2", false),
        ] {
            assert_eq!(is_too_old(version), expected, "{version}");
        }
    }

    #[test]
    fn placeholders_are_not_versions() {
        let text = "__VERSION__ = \"22.4.2\"\n_PACKAGED_VERSION = \"@@PACKAGED_VERSION@@\"\n";
        assert_eq!(in_python(text).as_deref(), Some("22.4.2"));
        let text = "__VERSION__ = '23.1'\n_PACKAGED_VERSION = '23.1.2-0ubuntu0'\n";
        assert_eq!(in_python(text).as_deref(), Some("23.1.2-0ubuntu0"));
        assert_eq!(
            in_python("def version_string():\n    return \"0.7.5\"\n").as_deref(),
            Some("0.7.5")
        );
        assert_eq!(in_python("x = 1"), None);
    }
}
