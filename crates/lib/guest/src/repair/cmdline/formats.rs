//! The other files that hold command lines: entries of the Boot Loader Specification, GRUB legacy,
//! SYSLINUX, files of shell assignments, plain files.

use super::ArgEdit;
use super::grub_text::is_linux;
use super::words::{self, Adding, Splice, Word, bare, plain, spliced, splices};

/// The lines of `text` without their ends, each with where it starts.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line.trim_end_matches(['\n', '\r'])))
    })
}

/// The key of a line, and where its value starts; a value may be empty.
fn key_of(line: &str) -> (&str, usize) {
    let indent = line.len() - line.trim_start().len();
    let rest = line.trim_start();
    let key = rest.split([' ', '\t', '=']).next().unwrap_or(rest);
    let after = rest.get(key.len()..).unwrap_or_default();
    let blanks = after.len() - after.trim_start_matches([' ', '\t', '=']).len();
    (key, indent + key.len() + blanks)
}

/// An entry of the Boot Loader Specification: all its `options` lines are one command line.
pub(super) fn bls(text: &str, may_add: bool, edits: &[ArgEdit]) -> String {
    let mut words: Vec<Word> = Vec::new();
    let mut end = None;
    for (start, line) in lines(text) {
        let (key, value) = key_of(line);
        if key == "options" {
            words.extend(plain(text, start + value..start + line.len(), true));
            end = Some(start + line.trim_end().len());
        }
    }
    let adding = match end {
        Some(end) if may_add => Adding::After(end),
        _ => Adding::No,
    };
    let changed = spliced(text, splices(text, &words, adding, bare, edits));
    let added = words::edited("", edits);
    if end.is_some() || !may_add || added.is_empty() {
        return changed;
    }
    let gap = if changed.is_empty() || changed.ends_with('\n') { "" } else { "\n" };
    format!("{changed}{gap}options {added}\n")
}

/// `grub.conf` and `menu.lst`: `kernel` lines, and `# kopt=`, from which Debian's `update-grub` of
/// that time wrote them.
pub(super) fn legacy(text: &str, only: Option<u32>, edits: &[ArgEdit]) -> String {
    let mut changes: Vec<Splice> = Vec::new();
    for (number, (start, line)) in (1u32..).zip(lines(text)) {
        let end = start + line.len();
        if let Some(at) = ["# kopt=", "# kopt_2_6="]
            .iter()
            .find_map(|key| line.starts_with(key).then_some(start + key.len()))
        {
            let words = plain(text, at..end, true);
            changes.extend(splices(text, &words, Adding::At(at), bare, edits));
            continue;
        }
        let (key, value) = key_of(line);
        let is_module = matches!(key, "module" | "modulenounzip");
        if (key != "kernel" && !is_module) || only.is_some_and(|only| only != number) {
            continue;
        }
        let words = plain(text, start + value..end, false);
        let Some(path) = words.iter().position(|word| !word.text.starts_with("--")) else {
            continue;
        };
        let Some((path, arguments)) = words.get(path..).and_then(<[Word]>::split_first) else {
            continue;
        };
        if is_module && !path.text.contains("vmlinu") {
            continue;
        }
        let adding = match is_linux(&path.text) {
            true => Adding::After(path.range.end),
            false => Adding::No,
        };
        changes.extend(splices(text, arguments, adding, bare, edits));
    }
    spliced(text, changes)
}

/// `extlinux.conf`: the `append` lines; with `only`, that of the label which line `only` is in, or
/// the one for all labels where that has none.
pub(super) fn extlinux(text: &str, only: Option<u32>, edits: &[ArgEdit]) -> String {
    let mut found: Vec<(u32, usize, usize, usize)> = Vec::new();
    let (mut block, mut wanted) = (0u32, None);
    for (number, (start, line)) in (1u32..).zip(lines(text)) {
        let (key, value) = key_of(line);
        block = block.saturating_add(u32::from(key.eq_ignore_ascii_case("label")));
        if only == Some(number) {
            wanted = Some(block);
        }
        if key.eq_ignore_ascii_case("append") {
            found.push((block, start + value, start + line.len(), start + line.trim_end().len()));
        }
    }
    let is_its_own = |wanted: u32| found.iter().any(|(block, ..)| *block == wanted);
    let wanted = wanted.map(|wanted| if is_its_own(wanted) { wanted } else { 0 });
    let mut changes: Vec<Splice> = Vec::new();
    for (block, from, to, end) in found {
        let words = plain(text, from..to, true);
        // `append -` means none at all.
        let is_none = matches!(&words[..], [only] if only.text == "-");
        if wanted.is_none_or(|wanted| wanted == block) && !is_none {
            changes.extend(splices(text, &words, Adding::After(end), bare, edits));
        }
    }
    spliced(text, changes)
}

