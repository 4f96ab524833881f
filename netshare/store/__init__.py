"""Service definitions on disk: one JSON file a service."""
