"""Past the other firewalls of this host, without touching a rule of theirs."""
