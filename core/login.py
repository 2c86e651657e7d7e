"""Who gives an order."""

import getpass
import os


def login_name() -> str:
    """The login name; the number of a user that has none, as in a container that runs as a number of its own."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # by the version of Python and the system
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "desconocido"
