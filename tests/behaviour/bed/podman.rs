//! podman as the unprivileged user has it: storage, configuration and a root file system, without systemd.

use super::{Bed, Cmd, System, User};

/// Who gives podman's containers their network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// The system's own pasta and slirp4netns.
    Own,
    /// rnet, by their names.
    Rnet,
}

/// A podman that is ready to run containers.
pub struct Podman<'b> {
    bed: &'b Bed,
    programs: Programs,
}

impl Bed {
    /// Prepares a root file system at `~/rootfs` and a podman configuration that needs no systemd.
    pub fn podman(&self, programs: Programs) -> Podman<'_> {
        assert_eq!(self.user, User::Plain);
        // podman's storage, run-time state and locks outlive its containers.
        let account = self.account();
        for start in [account.home.clone(), format!("/run/user/{}/", account.uid), "/dev/shm/libpod".into()] {
            self.excuse_files(&start);
        }
        // Older releases of podman keep their files below /tmp where there is no session of systemd's.
        for start in ["/tmp/podman-run-", "/tmp/containers-user-", "/tmp/storage-run-", "/tmp/run-", "/var/tmp/"] {
            self.excuse_files(start);
        }
        let helpers = match programs {
            Programs::Own => "",
            Programs::Rnet => "\"/mnt/as\", ",
        };
        let script = format!(
            "set -e; cd; mkdir -p rootfs/bin rootfs/usr rootfs/proc rootfs/sys rootfs/dev rootfs/tmp rootfs/etc rootfs/mnt rootfs/root rootfs/run .config/containers
             cp \"$(command -v busybox)\" rootfs/bin/busybox
             for each in sh cat ip id readlink sleep echo touch httpd nc nslookup ping wget; do ln -sf busybox rootfs/bin/$each; done
             for each in lib lib64; do ln -sfn usr/$each rootfs/$each; done
             printf 'root:x:0:0::/root:/bin/sh\\n' >rootfs/etc/passwd
             cat >.config/containers/containers.conf <<END
[engine]
cgroup_manager=\"cgroupfs\"
events_logger=\"file\"
helper_binaries_dir=[{helpers}\"/usr/libexec/podman\", \"/usr/lib/podman\", \"/usr/bin\"]
[containers]
log_driver=\"k8s-file\"
END
             printf '[storage]\\ndriver=\"vfs\"\\n' >.config/containers/storage.conf"
        );
        self.sh(&script).ok();
        Podman { bed: self, programs }
    }
}

impl<'b> Podman<'b> {
    /// A shell script of the user's that calls podman.
    pub fn sh(&self, script: &str) -> Cmd<'b> {
        let path = match self.programs {
            Programs::Own => super::PATH.to_owned(),
            Programs::Rnet => format!("/mnt/as:{}", super::PATH),
        };
        self.bed.sh(script).env("PATH", &path).limit(60)
    }

    /// `podman run --rm OPTIONS` with a script in the container; the host's /usr is there for its programs.
    pub fn run(&self, options: &str, script: &str) -> Cmd<'b> {
        self.sh(&format!("exec podman run --rm {options} -v /usr:/usr:ro --rootfs $HOME/rootfs sh -c '{script}'"))
    }

    /// Starts a container in the background; it is called `name`, and what it serves is up to `script`.
    pub fn start(&self, name: &str, options: &str, script: &str) {
        self.sh(&format!(
            "exec podman run -d --name {name} {options} -v /usr:/usr:ro --rootfs $HOME/rootfs sh -c '{script}' >/dev/null"
        ))
        .ok();
    }

    /// That it is of the release that tests are about, and that the programs are whose they should be.
    pub fn assert_version(&self) {
        let version = self.sh("podman --version").ok();
        let wanted = if self.bed.system == System::Debian13 { "5.4" } else { "4.3" };
        assert!(version.starts_with(&format!("podman version {wanted}.")), "{version}");
    }

    /// That rnet carries a container's packets at this moment.
    pub fn assert_served_by_rnet(&self) {
        let all = self.bed.processes();
        let is_stack = |pid: u32| {
            let comm = std::fs::read_to_string(self.bed.path(&format!("/proc/{pid}/comm")));
            comm.is_ok_and(|comm| comm.trim() == "rnet-stack")
        };
        assert!(all.iter().any(|(pid, _)| is_stack(*pid)), "rnet does not run: {all:?}");
    }

    /// Removes containers and the process that podman keeps between two calls; afterwards nothing may be left.
    pub fn end(&self, containers: &str) {
        if !containers.is_empty() {
            self.sh(&format!("podman rm -f -t 0 {containers} >/dev/null")).ok();
        }
        self.sh("podman system migrate").ok();
        self.bed.assert_nothing_left();
    }
}
