//! Why the helper machine could not do what it should.

use kiln_rpc::Failure;

/// What a session gives, or why it could not.
pub type Result<T, E = HelperError> = std::result::Result<T, E>;

/// Why the helper machine could not be had, or could not do a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// The machine could not be started or stopped.
    #[error(transparent)]
    Machine(#[from] crate::Error),
    /// The agent tried and failed: what the machine's kernel says of the guest's disks.
    #[error("{failure}")]
    Call {
        /// Number, message, path.
        failure: Failure,
        /// What the user can do.
        hint: Option<String>,
    },
    /// The machine ended in the middle of its work.
    #[error("the helper machine ended during {during}{}", after_colon(.console))]
    Died {
        /// What was going on.
        during: String,
        /// The end of what its console said.
        console: String,
    },
    /// The machine did not do it in time, and was killed.
    #[error("the helper machine took longer than {seconds} s for {during}{}", after_colon(.console))]
    TimedOut {
        /// What was going on.
        during: String,
        /// The time it had.
        seconds: u64,
        /// The end of what its console said.
        console: String,
    },
    /// What came from the machine is not what an agent says.
    #[error("the helper machine does not answer as an agent does, during {during}: {reason}")]
    Protocol {
        /// What was going on.
        during: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path that cannot be one in a guest.
    #[error(transparent)]
    Path(#[from] kiln_rpc::PathError),
    /// The content that was to be written could not be read.
    #[error("cannot read the content for {path}")]
    Content {
        /// Where it was to go.
        path: String,
        /// What the source says.
        #[source]
        source: std::io::Error,
    },
}

impl HelperError {
    /// Linux's number of the error, where the agent's kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { failure, .. } => Some(failure.errno),
            _ => None,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Machine(error) => error.hint(),
            Self::Call { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

fn after_colon(console: &str) -> String {
    match console.trim() {
        "" => String::new(),
        said => format!("; its console ends with:\n{said}"),
    }
}

/// What mends a filesystem that the kernel does not mount.
pub(super) fn mount_hint(fstype: &str, errno: i32) -> Option<String> {
    /// ENODEV, ENOENT, ESTALE: it was not the filesystem that refused.
    const ELSEWHERE: [i32; 3] = [19, 2, 116];
    let command = match fstype {
        "ext2" | "ext3" | "ext4" => "e2fsck -f",
        "xfs" => "xfs_repair",
        "btrfs" => "btrfs check",
        "vfat" | "msdos" => "fsck.vfat",
        _ => return None,
    };
    (!ELSEWHERE.contains(&errno)).then(|| {
        format!(
            "mend the filesystem first, on the source machine or a copy of the image: {command}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_filesystem_names_its_fsck() {
        for (fstype, command) in
            [("ext4", "e2fsck -f"), ("xfs", "xfs_repair"), ("btrfs", "btrfs check")]
        {
            assert!(mount_hint(fstype, 117).unwrap().ends_with(command));
        }
        assert_eq!(mount_hint("ext4", 19), None, "no such disk");
        assert_eq!(mount_hint("ufs", 117), None);
    }
}
