//! The way out of refusals that come from the machine's settings, read from where they are set.

use std::fs;

use nix::errno::Errno;

/// Why a user namespace is refused.
pub(super) fn user_namespace(errno: Errno) -> Option<String> {
    if errno == Errno::ENOSPC {
        return Some(limit("max_user_namespaces").unwrap_or_else(|| {
            "the limit of user namespaces is reached: raise /proc/sys/user/max_user_namespaces or max_net_namespaces here or in \
             an outer namespace, or nest fewer than 32 deep"
                .into()
        }));
    }
    if errno == Errno::EAGAIN {
        return Some("the user's limit of processes is reached: see `ulimit -u`".into());
    }
    if errno == Errno::EUSERS {
        return Some("user namespaces are nested 32 deep already".into());
    }
    if !matches!(errno, Errno::EPERM | Errno::EACCES | Errno::EINVAL) {
        return None;
    }
    if setting("kernel/unprivileged_userns_clone") == Some(0) {
        return Some("user namespaces are switched off for users: sysctl -w kernel.unprivileged_userns_clone=1".into());
    }
    if let Some(hint) = apparmor() {
        return Some(hint);
    }
    if errno == Errno::EINVAL {
        return Some("the kernel was built without user namespaces (CONFIG_USER_NS)".into());
    }
    Some(
        "something forbids user namespaces here: a container's seccomp profile (docker: --security-opt seccomp=unconfined), a \
         security module, or a changed root directory (chroot)"
            .into(),
    )
}

/// Ubuntu's restriction: the namespace may be made, but has no capabilities.
pub(super) fn apparmor() -> Option<String> {
    (setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1)).then(|| {
        "AppArmor keeps unprivileged user namespaces powerless: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give \
         rnet a profile with `userns,` in /etc/apparmor.d"
            .into()
    })
}

/// What a process of ours said before it gave up, with the way out that it did not know.
pub(super) fn explain(said: String) -> String {
    let is_refusal = ["ermission denied", "not permitted"].iter().any(|words| said.contains(words));
    match apparmor().filter(|_| is_refusal && !nix::unistd::geteuid().is_root()) {
        Some(hint) => format!("{said}; {hint}"),
        None => said,
    }
}

/// The limit that is zero.
fn limit(first: &str) -> Option<String> {
    [
        first,
        "max_net_namespaces",
        "max_mnt_namespaces",
        "max_pid_namespaces",
        "max_ipc_namespaces",
        "max_uts_namespaces",
    ]
    .into_iter()
    .find(|name| setting(&format!("user/{name}")) == Some(0))
    .map(|name| format!("user.{name} is 0: sysctl -w user.{name}=10000"))
}

fn setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}
