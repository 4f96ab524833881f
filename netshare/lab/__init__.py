"""A small network on the real kernel, in network namespaces of one process's own.

Both `netshare demo` and the tests build one: a host with a bridge, clients outside it, replicas on the bridge. Nothing
here touches the network namespace the process was started in, and no packet leaves the lab: its namespaces have links
to each other only, and addresses that are reserved for documentation and benchmarks.
"""