/// A file that is nothing but a command line. Line ends are blanks to the kernel.
pub(super) fn whole(text: &str, edits: &[ArgEdit]) -> String {
    let words = plain(text, 0..text.len(), true);
    spliced(text, splices(text, &words, Adding::At(0), bare, edits))
}

/// The value of one shell assignment: where it is, with its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned<'t> {
    pub(super) name: &'t str,
    /// The value without the quotes around it.
    start: usize,
    end: usize,
    quote: Option<char>,
}

/// The assignments of a file the shell reads. What is not one quoted or bare word (`a="b"c`,
/// `a=$(cmd)`) is left out: nobody knows what it comes to.
pub(super) fn assigned(text: &str) -> Vec<Assigned<'_>> {
    let mut found = Vec::new();
    for (start, line) in lines(text) {
        let indent = line.len() - line.trim_start().len();
        let body = line.trim_start();
        let export = if body.starts_with("export ") { "export ".len() } else { 0 };
        let body = body.get(export..).unwrap_or_default();
        let Some((name, value)) = body.split_once('=') else { continue };
        let bare_name = name.trim_end_matches('+');
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if bare_name.is_empty() || !bare_name.chars().all(is_part) {
            continue;
        }
        let at = start + indent + export + name.len() + 1;
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (at, length) = match quote {
            Some(open) => {
                let inner = value.get(1..).unwrap_or_default();
                let Some(length) = closing(inner, open) else { continue };
                let after = inner.get(length + 1..).unwrap_or_default();
                if !(after.is_empty() || after.starts_with([' ', '\t', ';', '#'])) {
                    continue;
                }
                (at + 1, length)
            }
            None => {
                let length = value.find([' ', '\t', ';', '#']).unwrap_or(value.len());
                let word = value.get(..length).unwrap_or_default();
                if word.contains(['"', '\'', '`', '\\', '(']) {
                    continue;
                }
                (at, length)
            }
        };
        found.push(Assigned { name: bare_name, start: at, end: at + length, quote });
    }
    found
}

/// Where a quoted text ends.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == quote && !is_escaped;
        is_escaped = quote == '"' && c == '\\' && !is_escaped;
        ends.then_some(at)
    })
}

impl Assigned<'_> {
    /// The words of the value.
    pub(super) fn words(&self, text: &str) -> Vec<Word> {
        // Quotes inside are escaped in double quotes, and part of the word in single ones.
        plain(text, self.start..self.end, true)
    }

    /// The changes that make the value what `edits` want.
    pub(super) fn splices(&self, text: &str, may_add: bool, edits: &[ArgEdit]) -> Vec<Splice> {
        let words = self.words(text);
        let adding = if may_add { Adding::At(self.start) } else { Adding::No };
        let changes = splices(text, &words, adding, bare, edits);
        if self.quote.is_some() || changes.is_empty() {
            return changes;
        }
        let old = text.get(self.start..self.end).unwrap_or_default();
        let new = words::edited(old, edits);
        let new = if may_add { new } else { spliced_value(old, edits) };
        vec![(
            self.start..self.end,
            if new.contains([' ', '\t']) { format!("\"{new}\"") } else { new },
        )]
    }
}

fn spliced_value(old: &str, edits: &[ArgEdit]) -> String {
    let words = plain(old, 0..old.len(), true);
    spliced(old, splices(old, &words, Adding::No, bare, edits))
}

