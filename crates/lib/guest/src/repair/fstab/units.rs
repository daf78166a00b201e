//! The same changes for a mount unit of systemd, whose keys are the fields of a line.

use super::lines::LineChange;
use crate::syntax::ini;

/// `text` with the change made. `None`: a unit cannot say that, and is switched off by its link.
pub(super) fn changed(text: &str, change: &LineChange) -> Option<String> {
    match change {
        LineChange::Spec(spec) => Some(with(text, "What", spec)),
        LineChange::Type(fs_type) => Some(with(text, "Type", fs_type)),
        LineChange::SetOption { name, value } => {
            let sections = ini::parse(text);
            let options = ini::value(&sections, "Mount", "Options")?;
            let options = options.value.split(',').map(|option| {
                match option.split_once('=').is_some_and(|(have, _)| have == *name) {
                    true => format!("{name}={value}"),
                    false => option.to_owned(),
                }
            });
            Some(with(text, "Options", &options.collect::<Vec<_>>().join(",")))
        }
        LineChange::DropOptions(names) => {
            let sections = ini::parse(text);
            let options = ini::value(&sections, "Mount", "Options")?;
            let is_kept =
                |option: &&str| !names.iter().any(|name| option.split('=').next() == Some(*name));
            let options: Vec<&str> = options.value.split(',').filter(is_kept).collect();
            Some(with(text, "Options", &options.join(",")))
        }
        LineChange::AddOptions(_) | LineChange::BindTo(_) | LineChange::Comment => None,
    }
}

/// `text` with the last `key` of `[Mount]` saying `value`, or one more line behind `What=`.
fn with(text: &str, key: &str, value: &str) -> String {
    let sections = ini::parse(text);
    let found = ini::value(&sections, "Mount", key);
    let place = found.or_else(|| ini::value(&sections, "Mount", "What"));
    let number =
        place.map_or(usize::MAX, |entry| usize::try_from(entry.line).unwrap_or(usize::MAX));
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let new = format!("{key}={value}");
    match (found, number.checked_sub(1).and_then(|index| lines.get_mut(index))) {
        (Some(_), Some(line)) => *line = new,
        (None, Some(_)) => lines.insert(number, new),
        (_, None) => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_for_fields() {
        let unit =
            "[Unit]\nDescription=x\n[Mount]\nWhat=/dev/sdb1\nWhere=/data\nOptions=rw,subvol=a\n";
        let with = |change: LineChange| changed(unit, &change);
        let spec = with(LineChange::Spec("UUID=1".into())).unwrap();
        assert_eq!(spec, unit.replace("/dev/sdb1", "UUID=1"));
        let typed = with(LineChange::Type("xfs".into())).unwrap();
        assert_eq!(typed, unit.replace("/dev/sdb1\n", "/dev/sdb1\nType=xfs\n"));
        let set = with(LineChange::SetOption { name: "subvol", value: "b".into() }).unwrap();
        assert_eq!(set, unit.replace("subvol=a", "subvol=b"));
        let dropped = with(LineChange::DropOptions(&["subvol"])).unwrap();
        assert_eq!(dropped, unit.replace(",subvol=a", ""));
        assert_eq!(with(LineChange::Comment), None);
    }
}
