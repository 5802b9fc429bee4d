"""How a speed is measured: the slope between the best of a few short and of a few long runs."""

import time
from collections.abc import Callable

REPEATS = 5

Sweeps = Callable[[int], object]  # run this many sweeps


def slope_ns(run: Sweeps, few: int, many: int, sites: int) -> float:
    """Nanoseconds per site and sweep, from the best times of few and of many sweeps: set-up and measurements cancel."""
    run(few)

    def best(count: int) -> float:
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            run(count)
            times.append(time.perf_counter() - start)
        return min(times)

    return (best(many) - best(few)) * 1e9 / (sites * (many - few))
