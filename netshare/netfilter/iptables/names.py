"""What netshare's chains in iptables' tables are called. What has this prefix is netshare's, and nothing else is."""

from base64 import urlsafe_b64encode
from hashlib import sha256

PREFIX = "NETSHARE-"
_LONGEST = 28  # XT_EXTENSION_MAXNAMELEN, with the byte that ends it
_DIGEST_WORDS = _LONGEST - len(PREFIX)


def chain(*words: object) -> str:
    """Name a chain in plain words if they fit, else by a digest of them: 114 bits, so that nobody finds two alike."""
    name = PREFIX + "-".join(map(str, words))
    if len(name) <= _LONGEST:
        return name
    return PREFIX + urlsafe_b64encode(sha256(name.encode()).digest()).decode()[:_DIGEST_WORDS]
