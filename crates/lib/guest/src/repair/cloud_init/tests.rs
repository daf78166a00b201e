use kiln_fixtures::phony::Phony;

use super::super::{Options, testing};
use super::CLOUD_INIT;

fn told(mut guest: Phony, plant: impl FnOnce(&mut Phony)) -> String {
    plant(&mut guest);
    testing::told(&guest, &CLOUD_INIT, &Options::default())
}

#[test]
fn every_switch_is_turned_on() {
    let told = told(Phony::debian(), |guest| {
        guest.put("/etc/cloud/cloud-init.disabled", "");
        guest.put("/etc/cloud/ds-identify.cfg", "# site\npolicy: disabled\n");
        guest.mask("cloud-final.service");
        guest.remove("/etc/systemd/system/cloud-init.target.wants/cloud-config.service");
        guest.remove("/usr/lib/systemd/system-generators/cloud-init-generator");
        guest.put("/var/lib/cloud/instances/i-1/user-data.txt", "x");
        guest.link("/var/lib/cloud/instance", "/var/lib/cloud/instances/i-1");
        guest.put("/var/lib/cloud/scripts/per-boot/mine", "x");
    });
    insta::assert_snapshot!(told, @r#"
    # it turns cloud-init off
    rename from etc/cloud/cloud-init.disabled
    rename to etc/cloud/cloud-init.disabled.kiln-orig
    # it turns cloud-init off
    --- a/etc/cloud/ds-identify.cfg
    +++ b/etc/cloud/ds-identify.cfg
    @@ -1,2 +1 @@
     # site
    -policy: disabled
    # cloud-init starts in stages, and this is one
    # link etc/systemd/system/cloud-init.target.wants/cloud-config.service -> /usr/lib/systemd/system/cloud-config.service
    # cloud-init starts in stages, and this is one
    rename from etc/systemd/system/cloud-final.service
    rename to etc/systemd/system/cloud-final.service.kiln-orig
    # nothing else starts the stages of cloud-init
    # link etc/systemd/system/multi-user.target.wants/cloud-init.target -> /usr/lib/systemd/system/cloud-init.target
    # it is the state of the source machine
    # remove link var/lib/cloud/instance -> /var/lib/cloud/instances/i-1
    # it is the state of the source machine
    # remove file var/lib/cloud/instances/i-1/user-data.txt
    # it is the state of the source machine
    # remove directory var/lib/cloud/instances/i-1
    # it is the state of the source machine
    # remove directory var/lib/cloud/instances
    "#);
}

#[test]
fn the_data_source_is_named_last() {
    let told = told(Phony::debian(), |guest| {
        let text = "# to update this file, run dpkg-reconfigure cloud-init\n\
                    datasource_list: [ NoCloud ]\n";
        guest.put("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", text);
        let text = "datasource_list:\n- NoCloud\nlocale: C\n";
        guest.put("/etc/cloud/cloud.cfg.d/99_site.cfg", text);
        guest.put("/etc/cloud/cloud.cfg.d/91_broken.cfg", "a:\n\tb: 1\n");
    });
    insta::assert_snapshot!(told, @r#"
    # it is not valid YAML, so cloud-init leaves it out with a warning
    rename from etc/cloud/cloud.cfg.d/91_broken.cfg
    rename to etc/cloud/cloud.cfg.d/91_broken.cfg.kiln-off
    # the platform's data source is AliYun
    --- a/etc/cloud/cloud.cfg.d/90_dpkg.cfg
    +++ b/etc/cloud/cloud.cfg.d/90_dpkg.cfg
    @@ -1,2 +1,2 @@
     # to update this file, run dpkg-reconfigure cloud-init
    -datasource_list: [ NoCloud ]
    +datasource_list: [ AliYun, None ]
    # the platform's data source is AliYun
    new file mode 100644
    --- /dev/null
    +++ b/etc/cloud/cloud.cfg.d/99-kiln-datasource.cfg
    @@ -0,0 +1,2 @@
    +datasource_list: [ AliYun, None ]
    +datasource: {AliYun: {timeout: 5, max_wait: 60}}
    # the platform's data source is AliYun
    --- a/etc/cloud/cloud.cfg.d/99_site.cfg
    +++ b/etc/cloud/cloud.cfg.d/99_site.cfg
    @@ -1,3 +1 @@
    -datasource_list:
    -- NoCloud
     locale: C
    "#);
}

#[test]
fn what_is_not_there_is_asked_of_the_bundle() {
    let mut guest = Phony::debian();
    guest.purge_cloud_init();
    insta::assert_snapshot!(told(guest, |_| ()), @"refused: Repair.NoBundle: the bundle has no package for debian/12/x86_64: cloud-init");
}

#[test]
fn a_main_file_that_is_broken_is_not_thrown_away() {
    let told = told(Phony::debian(), |guest| {
        guest.put("/etc/cloud/cloud.cfg", "a:\n\tb: 1\n");
    });
    insta::assert_snapshot!(told, @"skipped: nothing_to_do");
}

/// Spellings that are right (N14), and state that does no harm by itself.
#[test]
fn a_sound_cloud_init_is_left_alone() {
    for list in ["datasource_list:\n  - NoCloud\n  - AliYun\n", "datasource_list: [ Ec2 ]\n"] {
        let told = told(Phony::debian(), |guest| {
            guest.put("/etc/cloud/cloud.cfg.d/99.cfg", list);
            guest.put("/var/lib/cloud/instances/i-1/user-data.txt", "x");
        });
        assert_eq!(told, "skipped: already_ok\n");
    }
}
