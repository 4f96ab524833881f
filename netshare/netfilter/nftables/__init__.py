"""The nftables driver: fixed chains and rules, everything that changes is an element of a shared map."""
