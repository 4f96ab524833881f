"""The manual pages: made of the command line itself, and of the words that are only for readers."""
