//! What a container asks its link: ARP, neighbour discovery, router advertisements, DHCPv4 and DHCPv6.
