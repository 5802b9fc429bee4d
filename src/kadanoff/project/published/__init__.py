"""Records as files in Git: read as data from outside, published under a name of their own, found in other commits."""

from kadanoff.project.published.lockfile import lock_entries
from kadanoff.project.published.publish import PublishReport, publish
from kadanoff.project.published.read import Published, find_publications, find_records, read_record

__all__ = [
    "PublishReport",
    "Published",
    "find_publications",
    "find_records",
    "lock_entries",
    "publish",
    "read_record",
]
