"""A folder on another file system, for what must be written there in one rename all the same."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

PLACES = ("/dev/shm", "/var/tmp", "/tmp", str(Path.home()), ".")


@contextmanager
def another(near):
    """A new folder on another file system than `near`; a machine with one file system only fails the test."""
    devices = {place: Path(place).stat().st_dev for place in PLACES if Path(place).is_dir()}
    place = next((place for place, device in devices.items() if device != near.stat().st_dev), None)
    assert place, f"{near} and {', '.join(devices)} are one file system; mount a tmpfs at /dev/shm"
    folder = Path(tempfile.mkdtemp(prefix="kadanoff-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
