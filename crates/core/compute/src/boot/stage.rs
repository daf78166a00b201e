//! How far a machine came.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A stage of a start, in the order in which a Linux system passes them.
///
/// `Network` and `CloudInit` come by their own clocks, often after `Login`; all others follow from
/// one another: a login prompt proves a kernel, whether or not it said anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The firmware runs.
    Firmware,
    /// The boot loader on the disk runs.
    Loader,
    /// The kernel runs.
    Kernel,
    /// The first program of the initramfs runs.
    Initramfs,
    /// The root filesystem is mounted.
    RootMounted,
    /// The init of the system on the disk, nearly always systemd, starts services.
    Init,
    /// The guest has an address by DHCP.
    Network,
    /// Somebody could log in.
    Login,
    /// cloud-init has finished.
    CloudInit,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Firmware,
        Self::Loader,
        Self::Kernel,
        Self::Initramfs,
        Self::RootMounted,
        Self::Init,
        Self::Network,
        Self::Login,
        Self::CloudInit,
    ];

    /// Its name in reports, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Loader => "loader",
            Self::Kernel => "kernel",
            Self::Initramfs => "initramfs",
            Self::RootMounted => "root-mounted",
            Self::Init => "init",
            Self::Network => "network",
            Self::Login => "login",
            Self::CloudInit => "cloud-init",
        }
    }

    /// The stages that must have been passed before this one.
    pub(super) fn implied(self) -> impl Iterator<Item = Self> {
        let by_its_own_clock = |stage: &Self| matches!(stage, Self::Network | Self::CloudInit);
        let chain = Self::ALL.into_iter().filter(move |stage| !by_its_own_clock(stage));
        chain.take_while(move |stage| *stage < self && !by_its_own_clock(&self))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stage that was reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    /// Which one.
    pub stage: Stage,
    /// When, counted from the start of the machine, as `seconds`.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub at: Duration,
    /// What proved it: a line of the console, or what was seen on the wire. Text of the guest's: make
    /// it printable before a terminal sees it.
    pub evidence: String,
    /// It said nothing itself: a later stage proves it.
    pub implied: bool,
}

/// Seconds with a precision that a person and a log can use.
pub(super) fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((time.as_secs_f64() * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_implies_the_chain_and_nothing_else() {
        use Stage::*;
        let implied = |stage: Stage| stage.implied().collect::<Vec<_>>();
        assert_eq!(implied(Login), [Firmware, Loader, Kernel, Initramfs, RootMounted, Init]);
        assert_eq!(implied(Kernel), [Firmware, Loader]);
        assert_eq!(implied(Network), [], "an initramfs may ask for an address, too");
        assert_eq!(implied(CloudInit), []);
    }

    #[test]
    fn names_are_the_same_in_text_and_json() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
        }
    }
}
