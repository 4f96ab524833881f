"""netshare: many containers behind one host port, balanced by the kernel itself."""

__version__ = "0.1.0"
