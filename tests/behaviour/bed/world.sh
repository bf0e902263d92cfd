# The world's side of the cable: a router with a few servers' addresses on it.
ip link set lo up
ip link set eth0 up
ip address add 203.0.113.1/24 dev eth0
ip address add 2001:db8:cafe::1/64 dev eth0 nodad
for last in 1 2; do
  ip address add 198.51.100.$last/32 dev lo
  ip address add 2001:db8:beef::$last/128 dev lo nodad
done
ip route add unreachable 198.51.100.68
ip route add unreachable 2001:db8:beef::68
ip route add blackhole 198.51.100.99
ip route add blackhole 2001:db8:beef::99
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
# Tests ask for the same error many times within a second.
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