/// `text` with the values of the assignments of `names` changed. What is missing is added to the
/// assignment `add_to`, counted among all of the file.
pub(super) fn shell(
    text: &str,
    names: &[&str],
    add_to: Option<usize>,
    edits: &[ArgEdit],
) -> String {
    let mut changes: Vec<Splice> = Vec::new();
    for (index, value) in assigned(text).iter().enumerate() {
        if names.contains(&value.name) {
            changes.extend(value.splices(text, add_to == Some(index), edits));
        }
    }
    spliced(text, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits() -> Vec<ArgEdit> {
        vec![
            ArgEdit::replace("root=/dev/sda1", "root=UUID=1"),
            ArgEdit::remove("enforcing"),
            ArgEdit::set("a", "1"),
        ]
    }

    #[track_caller]
    fn same(edit: impl Fn(&str) -> String, before: &str, after: &str) {
        let found = edit(before);
        assert_eq!(found, after, "{before}");
        assert_eq!(edit(&found), after, "a second time: {before}");
    }

    #[test]
    fn options_lines_are_one_command_line() {
        let all = |text: &str| bls(text, true, &edits());
        same(
            all,
            "title x\noptions root=/dev/sda1 ro\noptions enforcing=1 quiet\ninitrd /i\n",
            "title x\noptions root=UUID=1 ro\noptions quiet a=1\ninitrd /i\n",
        );
        same(all, "options  enforcing=1\n", "options   a=1\n");
        same(all, "title x\nlinux /k", "title x\nlinux /k\noptions a=1\n");
        same(all, "options root=/dev/sda1\r\n", "options root=UUID=1 a=1\r\n");
        let shared = |text: &str| bls(text, false, &edits());
        same(shared, "options $kernelopts\n", "options $kernelopts\n");
    }

    #[test]
    fn grub_legacy_keeps_its_layout() {
        same(
            |text| legacy(text, None, &edits()),
            "# kopt=root=/dev/sda1 ro\ndefault=0\ntitle x\n\troot (hd0,0)\n\tkernel --no-mem-option /vmlinuz ro root=/dev/sda1  rhgb\n\tinitrd /i\n",
            "# kopt=root=UUID=1 ro a=1\ndefault=0\ntitle x\n\troot (hd0,0)\n\tkernel --no-mem-option /vmlinuz ro root=UUID=1  rhgb a=1\n\tinitrd /i\n",
        );
        same(
            |text| legacy(text, None, &edits()),
            "kernel /xen.gz com1=1\nmodule /vmlinuz-2.6.18xen root=/dev/sda1\nmodule /initrd\n",
            "kernel /xen.gz com1=1\nmodule /vmlinuz-2.6.18xen root=UUID=1 a=1\nmodule /initrd\n",
        );
        let two = "kernel /a root=/dev/sda1\nkernel /b root=/dev/sda1\n";
        same(
            |text| legacy(text, Some(1), &edits()),
            two,
            "kernel /a root=UUID=1 a=1\nkernel /b root=/dev/sda1\n",
        );
    }

    #[test]
    fn syslinux_append_lines_are_changed() {
        let text = "DEFAULT a\nAPPEND quiet\nLABEL a\n  LINUX /k\n  APPEND root=/dev/sda1 ro\nLABEL b\n  LINUX /l\n";
        same(
            |text| extlinux(text, None, &edits()),
            text,
            "DEFAULT a\nAPPEND quiet a=1\nLABEL a\n  LINUX /k\n  APPEND root=UUID=1 ro a=1\nLABEL b\n  LINUX /l\n",
        );
        same(
            |text| extlinux(text, Some(4), &edits()),
            text,
            "DEFAULT a\nAPPEND quiet\nLABEL a\n  LINUX /k\n  APPEND root=UUID=1 ro a=1\nLABEL b\n  LINUX /l\n",
        );
        same(
            |text| extlinux(text, Some(7), &edits()),
            text,
            &text.replace("APPEND quiet", "APPEND quiet a=1"),
        );
    }

    #[test]
    fn shell_values_keep_their_quotes() {
        let names = ["X", "Y"];
        for (before, after) in [
            ("X=\"root=/dev/sda1 ro\" # n", "X=\"root=UUID=1 ro a=1\" # n"),
            ("X='enforcing=1 b'", "X='b a=1'"),
            ("X=\"\"", "X=\"a=1\""),
            ("X=", "X=a=1"),
            ("X=quiet", "X=\"quiet a=1\""),
            ("export X=\"a=2\"", "export X=\"a=1\""),
            ("X=\"b=\\\"c d\\\"\"", "X=\"b=\\\"c d\\\" a=1\""),
            ("#X=\"root=/dev/sda1\"", "#X=\"root=/dev/sda1\""),
            ("X=$(cat /proc/cmdline)", "X=$(cat /proc/cmdline)"),
            ("Z=root=/dev/sda1", "Z=root=/dev/sda1"),
        ] {
            same(|text| shell(text, &names, Some(0), &edits()), before, after);
        }
        same(
            |text| shell(text, &names, Some(1), &edits()),
            "X=\"root=/dev/sda1\"\nY='b'\n",
            "X=\"root=UUID=1\"\nY='b a=1'\n",
        );
        same(|text| shell(text, &names, None, &edits()), "X=root=/dev/sda1", "X=root=UUID=1");
    }

    #[test]
    fn a_whole_file_is_a_command_line() {
        same(|text| whole(text, &edits()), "root=/dev/sda1 ro\n", "root=UUID=1 ro a=1\n");
        same(|text| whole(text, &edits()), "", "a=1");
    }
}
