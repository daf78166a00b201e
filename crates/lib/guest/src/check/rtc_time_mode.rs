//! `RtcTimeMode`: the guest reads the hardware clock as UTC.
//!
//! The platform's virtual clock runs in UTC. A guest that believes it to be local time starts hours
//! off, until NTP mends it; certificates and logs of the start-up carry the wrong time. On arm64
//! there is no other clock to fall back on, so there it is High.

use kiln_volume::{Result, Tree};

use super::{Check, Evidence, Finding, Level, Outcome};
use crate::syntax::assignments::{self, value_of};
use crate::{Family, Guest, Inspection};

pub(super) static RTC_TIME_MODE: Check =
    Check { name: "RtcTimeMode", summary: "the guest reads the hardware clock as UTC", run: check };

/// How the guest reads the clock, and where it says so.
#[derive(Debug)]
struct Clock {
    is_local: bool,
    evidence: Evidence,
}

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let clock = clock(guest)?;
    let mut notes: Vec<Evidence> = time_zone(&guest.tree)?.into_iter().collect();
    notes.extend(rc_local(&guest.tree)?);
    let Some(clock) = clock else {
        notes.push(Evidence::note("nothing says otherwise: UTC"));
        return Ok(Outcome::value("UTC").noting(notes));
    };
    if !clock.is_local {
        notes.insert(0, clock.evidence);
        return Ok(Outcome::value("UTC").noting(notes));
    }
    let is_arm = guest.os.architecture.as_deref() == Some("arm64");
    let level = if is_arm { Level::High } else { Level::Medium };
    let path = clock.evidence.path.as_deref().unwrap_or_default().to_owned();
    let finding = Finding::new(
        "RtcTimeMode.Local",
        level,
        format!(
            "{path} says that the hardware clock runs in local time; the platform's runs in UTC"
        ),
    )
    .suggest(match path.as_str() {
        "/etc/adjtime" => "set line 3 of /etc/adjtime to UTC (timedatectl set-local-rtc 0)".into(),
        other => format!("set the hardware clock to UTC in {other}, and line 3 of /etc/adjtime"),
    })
    .seen(clock.evidence);
    Ok(Outcome::judged(vec![finding], "UTC", "LOCAL").noting(notes))
}

/// The file and the line, counted from 1, that make the guest read the clock as local time.
pub(crate) fn local_clock(guest: &Guest) -> Result<Option<(String, u32)>> {
    let local = clock(guest)?.filter(|clock| clock.is_local);
    Ok(local.and_then(|clock| Some((clock.evidence.path?, clock.evidence.line?))))
}

/// What the files say; `None`: nothing, which is UTC everywhere.
fn clock(guest: &Guest) -> Result<Option<Clock>> {
    if let Some(found) = adjtime(&guest.tree)? {
        return Ok(Some(found));
    }
    for (path, name, is_local) in [
        // RHEL 5 and 6; SUSE up to 11; Debian up to 7; OpenRC.
        ("/etc/sysconfig/clock", "UTC", (|v| is_no(v)) as fn(&str) -> bool),
        ("/etc/sysconfig/clock", "HWCLOCK", |v| v.contains("--localtime") || v == "-l"),
        ("/etc/default/rcS", "UTC", |v| is_no(v)),
        ("/etc/conf.d/hwclock", "clock", |v| v.eq_ignore_ascii_case("local")),
    ] {
        if !is_read(guest, path)? {
            continue;
        }
        let Some(text) = guest.tree.read_text(path)? else { continue };
        let found = assignments::parse(&text);
        if let Some(assignment) = value_of(&found, name) {
            let text = format!("{name}={}", assignment.value);
            let evidence = Evidence::line(path, assignment.line, text);
            return Ok(Some(Clock { is_local: is_local(&assignment.value), evidence }));
        }
    }
    Ok(None)
}

/// Whether anything in that guest still reads `path`: under systemd nothing does, and an upgraded
/// system keeps the old file.
fn is_read(guest: &Guest, path: &str) -> Result<bool> {
    if path == "/etc/conf.d/hwclock" {
        return Ok(matches!(guest.os.family, Family::Alpine | Family::Gentoo)
            || guest.tree.exists("/sbin/openrc")?);
    }
    Ok(!crate::services::has_systemd(&guest.tree)?)
}

fn is_no(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "no" | "false" | "0")
}

