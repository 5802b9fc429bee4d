"""Show the findings, and repair what may be repaired."""

from collections.abc import Callable, Iterable

from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor.finding import Finding, Repair


def treat(
    examine: Callable[[], Iterable[Finding]], may: Callable[[Repair], bool], say: Callable[[str], object]
) -> list[Finding]:
    """Say every finding and do the repairs that `may` allows; what is left wrong.

    One repair can uncover another trap: a broken object that is moved aside is then a missing one. So the
    examination is repeated until it finds nothing new.
    """
    said: set[str] = set()
    while True:
        findings = list(examine())
        fresh = [finding for finding in findings if finding.what not in said]
        if not fresh:
            return findings
        for finding in fresh:
            said.add(finding.what)
            say(f"* {finding.what}")
            if finding.repair and may(finding.repair):
                _act(finding.repair, say)


def _act(repair: Repair, say: Callable[[str], object]) -> None:
    try:
        repair.act()
    except (KadanoffError, OSError) as error:  # the other repairs go on
        say(f"  not repaired: {error}")
    else:
        say(f"  repaired: {repair.does}")
