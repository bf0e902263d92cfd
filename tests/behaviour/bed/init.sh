# The bed's first process, in new namespaces: gives itself private files and a link or two, then lives as long as the test.
set -e
exec 3<"$RNET"
mount --make-rprivate /
root=
if [ -n "$TREE" ]; then
  # Another system's files in the place of the machine's, read-only, with the machine's users. The mount over / comes last.
  root=/mnt
  mount --bind "$TREE" /mnt
  mount -o remount,bind,ro /mnt
  mount --rbind /dev /mnt/dev
  for file in passwd group subuid subgid; do mount --bind /etc/$file /mnt/etc/$file; done
fi
# Everything of ours sits below /mnt; the binary is bound, so that the user can run it wherever it was built.
mount -t tmpfs -o mode=755 tmpfs $root/mnt
mkdir $root/mnt/bin $root/mnt/as $root/mnt/lib
: >$root/mnt/bin/rnet
mount --bind /proc/self/fd/3 $root/mnt/bin/rnet
exec 3<&-
# Another program's name makes rnet that program; whoever wants it has /mnt/as first in the search path.
ln -s ../bin/rnet $root/mnt/as/slirp4netns
ln -s ../bin/rnet $root/mnt/as/pasta
if [ -n "$root" ]; then
  mkdir $root/mnt/old
  pivot_root $root $root/mnt/old
  cd /
fi
mount -t proc proc /proc
if [ -n "$root" ]; then umount -l /mnt/old && rmdir /mnt/old; fi
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Debian 13's pasta, with its C library: what rnet does under that name is compared with it.
ln -s rnet /mnt/bin/pasta
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
if [ -z "$root" ]; then
  mount --bind /etc /etc
  mount -o remount,bind,ro /etc
fi
mount --bind /mnt/resolv.conf "$(readlink -f /etc/resolv.conf)"
ip link set lo up
echo ready
# Orphans come to this process; while it ignores SIGCHLD the kernel reaps them. (dash cannot ignore it.)
exec env --ignore-signal=CHLD cat >/dev/null
