"""The figure of `growth`: cost against size."""

from pathlib import Path
from typing import Any

from benchmarks.growth import PARTS, enlargement_ns
from kadanoff.project.figures import figure
from kadanoff.runtime.files import disk_errors


def draw(growth: dict[str, Any], path: Path) -> None:
    """Write the cost a spin against the size, of the command and of its parts, as a PNG.

    Raises
    ------
    KadanoffError
        If `path` cannot be written.
    """
    with figure(1, 2, figsize=(10, 4)) as (drawn, (left, right)):
        _costs(left, growth)
        _parts(right, growth)
        for axis in (left, right):
            axis.set_xlabel("side $L$ of the grown lattice")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn.savefig(path, metadata={"Software": None})


def _costs(axis: Any, growth: dict[str, Any]) -> None:
    """The whole command, what of it grows with the lattice, and the published enlargement, on logarithmic axes."""
    cores, commands = growth["cores"], growth["commands"]
    sides = [row["size"] for row in commands]
    axis.plot(
        sides, [row["ns_per_spin"] for row in commands], "o-", color="black", label="kadanoff grow: seconds x cores"
    )
    axis.plot(sides, [sum(_scaling(row)) for row in commands], "s-", color="C0", label="of it, the parts on the right")
    for device, colour in (("cpu", "C1"), ("cuda", "C2")):
        found = [row for row in growth["steps"] if row["program"] == "published" and row["device"] == device]
        if found:
            count = max(row["cores"] for row in found)
            level = enlargement_ns(growth, "published", count, device)
            name = "GPU" if device == "cuda" else f"{count} core{'s' * (count > 1)}"
            axis.plot(found[0]["size"], level, "D", color=colour, label=f"published, PyTorch, in memory, {name}")
    axis.set(xscale="log", yscale="log", ylabel=f"ns x cores per spin, on {cores} cores", title="cost against size")
    axis.set_ylim(bottom=axis.get_ylim()[0] / 8)  # room for the legend
    axis.legend(loc="lower left")
    axis.set_xticks(sides, [str(side) for side in sides])
    axis.minorticks_off()


def _parts(axis: Any, growth: dict[str, Any]) -> None:
    """What grows with the lattice, stacked."""
    commands = growth["commands"]
    places, below = range(len(commands)), [0.0] * len(commands)
    for number, name in enumerate(PARTS):
        heights = [_scaling(row)[number] for row in commands]
        axis.bar(places, heights, 0.6, bottom=below, label=name)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axis.set_xticks(places, [str(row["size"]) for row in commands])
    axis.set(ylabel="processor ns per spin", title="parts that grow with the lattice, all levels together")
    axis.set_ylim(0, 1.35 * max(below))
    axis.legend(ncols=2, reverse=True)


def _scaling(row: dict[str, Any]) -> list[float]:
    """Nanoseconds of the processor a spin, of the parts."""
    return [row["shares"][name] * row["processor_ns_per_spin"] for name in PARTS]
