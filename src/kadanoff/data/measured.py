"""What the configurations of an ensemble say, with errors: a row a temperature; and how that looks."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, whole
from kadanoff.estimate import Estimate
from kadanoff.spins.observables import binder, specific_heat, susceptibility, two_point
from kadanoff.spins.statistics import independent_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {
    "energy_per_site": "energy per site (|J|)",
    "abs_magnetization": "|m| per site",
    "susceptibility": "susceptibility of |m| per site",
    "specific_heat": "specific heat per site",
    "binder": "Binder cumulant U4",
}
"""Observables with one number a temperature, by the name of their method, and what an axis says."""


class Measured(ABC):
    """Observables of an `Ensemble`: tables with the columns `mean` and `error`, one standard error; and its repr.

    The examples go on with the ensemble of that class.
    """

    spins: Any
    temperatures: NDArray[np.float64]
    energy: NDArray[np.float64]
    magnetization: NDArray[np.float64]
    provenance: dict[str, Any]

    @abstractmethod
    def read(self, temperature: int | slice = slice(None), sample: int | slice = slice(None)) -> NDArray[np.int8]:
        """Spins as a NumPy array."""

    def __repr__(self) -> str:
        return f"<kadanoff.Ensemble: {'; '.join(f'{name} {value}' for name, value in self._facts().items())}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in self._facts().items())
        return f"<b>kadanoff.Ensemble</b><table>{rows}</table>"

    def _facts(self) -> dict[str, str]:
        parameters, (temperatures, samples, *sides) = self.provenance.get("parameters", {}), self.spins.shape
        low, high = self.temperatures.min(), self.temperatures.max()
        facts = {
            "lattice": " x ".join(map(str, sides)),
            "boundary": parameters.get("boundary"),
            "coupling": parameters.get("coupling"),
            "temperatures": f"{temperatures}, {low:g} to {high:g}" if temperatures > 1 else f"{low:g}",
            "samples": samples,
            "sampler": self.provenance.get("sampler"),
            "seed": parameters.get("seed"),
        }
        return {name: str(value) for name, value in facts.items() if value is not None}

    def energy_per_site(self) -> pd.DataFrame:
        """Mean energy, in units of |J|; index `temperature`.

        >>> ensemble.energy_per_site()["mean"].round(3).tolist()
        [-1.949, -0.809]
        """
        return _table(self, lambda index: independent_mean(self.energy[index]))

    def abs_magnetization(self) -> pd.DataFrame:
        """<|m|>, m the mean spin, not staggered; index `temperature`.

        >>> ensemble.abs_magnetization()["mean"].round(3).tolist()
        [0.986, 0.172]
        """
        return _table(self, lambda index: independent_mean(np.abs(self.magnetization[index])))

    def susceptibility(self) -> pd.DataFrame:
        """N var(|m|) / T; index `temperature`.

        >>> ensemble.susceptibility()["mean"].round(2).tolist()
        [0.03, 1.13]
        """
        sites, temperatures = _sites(self), self.temperatures
        return _table(self, lambda i: susceptibility(np.abs(self.magnetization[i]), sites, temperatures[i]))

    def specific_heat(self) -> pd.DataFrame:
        """N var(e) / T^2; index `temperature`.

        >>> ensemble.specific_heat()["mean"].round(2).tolist()
        [0.19, 0.44]
        """
        sites, temperatures = _sites(self), self.temperatures
        return _table(self, lambda i: specific_heat(self.energy[i], sites, temperatures[i]))

    def binder(self) -> pd.DataFrame:
        """U4 = 1 - <m^4> / (3 <m^2>^2); index `temperature`.

        >>> ensemble.binder()["mean"].round(2).tolist()
        [0.67, 0.21]
        """
        return _table(self, lambda index: binder(self.magnetization[index]))

    def correlation(self) -> pd.DataFrame:
        """G(r) = <s_0 s_r> along the axes; index (`temperature`, `r`), r = 0 to half of the shortest side.

        Pairs across an edge count on a periodic axis only.

        >>> ensemble.correlation().loc[3.0].head(3).round(3)
            mean  error
        r
        0  1.000  0.000
        1  0.405  0.006
        2  0.180  0.007
        """
        boundary = self.provenance.get("parameters", {}).get("boundary", "periodic")
        dimension = self.spins.ndim - 2
        periodic = {"periodic": (True, True), "skewed": (False, True)}.get(boundary, (False, False))[-dimension:]
        tables = {}
        for index, temperature in enumerate(self.temperatures):
            found = two_point(self.read(index), periodic)
            tables[temperature] = _frame(
                [independent_mean(column) for column in found.T], pd.RangeIndex(found.shape[1])
            )
        return pd.concat(tables, names=["temperature", "r"])

    def plot(self, observable: str = "abs_magnetization", axes: "Axes | None" = None, **style: Any) -> "Axes":
        """Draw an observable over the temperature, with error bars, and return Matplotlib's axes.

        It looks as Matplotlib's settings say; ``plt.style.use("kadanoff.style")`` gives the look of the reports.

        Parameters
        ----------
        observable
            ``energy_per_site``, ``abs_magnetization``, ``susceptibility``, ``specific_heat`` or ``binder``.
        axes
            Where; a new figure unless given.
        **style
            What `matplotlib.axes.Axes.errorbar` takes.

        Raises
        ------
        KadanoffError
            If there is no such observable.

        Examples
        --------
        >>> ensemble.plot("binder", label="L = 16").get_ylabel()
        'Binder cumulant U4'
        """
        import matplotlib.pyplot as plt

        if observable not in LABELS:
            raise KadanoffError(f"observable is {observable!r}; take one of {', '.join(LABELS)}.")
        found = getattr(self, observable)()
        axes = plt.subplots()[1] if axes is None else axes
        drawn: dict[str, Any] = {"fmt": "o", "ms": 4} | style
        axes.errorbar(found.index, found["mean"], found["error"], **drawn)
        axes.set(xlabel="T (|J|/k_B)", ylabel=LABELS[observable])
        return axes

    def plot_configurations(self, sample: int = 0) -> NDArray:
        """Draw one configuration of each temperature, up to eight, and return Matplotlib's axes (n,).

        >>> [axes.get_title() for axes in ensemble.plot_configurations()]
        ['T = 1.5', 'T = 3']
        """
        import matplotlib.pyplot as plt

        sample = whole(sample, "sample", 0, self.spins.shape[1] - 1)
        shown = np.unique(
            np.linspace(0, len(self.temperatures) - 1, min(8, len(self.temperatures))).round().astype(int)
        )
        axes = plt.subplots(1, len(shown), figsize=(2.2 * len(shown), 2.4), squeeze=False)[1][0]
        for each, index in zip(axes, shown, strict=True):
            spins = np.atleast_2d(self.read(index, slice(sample, sample + 1))[0])
            each.imshow(spins, cmap="YlGnBu_r", vmin=-1, vmax=1, interpolation="nearest")
            each.set(title=f"T = {self.temperatures[index]:.4g}", xticks=[], yticks=[])
        return axes


def _sites(ensemble: Measured) -> int:
    return int(np.prod(ensemble.spins.shape[2:]))


def _table(ensemble: Measured, estimate: Callable[[int], Estimate]) -> pd.DataFrame:
    index = pd.Index(ensemble.temperatures, name="temperature")
    return _frame([estimate(number) for number in range(len(index))], index)


def _frame(estimates: list[Estimate], index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({"mean": [e.mean for e in estimates], "error": [e.error for e in estimates]}, index=index)
