"""The iptables driver, for kernels without nf_tables: legacy xtables, programmed by its own tools."""
