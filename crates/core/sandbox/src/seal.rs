//! Giving up every right that reading an image does not need. There is no way back.
//!
//! A child that converts keeps two descriptors that its parent opened: one that it may only read, and
//! one that it may only write, up to a size.
//!
//! Each layer alone would do for most of it: no descriptor can be opened (`RLIMIT_NOFILE`), no path
//! is allowed (Landlock), and no system call that opens, connects, starts or signals is let through
//! (seccomp), where the first one that is tried ends the process.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::os::fd::RawFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use libc::c_long;
use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde::{Deserialize, Serialize};

/// How much of the Landlock rules the kernel enforces. The other layers do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Landlock {
    /// All of them.
    Full,
    /// Those that an older kernel knows.
    Partial,
    /// The kernel has no Landlock, or it is switched off.
    Absent,
}

/// What a child keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    pub(crate) address_space_bytes: u64,
    pub(crate) cpu_seconds: u64,
    /// A descriptor that may be read at an offset.
    pub(crate) input: Option<RawFd>,
    /// A descriptor that may be written, and the size that the file may get.
    pub(crate) output: Option<(RawFd, u64)>,
}

/// Give up all rights but these.
///
/// # Errors
///
/// Which step failed, and why. The process is then not fit to read foreign data.
pub(crate) fn seal(rights: &Rights) -> Result<Landlock, String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("PR_SET_PDEATHSIG: {error}"))?;
    let landlock = landlock().map_err(|error| format!("landlock: {error}"))?;
    limit(rights)?;
    for program in filters(getpid(), rights).map_err(|error| format!("seccomp: {error}"))? {
        seccompiler::apply_filter_all_threads(&program)
            .map_err(|error| format!("seccomp: {error}"))?;
    }
    Ok(landlock)
}

/// Also sets `no_new_privs`, with or without Landlock in the kernel.
fn landlock() -> Result<Landlock, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Full,
        RulesetStatus::PartiallyEnforced => Landlock::Partial,
        RulesetStatus::NotEnforced => Landlock::Absent,
    })
}

fn limit(rights: &Rights) -> Result<(), String> {
    let (memory, cpu_seconds) = (rights.address_space_bytes, rights.cpu_seconds);
    let file_bytes = rights.output.map_or(0, |(_, bytes)| bytes);
    // SIGXCPU at the soft limit of CPU tells it from other ends; the hard one is for who blocks it.
    for (name, resource, soft, hard) in [
        ("RLIMIT_AS", Resource::As, memory, memory),
        ("RLIMIT_CPU", Resource::Cpu, cpu_seconds, cpu_seconds.saturating_add(1)),
        ("RLIMIT_NOFILE", Resource::Nofile, 3, 3),
        ("RLIMIT_FSIZE", Resource::Fsize, file_bytes, file_bytes),
        ("RLIMIT_CORE", Resource::Core, 0, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
            .map_err(|error| format!("{name} {soft}: {error}"))?;
    }
    Ok(())
}

/// Two filters, of whose verdicts the kernel takes the stricter one, in the order in which they are
/// applied: the second ends the process at whatever is not listed, a further filter included.
///
/// The first fails clone3 as if the kernel did not have it: a filter cannot see its flags, and the
/// C library then uses clone.
fn filters(own: Pid, rights: &Rights) -> Result<[BpfProgram; 2], seccompiler::Error> {
    let arch = ARCH.try_into()?;
    let (kill, allow) = (SeccompAction::KillProcess, SeccompAction::Allow);
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let absent = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let absent = SeccompFilter::new(absent, allow.clone(), missing, arch)?;
    let strict = SeccompFilter::new(allowed(own, rights)?, kill, allow, arch)?;
    Ok([absent.try_into()?, strict.try_into()?])
}

/// Memory, threads, clocks, random numbers and the end: harmless whatever their arguments.
const PLAIN: &[c_long] = &[
    libc::SYS_clone3, // see `filters`
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// A descriptor as the filter compares it: its lower 32 bits.
fn number(fd: RawFd) -> u64 {
    u64::from(fd.cast_unsigned())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn allowed(own: Pid, rights: &Rights) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = PLAIN.iter().map(|call| (*call, Vec::new())).collect();
    // An argument is one of these values, under this mask.
    let mut allow = |call: c_long, argument: u8, mask: u64, values: &[u64]| {
        let rule = |value: &u64| {
            let operator = SeccompCmpOp::MaskedEq(mask);
            let width = SeccompCmpArgLen::Dword;
            SeccompRule::new(vec![SeccompCondition::new(argument, width, operator, *value)?])
        };
        let list = values.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
        rules.insert(call, list);
        Ok::<_, seccompiler::BackendError>(())
    };
    let all = u64::from(u32::MAX);
    allow(libc::SYS_read, 0, all, &[0])?;
    let (input, output) = (rights.input.map(number), rights.output.map(|(fd, _)| number(fd)));
    let written: Vec<u64> = [1, 2].into_iter().chain(output).collect();
    allow(libc::SYS_write, 0, all, &written)?;
    let files: Vec<u64> = input.into_iter().chain(output).collect();
    // A list without a value would allow the call with any.
    if let Some(input) = input {
        allow(libc::SYS_pread64, 0, all, &[input])?;
    }
    if let Some(output) = output {
        allow(libc::SYS_pwrite64, 0, all, &[output])?;
        allow(libc::SYS_ftruncate, 0, all, &[output])?;
    }
    if !files.is_empty() {
        allow(libc::SYS_lseek, 0, all, &files)?;
    }
    allow(libc::SYS_writev, 0, all, &[1, 2])?;
    // Memory is never to be executed.
    allow(libc::SYS_mmap, 2, libc::PROT_EXEC as u64, &[0])?;
    allow(libc::SYS_mprotect, 2, libc::PROT_EXEC as u64, &[0])?;
    // Threads of this process and no other processes.
    let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;
    allow(libc::SYS_clone, 0, thread, &[thread])?;
    // Names of threads and of memory.
    allow(libc::SYS_prctl, 0, all, &[libc::PR_SET_NAME as u64, libc::PR_SET_VMA as u64])?;
    allow(libc::SYS_tgkill, 0, all, &[own.as_raw_nonzero().get() as u64])?;
    // What a handler of a crash does, so that the crash is still told by its signal.
    let crashes = [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT].map(|signal| signal as u64);
    allow(libc::SYS_rt_sigaction, 0, all, &crashes)?;
    Ok(rules)
}
