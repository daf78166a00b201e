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
