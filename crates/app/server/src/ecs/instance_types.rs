//! Types of instances that kiln tells of.
//!
//! A small table of one's own: clients ask it before they start an instance, and to learn which
//! images fit. Every type has NVMe disks and takes four data disks or more.

use kiln_model::Architecture;

/// One type of instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct InstanceType {
    /// Its identifier, `ecs.g7.large`.
    pub id: &'static str,
    /// Its family, `ecs.g7`.
    pub family: &'static str,
    /// Number of virtual processors.
    pub cores: u32,
    /// Memory in GiB.
    pub memory_gib: f32,
    /// Whether its processors are 64-bit ARM; else they are x86.
    pub is_arm: bool,
}

impl InstanceType {
    /// `ARM` or `X86`.
    #[must_use]
    pub(super) const fn architecture(&self) -> &'static str {
        if self.is_arm { "ARM" } else { "X86" }
    }

    /// Whether an image for `architecture` starts on it. None of the families here starts 32-bit
    /// systems any more.
    #[must_use]
    pub(super) fn starts(&self, architecture: Architecture) -> bool {
        match architecture {
            Architecture::X86_64 => !self.is_arm,
            Architecture::Arm64 => self.is_arm,
            Architecture::I386 => false,
        }
    }

    /// The processor that an image must be for.
    #[must_use]
    pub(super) const fn image(&self) -> Architecture {
        if self.is_arm { Architecture::Arm64 } else { Architecture::X86_64 }
    }
}

const fn x86(id: &'static str, family: &'static str, cores: u32, memory_gib: f32) -> InstanceType {
    InstanceType { id, family, cores, memory_gib, is_arm: false }
}

const fn arm(id: &'static str, family: &'static str, cores: u32, memory_gib: f32) -> InstanceType {
    InstanceType { id, family, cores, memory_gib, is_arm: true }
}

/// All types, by family and size.
pub(super) const INSTANCE_TYPES: &[InstanceType] = &[
    x86("ecs.t6-c1m1.large", "ecs.t6", 2, 2.0),
    x86("ecs.t6-c1m2.large", "ecs.t6", 2, 4.0),
    x86("ecs.e-c1m1.large", "ecs.e", 2, 2.0),
    x86("ecs.e-c1m2.large", "ecs.e", 2, 4.0),
    x86("ecs.c6.large", "ecs.c6", 2, 4.0),
    x86("ecs.c6.xlarge", "ecs.c6", 4, 8.0),
    x86("ecs.g6.large", "ecs.g6", 2, 8.0),
    x86("ecs.g6.xlarge", "ecs.g6", 4, 16.0),
    x86("ecs.c7.large", "ecs.c7", 2, 4.0),
    x86("ecs.c7.xlarge", "ecs.c7", 4, 8.0),
    x86("ecs.c7.2xlarge", "ecs.c7", 8, 16.0),
    x86("ecs.g7.large", "ecs.g7", 2, 8.0),
    x86("ecs.g7.xlarge", "ecs.g7", 4, 16.0),
    x86("ecs.g7.2xlarge", "ecs.g7", 8, 32.0),
    x86("ecs.r7.large", "ecs.r7", 2, 16.0),
    x86("ecs.r7.xlarge", "ecs.r7", 4, 32.0),
    arm("ecs.c8y.large", "ecs.c8y", 2, 4.0),
    arm("ecs.c8y.xlarge", "ecs.c8y", 4, 8.0),
    arm("ecs.c8y.2xlarge", "ecs.c8y", 8, 16.0),
    arm("ecs.g8y.large", "ecs.g8y", 2, 8.0),
    arm("ecs.g8y.xlarge", "ecs.g8y", 4, 16.0),
    arm("ecs.r8y.large", "ecs.r8y", 2, 16.0),
];

/// The type of this identifier.
#[must_use]
pub(super) fn find(id: &str) -> Option<&'static InstanceType> {
    INSTANCE_TYPES.iter().find(|known| known.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn types_are_named_after_their_family_and_once() {
        let ids: BTreeSet<&str> = INSTANCE_TYPES.iter().map(|known| known.id).collect();
        assert_eq!(ids.len(), INSTANCE_TYPES.len());
        for known in INSTANCE_TYPES {
            assert!(known.id.starts_with(known.family), "{known:?}");
            assert!(known.starts(known.image()), "{known:?}");
            assert_eq!(find(known.id), Some(known));
        }
        assert_eq!(find("ecs.g7"), None);
    }
}
