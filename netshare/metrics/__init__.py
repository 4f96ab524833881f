"""What the agent tells Prometheus: measured as it works, read from the kernel when asked, served over HTTP.

Nothing here is imported before metrics are asked for.
"""
