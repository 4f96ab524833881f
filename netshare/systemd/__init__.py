"""systemd, which starts the agent at boot and keeps it running: its unit file, and `systemctl`."""
