//! What surrounds the work: help, completions, man pages.

use crate::run::{kiln, kiln_snapshot, run, stderr, stdout};

#[test]
fn no_arguments_show_the_help() {
    let folder = tempfile::tempdir().unwrap();
    kiln_snapshot!(folder.path(), "", @r#"
    status: 2
    ----- stdout -----
    ----- stderr -----
    Check and repair disk images before they go to a cloud, without root

    Usage: kiln <COMMAND>

    Commands:
      check        Check whether images will boot and behave as cloud instances
      inspect      Show what is on an image: partitions, filesystems, systems, kernels, boot entries,
                   packages
      repair       Mend what `kiln check` finds in a Linux image, without running anything of it
      boot         Boot an image in QEMU and tell how far it comes
      convert      Write the disk of an image as a new image, in another format or packed anew
      serve        Serve the ECS image API, the OOS API and the OSS API
      gc           Delete stored disks that no image has any more
      images       Manage the images of an endpoint of the ECS image API
      template     Validate, describe and draw OOS templates
      run          Run an OOS template in this process
      executions   List, look into and decide about the executions that `kiln run` started
      completions  Print a shell completion script
      man          Write the man pages into a folder
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Start with:
      kiln check disk.qcow2      will it boot as a cloud instance?
      kiln inspect disk.qcow2    what is on it?
      kiln repair disk.qcow2     what would make it boot? (-o OUT makes it)
      kiln boot disk.qcow2       does it start?
      kiln convert IN OUT        the same disk in another format
      kiln serve                 the image service, for SDKs and tools
      kiln run TEMPLATE          run an OOS template; --sim rehearses it
    "#);
}

#[test]
fn help_names_the_status_and_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "check --help");
    let help = stdout(&output);
    assert_eq!(output.status.code(), Some(0));
    for part in
        ["Exit status: 0 no risk", "Examples:\n  kiln check", "--fail-on", "[default: high]"]
    {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
    let boot = run(folder.path(), "boot --help");
    assert!(stdout(&boot).contains("Exit status: 0 it reached the goal"));
    assert!(stdout(&boot).contains("Examples:\n  kiln boot"));
    assert!(stdout(&run(folder.path(), "inspect --help")).contains("Examples:\n  kiln inspect"));
    assert!(stdout(&run(folder.path(), "--version")).starts_with("kiln 0."));
}

#[test]
fn a_misspelt_command_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "chek disk.raw");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("a similar subcommand exists: 'check'"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn completions_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(folder.path(), &format!("completions {shell}"));
        assert_eq!(output.status.code(), Some(0), "{shell}");
        for word in ["inspect", "fail-on", "packages", "firmware"] {
            assert!(stdout(&output).contains(word), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn man_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "man --out man/man1");
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), ""));
    for (name, word) in [
        ("kiln", "SUBCOMMANDS"),
        ("kiln-check", "fail"),
        ("kiln-inspect", "packages"),
        ("kiln-boot", "nvme"),
    ] {
        let path = folder.path().join(format!("man/man1/{name}.1"));
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page.contains(".TH ") && page.contains(word), "{name}");
    }
}

#[test]
fn man_pages_that_cannot_be_written_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let output = kiln(folder.path()).args(["man", "--out", "taken"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: taken: "), "{}", stderr(&output));
}

/// The table in README and `--help` have every item, in the words of the item.
#[test]
fn every_item_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    let readme = include_str!("../../../../../README.md");
    let output = run(folder.path(), "check --help");
    for check in kiln_guest::CHECKS {
        let row = format!("| `{}` | {} |", check.name, check.summary);
        assert!(readme.contains(&row), "README lacks {row}");
        assert!(stdout(&output).contains(&format!("  {} ", check.name)), "{}", check.name);
    }
    for check in kiln_guest::EXTRA_CHECKS {
        assert!(readme.contains(&format!("`{}`", check.name)), "README lacks {}", check.name);
        assert!(stdout(&output).contains(&format!("  {} ", check.name)), "{}", check.name);
    }
}
