"""What this process is and where: its paths, its privileges, its lock."""
