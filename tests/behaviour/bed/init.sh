# The bed's first process, in new namespaces: gives itself private files and a link or two, then lives as long as the test.
set -e
exec 3<"$RNET"
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Everything of ours sits below /mnt; the binary is bound, so that the user can run it wherever it was built.
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/bin /mnt/lib
: >/mnt/bin/rnet
mount --bind /proc/self/fd/3 /mnt/bin/rnet
exec 3<&-
ln -s rnet /mnt/bin/pasta
# Debian 13's pasta, with its C library: what rnet does under that name is compared with it.
tree=/var/lib/rnettest/debian-13
printf '#!/bin/sh\nexec %s/lib64/ld-linux-x86-64.so.2 --argv0 "$0" --library-path %s %s/usr/bin/passt.avx2 "$@"\n' \
  "$tree" "$tree/usr/lib/x86_64-linux-gnu" "$tree" >/mnt/bin/peer-pasta
chmod 755 /mnt/bin/peer-pasta
printf '%s' "$PEER" >/mnt/lib/peer.py
printf '%s' "$NAMES" >/mnt/lib/names.py
unset PEER NAMES
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/user/0 "/run/user/$USER_UID"
for owner in 0 "$USER_UID"; do chmod 700 "/run/user/$owner"; done
chown "$USER_UID:$USER_GID" "/run/user/$USER_UID"
mount -t tmpfs -o "mode=700,uid=$USER_UID,gid=$USER_GID" tmpfs "$USER_HOME"
printf 'nameserver 203.0.113.1\n' >/mnt/resolv.conf
[ -e /etc/resolv.conf ] || { echo "this machine has no /etc/resolv.conf to mount over" >&2; exit 1; }
# The machine's own /etc is no test's to change, not even by a stand-in for rnet.
mount --bind /etc /etc
mount -o remount,bind,ro /etc
mount --bind /mnt/resolv.conf "$(readlink -f /etc/resolv.conf)"
ip link set lo up
echo ready
# Orphans come to this process; while it ignores SIGCHLD the kernel reaps them. (dash cannot ignore it.)
exec env --ignore-signal=CHLD cat >/dev/null
