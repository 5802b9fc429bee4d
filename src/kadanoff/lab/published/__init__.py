"""Records as files in Git: read as data from outside, published under a name of their own, found in other commits."""

from kadanoff.lab.published.lockfile import lock_entries
from kadanoff.lab.published.publish import PublishReport, publish
from kadanoff.lab.published.read import Published, find_publications, find_records, read_record

__all__ = [
    "PublishReport",
    "Published",
    "find_publications",
    "find_records",
    "lock_entries",
    "publish",
    "read_record",
]
