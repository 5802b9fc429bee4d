"""A number with its error."""

from dataclasses import dataclass
from math import hypot, inf, isfinite


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error, printed as 0.1234(56); sums, products and ratios take the others as independent.

    Parameters
    ----------
    mean, error
        The value and one standard error.
    n
        Number of samples.
    """

    mean: float
    error: float
    n: int = 1

    def sigmas(self, other: "Estimate | float") -> float:
        """Deviation from an exact value, or from an independent estimate, in standard errors."""
        difference = self - other
        if difference.error == 0:
            return 0.0 if difference.mean == 0 else inf * difference.mean
        return difference.mean / difference.error

    def __add__(self, other: "Estimate | float") -> "Estimate":
        mean, error = _parts(other)
        return Estimate(self.mean + mean, hypot(self.error, error), n=self.n)

    def __sub__(self, other: "Estimate | float") -> "Estimate":
        mean, error = _parts(other)
        return Estimate(self.mean - mean, hypot(self.error, error), n=self.n)

    def __mul__(self, other: "Estimate | float") -> "Estimate":
        mean, error = _parts(other)
        return Estimate(self.mean * mean, hypot(self.error * mean, self.mean * error), n=self.n)

    def __truediv__(self, other: "Estimate | float") -> "Estimate":
        mean, error = _parts(other)
        return Estimate(self.mean / mean, hypot(self.error, error * self.mean / mean) / abs(mean), n=self.n)

    def __neg__(self) -> "Estimate":
        return self * -1.0

    def __rmul__(self, other: float) -> "Estimate":
        return self * other

    __radd__ = __add__

    def __rsub__(self, other: float) -> "Estimate":
        return -self + other

    def __str__(self) -> str:
        if not (isfinite(self.error) and self.error > 0):
            return f"{self.mean:.8g}({self.error:g})"
        digits, exponent = f"{self.error:.1e}".split("e")
        decimals = 1 - int(exponent)
        if decimals > 1:
            return f"{self.mean:.{decimals}f}({digits.replace('.', '')})"
        if decimals == 1:
            return f"{self.mean:.1f}({digits})"
        return f"{round(self.mean, decimals):.0f}({float(digits) * 10 ** int(exponent):.0f})"


def _parts(value: "Estimate | float") -> tuple[float, float]:
    return (value.mean, value.error) if isinstance(value, Estimate) else (value, 0.0)
