"""``python -m scripts.manual``: write every page anew, into netshare/docs/man."""

from scripts.manual.pages import PLACE, pages


def main() -> None:
    """Write them, and remove those of verbs that are no more."""
    PLACE.mkdir(exist_ok=True)
    written = pages()
    for old in PLACE.iterdir():
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (PLACE / name).write_text(text, encoding="utf-8")
    print(f"{len(written)} pages in {PLACE}")


main()
