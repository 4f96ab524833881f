"""Print the unit of the package: the very one that `netshare agent install` of this package would write."""

from pathlib import Path

from netshare.systemd.unit import Program, render

HOME = "/usr/lib/netshare"
PYTHON = f"{HOME}/bin/python"

print(render(Program((PYTHON, "-P", "-m", "netshare"), (Path(HOME),)), {}), end="")
