"""The other firewalls of this host, looked at and never touched: frozen data for `forwarding` and for `doctor`."""