fn adjtime(tree: &Tree) -> Result<Option<Clock>> {
    let Some(text) = tree.read_text("/etc/adjtime")? else { return Ok(None) };
    let Some(third) = text.lines().nth(2).map(str::trim).filter(|line| !line.is_empty()) else {
        return Ok(None);
    };
    let evidence = Evidence::line("/etc/adjtime", 3, third);
    Ok(Some(Clock { is_local: third == "LOCAL", evidence }))
}

/// `/etc/localtime`, for the repair that sets a standard time zone.
fn time_zone(tree: &Tree) -> Result<Option<Evidence>> {
    let Some(target) = tree.read_link("/etc/localtime")? else { return Ok(None) };
    let target = String::from_utf8_lossy(&target);
    let zone = target.split_once("zoneinfo/").map_or(target.as_ref(), |(_, zone)| zone);
    Ok(Some(Evidence::file("/etc/localtime", format!("time zone {zone}"))))
}

/// A start script that sets the clock to local time behind the back of the configuration.
fn rc_local(tree: &Tree) -> Result<Option<Evidence>> {
    for path in ["/etc/rc.local", "/etc/rc.d/rc.local"] {
        let Some(text) = tree.read_text(path)? else { continue };
        let found = (1u32..).zip(text.lines()).find(|(_, line)| {
            let line = line.trim();
            !line.starts_with('#') && line.contains("hwclock") && line.contains("--localtime")
        });
        if let Some((line, text)) = found {
            return Ok(Some(Evidence::line(path, line, text.trim())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::sound::{Sound, codes, item};

    #[test]
    fn row_18_adjtime_says_local() {
        let sound = Sound::debian();
        assert_eq!(codes(&item("RtcTimeMode", &sound.build())), []);
        let mut planted = Sound::debian();
        planted.fs.file("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
        let found = item("RtcTimeMode", &planted.build());
        assert_eq!(codes(&found), [("RtcTimeMode.Local", Level::Medium)]);
        assert_eq!(found.value, "LOCAL");
        assert_eq!(
            found.findings[0].message,
            "/etc/adjtime says that the hardware clock runs in local time; the platform's runs in UTC"
        );
        planted.os.architecture = Some("arm64".into());
        let found = item("RtcTimeMode", &planted.build());
        assert_eq!(codes(&found), [("RtcTimeMode.Local", Level::High)]);
    }

    /// N13 and its neighbours.
    #[test]
    fn absent_and_short_files_are_utc() {
        for text in [None, Some(""), Some("0.0 0 0.0\n0\n"), Some("0.0 0 0.0\n0\nUTC\n")] {
            let mut sound = Sound::debian();
            if let Some(text) = text {
                sound.fs.file("/etc/adjtime", text);
            }
            sound.fs.file("/etc/default/rcS", "UTC=no\n"); // left over from before systemd
            let found = item("RtcTimeMode", &sound.build());
            assert_eq!((found.value.as_str(), codes(&found)), ("UTC", vec![]), "{text:?}");
        }
    }

    #[test]
    fn old_families_say_it_elsewhere() {
        for (mut sound, path, bad, good) in [
            (Sound::el6(), "/etc/sysconfig/clock", "ZONE=x\nUTC=false\n", "UTC=true\n"),
            (Sound::el6(), "/etc/sysconfig/clock", "HWCLOCK=\"--localtime\"\n", "HWCLOCK=\"-u\"\n"),
            (Sound::alpine(), "/etc/conf.d/hwclock", "clock=\"local\"\n", "clock=\"UTC\"\n"),
        ] {
            sound.fs.file(path, bad);
            let found = item("RtcTimeMode", &sound.build());
            assert_eq!(codes(&found), [("RtcTimeMode.Local", Level::Medium)], "{bad}");
            sound.fs.file(path, good);
            assert_eq!(codes(&item("RtcTimeMode", &sound.build())), [], "{good}");
            sound.fs.file(path, bad).file("/etc/adjtime", "0\n0\nUTC\n");
            assert_eq!(codes(&item("RtcTimeMode", &sound.build())), [], "adjtime wins");
        }
    }

    #[test]
    fn time_zone_and_rc_local_are_evidence() {
        let mut sound = Sound::debian();
        sound.fs.symlink("/etc/localtime", "/usr/share/zoneinfo/Asia/Shanghai");
        sound.fs.file("/etc/rc.local", "#!/bin/sh\nhwclock --localtime --hctosys\n");
        let found = item("RtcTimeMode", &sound.build());
        let texts: Vec<&str> = found.evidence.iter().map(|e| e.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "time zone Asia/Shanghai",
                "hwclock --localtime --hctosys",
                "nothing says otherwise: UTC"
            ]
        );
    }
}
