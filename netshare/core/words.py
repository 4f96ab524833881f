"""Words of others', made fit to be shown."""


def harmless(text: str) -> str:
    """Escape whatever could move the cursor, change colours or turn text around on a terminal, or can't be encoded."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
