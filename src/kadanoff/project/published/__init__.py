"""Records as files in Git: read as data from outside, and published under a name of their own."""

from kadanoff.project.published.publish import publish
from kadanoff.project.published.read import Published, find_publications, find_records, read_record

__all__ = ["Published", "find_publications", "find_records", "publish", "read_record"]
