"""The comparison of rnet with its peers: a bed of namespaces, contenders, measurements, reports."""
