"""Container engines: what runs the replicas. Adapters; they know nothing of services or of the kernel."""
