"""Print the package's copyright file: netshare's own, and that of each Python package that comes with it."""

import sys
from importlib.metadata import Distribution, distributions

SITE = "/usr/lib/netshare/lib/python3/site-packages"


def licence(package: Distribution) -> str:
    """Name a package's licence, as its metadata does."""
    said = package.metadata.get("License-Expression") or package.metadata.get("License") or ""
    trove = [
        each.rpartition(" :: ")[2] for each in package.metadata.get_all("Classifier") or () if each[:7] == "License"
    ]
    return said.splitlines()[0] if said else ", ".join(trove)


print("netshare: Copyright 2026 the netshare authors\n")
print("Licensed under the Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0\n")
print("It comes with these Python packages, whose licences are beside them, in")
print(f"{SITE}/*.dist-info:\n")
for each in sorted(distributions(path=[sys.argv[1]]), key=lambda package: package.name.lower()):
    if each.name != "netshare-lb":
        print(f"  {each.name} {each.version}: {licence(each)}")
