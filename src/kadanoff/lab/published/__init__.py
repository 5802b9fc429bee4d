"""Records as files in Git: read as data from outside, published under a name of their own."""

from kadanoff.lab.published.read import Published, find_records, read_record

__all__ = ["Published", "find_records", "read_record"]
