"""What programs the kernel: drivers, and the ways past other firewalls."""
