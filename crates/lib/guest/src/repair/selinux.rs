//! `selinux`: SELinux is off, or permissive where the caller wants that.
//!
//! What the platform writes into an image offline has no label, and an enforcing policy keeps
//! services from it. Labels that are there stay: whoever switches SELinux on again needs them.

use super::cmdline::{ArgEdit, Entries, edit_args};
use super::{Draft, Repair, Stop};
use crate::check::selinux::CONFIG;
use crate::syntax::assignments::{self, value_of};

pub(super) static SELINUX: Repair = Repair {
    name: "selinux",
    items: &["Selinux"],
    summary: "switch SELinux off, or make it permissive",
    plan,
};

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    let mode = if draft.options().selinux_permissive { "permissive" } else { "disabled" };
    let reason = format!("files that are written offline have no SELinux label: {mode}");
    draft.rewrite(CONFIG, reason.as_str(), |text| with_mode(text, mode))?;
    // An argument wins over the file.
    let edits = [ArgEdit::remove_value("enforcing", "1")];
    edit_args(draft, Entries::All, &edits, "enforcing=1 overrides the mode of the file")?;
    Ok(())
}

/// `text` with the last `SELINUX=`, the one that counts, saying `mode` where it says enforcing.
fn with_mode(text: &str, mode: &str) -> String {
    let found = assignments::parse(text);
    let Some(last) = value_of(&found, "SELINUX") else { return text.to_owned() };
    if !last.value.trim().eq_ignore_ascii_case("enforcing") {
        return text.to_owned();
    }
    let number = usize::try_from(last.line).unwrap_or(usize::MAX);
    let line = |(index, line): (usize, &str)| match line.split_once('=') {
        Some((name, value)) if index + 1 == number => {
            let value = value.replacen(last.value.trim(), mode, 1);
            format!("{name}={value}")
        }
        _ => line.to_owned(),
    };
    text.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::with_mode;

    #[test]
    fn the_assignment_that_counts_is_changed() {
        for (before, after) in [
            (
                "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
                "SELINUX=disabled\nSELINUXTYPE=targeted\n",
            ),
            (
                "# SELINUX=enforcing\nSELINUX=enforcing  \n",
                "# SELINUX=enforcing\nSELINUX=disabled  \n",
            ),
            ("SELINUX=enforcing\r\n", "SELINUX=disabled\r\n"),
            (" SELINUX=\"Enforcing\" # on\n", " SELINUX=\"disabled\" # on\n"),
            ("SELINUX=disabled\nSELINUX=enforcing", "SELINUX=disabled\nSELINUX=disabled"),
        ] {
            assert_eq!(with_mode(before, "disabled"), after);
        }
        for untouched in [
            "",
            "SELINUXTYPE=enforcing\n",
            "SELINUX=permissive\n",
            "SELINUX=enforcing\nSELINUX=disabled\n",
        ] {
            assert_eq!(with_mode(untouched, "disabled"), untouched);
        }
    }
}
