//! The GRUB environment block: 1024 bytes, a signature line, `name=value` lines, filled up with `#`
//! (GRUB manual, "Environment block").

/// First line of every block.
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";
/// Its size; `grub-editenv` makes no other, and `save_env` writes in place.
const SIZE: usize = 1024;

/// The variables of a block, in order, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GrubEnv {
    pub(crate) values: Vec<(String, String)>,
    pub(crate) problem: Option<String>,
}

/// Read a block. What is wrong is told, and what can be read is read.
pub(crate) fn parse(bytes: &[u8]) -> GrubEnv {
    let mut env = GrubEnv::default();
    let Some(body) = bytes.strip_prefix(SIGNATURE) else {
        env.problem = Some("the first line is not \"# GRUB Environment Block\"".into());
        return env;
    };
    if bytes.len() != SIZE {
        env.problem = Some(format!("it has {} bytes and not {SIZE}", bytes.len()));
    }
    let body = String::from_utf8_lossy(body);
    for line in body.split('\n').take(SIZE) {
        if line.starts_with('#') {
            continue;
        }
        if let Some((name, value)) = line.split_once('=') {
            env.values.push((name.into(), unescape(value)));
        }
    }
    env
}

/// The bytes of the value of `name` as they are in the block, escapes kept.
pub(crate) fn raw_value(bytes: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(SIGNATURE)?).into_owned();
    let mut lines = text.split('\n').take(SIZE);
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// The block with the raw value of `name` replaced or added, always of the size that a block has.
/// `None`: there is no room. A block that is none is made anew, with nothing else in it.
pub(crate) fn with_raw(bytes: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    let body = String::from_utf8_lossy(bytes.strip_prefix(SIGNATURE).unwrap_or_default());
    let mut out = SIGNATURE.to_vec();
    let mut is_there = false;
    let is_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    for line in body.split('\n').take(SIZE) {
        // What fills the block up is one line of `#`; other comments are people's.
        let is_filling = line.bytes().all(|byte| byte == b'#');
        if is_filling || (is_it(line) && is_there) {
            continue;
        }
        let line = if is_it(line) { format!("{name}={value}") } else { line.to_owned() };
        is_there |= is_it(&line);
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    if !is_there {
        out.extend_from_slice(format!("{name}={value}\n").as_bytes());
    }
    if out.len() > SIZE {
        return None;
    }
    out.resize(SIZE, b'#');
    Some(out)
}

/// The block as it should be, with what is left of its lines: those that are whole and have room.
pub(crate) fn mended(bytes: &[u8]) -> Vec<u8> {
    let body = bytes.strip_prefix(SIGNATURE).unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let mut out = SIGNATURE.to_vec();
    for line in body.split_inclusive('\n').take(SIZE) {
        let is_whole = line.ends_with('\n') && !line.contains('\0');
        let is_variable = line.contains('=') || line.starts_with("# ");
        if is_whole && is_variable && out.len() + line.len() <= SIZE {
            out.extend_from_slice(line.as_bytes());
        }
    }
    out.resize(SIZE, b'#');
    out
}

/// A backslash keeps the next character; values hold no line ends.
fn unescape(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::grubenv;

    #[test]
    fn a_sound_block_is_read() {
        let env = parse(&grubenv("saved_entry=ab-5.14\nkernelopts=root=UUID=1 ro a=\\\\b\n"));
        assert_eq!(env.problem, None);
        assert_eq!(env.values[0], ("saved_entry".into(), "ab-5.14".into()));
        assert_eq!(env.values[1], ("kernelopts".into(), "root=UUID=1 ro a=\\b".into()));
    }

    #[test]
    fn a_value_is_replaced_and_the_size_stays() {
        let block =
            grubenv("# by hand\nsaved_entry=ab\nkernelopts=root=/dev/sda1 a=\\\\b\nboot=1\n");
        assert_eq!(raw_value(&block, "kernelopts").as_deref(), Some("root=/dev/sda1 a=\\\\b"));
        let after = with_raw(&block, "kernelopts", "root=UUID=1").unwrap();
        let expected = grubenv("# by hand\nsaved_entry=ab\nkernelopts=root=UUID=1\nboot=1\n");
        assert_eq!(after, expected);
        assert_eq!(with_raw(&after, "kernelopts", "root=UUID=1").unwrap(), after);
        let added = with_raw(&grubenv(""), "saved_entry", "x").unwrap();
        assert_eq!(added, grubenv("saved_entry=x\n"));
        assert_eq!(with_raw(&grubenv(""), "a", &"x".repeat(1024)), None);
        assert_eq!(with_raw(&[0; 1024], "a", "1").unwrap(), grubenv("a=1\n"));
    }

    #[test]
    fn a_damaged_block_keeps_its_whole_lines() {
        let sound = grubenv("# by hand\nsaved_entry=ab\n");
        let long = [&sound[..], b"####"].concat();
        let cut = [b"# GRUB Environment Block\nsaved_entry=ab\nkernelopts=roo".as_slice()].concat();
        let many = grubenv("")[..25].to_vec();
        let many = [many, format!("a={}\nb=1\n", "x".repeat(2000)).into_bytes()].concat();
        for (before, after) in [
            (&sound[..], sound.clone()),
            (&sound[..1023], sound.clone()),
            (&long, sound.clone()),
            (&cut, grubenv("saved_entry=ab\n")),
            (&many, grubenv("b=1\n")),
            (&[0; 1024], grubenv("")),
            (b"", grubenv("")),
        ] {
            assert_eq!(mended(before), after);
        }
    }

    #[test]
    fn each_fault_is_named() {
        let short = grubenv("a=1\n")[..1023].to_vec();
        let env = parse(&short);
        assert_eq!(env.problem.as_deref(), Some("it has 1023 bytes and not 1024"));
        assert_eq!(env.values.len(), 1);
        let zeroes = parse(&[0; 1024]);
        let message = "the first line is not \"# GRUB Environment Block\"";
        assert_eq!(zeroes.problem.as_deref(), Some(message));
    }
}
