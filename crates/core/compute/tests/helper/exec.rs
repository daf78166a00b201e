//! Programs of the guest: only in a machine started for them, and gone with it.

use std::path::Path;

use kiln_compute::helper::{
    Disk, Driver, Exec, ExecEnd, Format, MountOptions, Part, Session, Volume,
};
use kiln_fixtures::mounted::run;

use crate::Host;

/// A tree that the host's own shell can live in.
fn make_root(folder: &Path) {
    let script = format!(
        "PATH=$PATH:/usr/sbin:/sbin; cd {}
         mkdir -p tree/bin tree/proc tree/sys tree/dev tree/tmp
         for program in sh cat sleep echo setsid head tr; do
             path=$(readlink -f $(which $program)); cp $path tree/bin/$program
             ldd $path | grep -o '/[^ ]*' | while read lib; do
                 mkdir -p tree$(dirname $lib); cp -n -L $lib tree$lib
             done
         done
         truncate -s 64M root; mkfs.ext4 -q -d tree root",
        folder.display()
    );
    run("sh", &["-euc", &script]).unwrap();
}

fn shell(session: &mut Session, script: &str, timeout_ms: u64) -> ExecEnd {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let env = vec![("PATH".to_owned(), "/bin".to_owned()), ("WHO".to_owned(), "kiln".to_owned())];
    session.exec(Exec { argv, env, timeout_ms }).unwrap()
}

fn text(end: &ExecEnd) -> String {
    String::from_utf8_lossy(&end.output).into_owned()
}

#[test]
fn programs_of_the_guest_run_and_end() {
    let host = Host::new();
    let folder = tempfile::tempdir().unwrap();
    make_root(folder.path());
    let disk = Disk::file("root", folder.path().join("root"), Format::Raw);
    let mut options = host.options(vec![disk], &[Driver::Ext4]);
    options.exec = true;
    let mut session = Session::start(options).unwrap();
    let part =
        Part { serial: "root".into(), partition: None, start_bytes: 0, size_bytes: 64 << 20 };
    session.mount(Volume::Part(part), "/", "ext4", &MountOptions::default()).unwrap();

    let end = shell(&mut session, "echo $WHO; echo bad >&2; echo x >/tmp/file; exit 3", 20_000);
    assert_eq!((end.status, end.timed_out, text(&end).as_str()), (Some(3), false, "kiln\nbad\n"));
    assert_eq!(session.read_all("/tmp/file", 10).unwrap(), b"x\n");
    let end = shell(&mut session, "cat /proc/net/dev | tr -d ' '", 20_000);
    let interfaces = text(&end).lines().filter(|line| !line.contains('|')).count();
    assert_eq!(interfaces, 1, "only loopback: {}", text(&end));
    let end = shell(&mut session, "head -c 2000000 /dev/zero | tr '\\0' z; echo end", 60_000);
    assert!(end.is_truncated && end.output.len() == 1 << 20 && text(&end).ends_with("zend\n"));
    let end = shell(&mut session, "nothing-of-this-name", 20_000);
    assert_eq!(end.status, Some(127), "{}", text(&end));

    // What outlives its program, or has left its session, ends all the same: or the filesystem
    // could not be unmounted below.
    let end = shell(&mut session, "exec 3>/tmp/held; setsid sleep 600 & echo left", 20_000);
    assert_eq!((end.status, text(&end).as_str()), (Some(0), "left\n"));
    let end = shell(&mut session, "exec 3>/tmp/held; setsid sleep 600; echo late", 500);
    assert_eq!((end.status, end.timed_out, text(&end).as_str()), (None, true, ""));
    session.finish().unwrap();
    let image = folder.path().join("root");
    run("/sbin/e2fsck", &["-fn", image.to_str().unwrap()]).unwrap();
}
