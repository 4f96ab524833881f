"""The workload as processes: servers, PostgreSQL and Nginx, each in a directory of its own, for tests and measurements.

No service of the machine is touched. Nothing here is in the image.
"""
