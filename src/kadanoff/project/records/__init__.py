"""The record of a run: what it is (`runinfo`), how it is written (`recorder`), read (`read`), pinned (`dvclock`)."""

from kadanoff.project.records.recorder import Recorder, recorded

__all__ = ["Recorder", "recorded"]
