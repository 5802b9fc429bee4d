"""Remote storage: its address, a check that it works, and pushes and pulls whose content is checked."""

from kadanoff.lab.remote.address import set_remote, show_remote
from kadanoff.lab.remote.get import get
from kadanoff.lab.remote.transfer import pull, push

__all__ = ["get", "pull", "push", "set_remote", "show_remote"]
