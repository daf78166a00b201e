//! The `search` command: by what, for what, and which variable gets the device.

/// By what a volume is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchBy {
    Uuid,
    Label,
    File,
}

/// A `search`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) by: SearchBy,
    pub(super) wanted: String,
    pub(super) variable: String,
}

impl Search {
    /// Of the arguments of `search`. Hints only make it faster.
    pub(super) fn parse(arguments: &[String]) -> Self {
        let mut search =
            Self { by: SearchBy::File, wanted: String::new(), variable: "root".into() };
        let mut positional = Vec::new();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--fs-uuid" | "-u" => search.by = SearchBy::Uuid,
                "--label" | "-l" | "--fs-label" => search.by = SearchBy::Label,
                "--file" | "-f" => search.by = SearchBy::File,
                "--hint" | "--hint-bios" | "--hint-efi" | "--hint-baremetal" | "-h" => {
                    words.next();
                }
                other => match other.strip_prefix("--set=") {
                    Some(variable) => search.variable = variable.to_owned(),
                    None if other.starts_with('-') => {}
                    None => positional.push(other),
                },
            }
        }
        search.wanted = positional.first().copied().unwrap_or_default().to_owned();
        if let Some(variable) = positional.get(1) {
            search.variable = (*variable).to_owned();
        }
        search
    }

    /// Of `search.fs_uuid UUID [VARIABLE [HINT...]]` and its like, as ESP stubs write it.
    pub(super) fn of_alias(by: SearchBy, arguments: &[String]) -> Self {
        Self {
            by,
            wanted: arguments.first().cloned().unwrap_or_default(),
            variable: arguments.get(1).cloned().unwrap_or_else(|| "root".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(text: &str) -> Search {
        let words: Vec<String> = text.split_whitespace().map(String::from).collect();
        Search::parse(&words)
    }

    #[test]
    fn the_forms_that_distributions_write_are_read() {
        for text in [
            "--no-floppy --fs-uuid --set=root 12-34",
            "--no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt2 --hint hd0,gpt2 12-34",
            "--no-floppy --fs-uuid --set 12-34",
            "--fs-uuid 12-34 root",
        ] {
            let Search { by, wanted, variable } = search(text);
            assert_eq!((by, wanted.as_str(), variable.as_str()), (SearchBy::Uuid, "12-34", "root"));
        }
        assert_eq!(search("--file --set=x /a/b").by, SearchBy::File);
        assert_eq!(search("--label --set=boot BOOT").variable, "boot");
    }
}
