"""Every server of the article, each a command: ``python -m app.serve KIND``."""
