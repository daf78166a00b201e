//! Hostile configurations: they end soon, and what is wrong is told.

use crate::testing::systems::{DEBIAN_GRUB_CFG, bios_disk, debian};
use crate::{Boot, Declared, inspect};

fn boot(config: impl Into<Vec<u8>>) -> Boot {
    let mut fs = debian();
    fs.file("/boot/grub/grub.cfg", config);
    inspect(bios_disk(fs).build(), Declared::default()).systems.remove(0).boot
}

#[test]
fn ten_thousand_nested_submenus_do_not_overflow() {
    let deep = "submenu 'a' {\n".repeat(10_000) + "menuentry 'x' {\n}\n" + &"}\n".repeat(10_000);
    let boot = boot(deep);
    assert_eq!(boot.facts, []);
    assert!(boot.assumed);
}

#[test]
fn a_configuration_that_includes_itself_ends() {
    for command in ["source", "configfile"] {
        let text = format!("{command} /boot/grub/grub.cfg\n{command} /boot/grub/grub.cfg\n");
        assert!(boot(text).assumed);
    }
}

#[test]
fn values_made_of_themselves_stay_bounded() {
    let doubling = "set a=\"x$a$a\"\n".repeat(5_000);
    assert!(boot(doubling).assumed);
    let split = format!("set a=\"{}\"\n{}", "x ".repeat(4_000), "set b=$a$a$a$a\n".repeat(500));
    assert!(boot(split).assumed);
    assert!(boot("if ".repeat(100_000)).assumed);
    assert!(boot("[ ".to_owned() + &"! ".repeat(50_000) + "]").assumed);
}

#[test]
fn commands_act_as_in_grub() {
    for (text, cmdline) in [
        ("set a=1\nif [ $a = 1 ]; then set b=x; else set b=y; fi", "x"),
        (
            "if [ -f /none ]; then set b=1\nelif [ -s /boot/grub/grub.cfg ]; then set b=2\nelse\nset b=3\nfi",
            "2",
        ),
        ("if ! false; then set b=x; fi", "x"),
        ("b='a b'\nset c=\"$b c\"\nb=$c", "a"),
        ("for i in 1 2; do set b=$i; done\nset b=end", "end"),
        ("function f {\nset b=never\n}\nf\nset c=$b", ""),
        ("if [ x$feature_timeout_style = xy -a $grub_platform = pc ]; then b=x; fi", "x"),
        ("set b=${grub_platform}\\\nx", "pcx"),
    ] {
        let menu = format!("{text}\nmenuentry 'a' {{\nlinux /boot/vmlinuz-6.1.0-40-amd64 $b\n}}\n");
        let boot = boot(menu);
        assert_eq!(boot.facts, [], "{text}");
        assert_eq!(boot.default_entry().unwrap().cmdline, cmdline, "{text}");
    }
}

#[test]
fn the_default_is_found_by_number_title_and_id() {
    let menu = "menuentry 'a' --id one {\nlinux /k 1\n}\nsubmenu 'more' --id sub {\n\
                menuentry 'b' --id two {\nlinux /k 2\n}\nmenuentry 'c' --id three {\nlinux /k 3\n}\n}\n\
                menuentry 'd' {\nlinux /k 4\n}\n";
    for (default, cmdline) in [
        ("", "1"),
        ("0", "1"),
        ("2", "4"),
        ("1>1", "3"),
        ("sub>three", "3"),
        ("more>b", "2"),
        ("1", "2"),
        ("d", "4"),
        ("one", "1"),
    ] {
        let boot = boot(format!("set default='{default}'\n{menu}"));
        assert_eq!(boot.default_entry().unwrap().cmdline, cmdline, "{default}");
        assert_eq!(boot.facts, [], "{default}");
    }
}

/// A few thousand spoiled copies: no panic, and soon done.
#[test]
fn spoiled_configurations_never_panic() {
    let sound = DEBIAN_GRUB_CFG.as_bytes();
    let mut random = crate::testing::Random(7);
    for _ in 0..1500 {
        let spoiled = random.spoil(sound);
        let _boot = boot(spoiled);
    }
}
