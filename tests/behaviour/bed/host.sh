# The host's side of the cable.
ip link set eth0 up
ip address add 203.0.113.2/24 dev eth0
ip address add 2001:db8:cafe::2/64 dev eth0 nodad
ip route add default via 203.0.113.1
ip route add default via 2001:db8:cafe::1
ip route add unreachable 198.51.100.66
ip route add unreachable 2001:db8:beef::66
ip route add prohibit 198.51.100.67
ip route add prohibit 2001:db8:beef::67
echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range
