"""Finds the known traps of a project under DVC and MLflow, and repairs them without losing work.

`examine` yields findings, one file per family of checks; `treat` shows them and repairs what it is allowed to.
"""

from kadanoff.lab.doctor.examination import examine
from kadanoff.lab.doctor.finding import Finding, Repair
from kadanoff.lab.doctor.treatment import treat

__all__ = ["Finding", "Repair", "examine", "treat"]
