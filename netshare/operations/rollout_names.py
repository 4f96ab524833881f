"""What new replicas are called while the old ones still have their names: by the next number that is free.

A service finds its containers by NAME and a number as well, so a new one has to be called that way. When the old one
is gone it takes that one's name: what is said of a replica by its name, its weight for one, then holds for the new one.
"""

import re
from collections.abc import Collection
from itertools import count

_NUMBERED = re.compile(r"(.+?)([-_])([0-9]{1,9})")


def beside(name: str, taken: Collection[str]) -> str:
    """Name the one that is made beside a container: ``web-4`` beside ``web-1``, where there are three."""
    found = _NUMBERED.fullmatch(name)
    base, separator = (found.group(1), found.group(2)) if found else (name, "-")
    numbers = [
        int(each.group(3))
        for other in taken
        if (each := _NUMBERED.fullmatch(other)) and each.group(1) == base and each.group(2) == separator
    ]
    return next(made for n in count(max(numbers, default=1) + 1) if (made := f"{base}{separator}{n}") not in taken)


def natural(name: str) -> tuple[str, int, str]:
    """Order names as people do: ``web-2`` before ``web-10``."""
    found = _NUMBERED.fullmatch(name)
    return (found.group(1), int(found.group(3)), name) if found else (name, 0, name)
