"""The report: one self-contained page, made from the records alone."""

from kadanoff.project.report.page import write_report

__all__ = ["write_report"]
