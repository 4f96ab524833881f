"""``python -m netshare``."""

from netshare.cli.app import main

main()
