"""Networks that undo a block rule: coarse spins float32 (B, 1, y, x), or (B, 1, x), to probabilities of fine ones.

`Pixels` is that of Efthymiou, Beach and Melko, arXiv:1810.02372 (2019, section II A): every fine spin on its own.
`SeedKernel` is that of CNN-RG-Fast (2026), every fine spin on its own too. `Blocks` is ours: whole blocks, over exactly
the states that the rule allows, so that the rule cannot be broken.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kadanoff.errors import KadanoffError
from kadanoff.spins.surroundings import AROUND, Part, Symmetry, coarse_spins, is_odd, parts, rows, symmetries

ROUNDING = 1e-6  # of temperatures


class Pixels(nn.Module):
    """Upsampling, periodic convolutions with ReLU, a sigmoid: the probability that each fine spin is +1.

    (B, 1, y, x) -> (B, 1, block y, block x), or (B, 1, x) -> (B, 1, block x). Efthymiou et al. give no sizes.
    """

    def __init__(self, block: int, dimension: int, width: int, layers: int) -> None:
        super().__init__()
        self.scale = block
        convolution = nn.Conv2d if dimension == 2 else nn.Conv1d
        widths = [1, *(width,) * (layers - 1), 1]
        stack: list[Any] = []
        for fan_in, fan_out in pairwise(widths):
            # an even kernel would have no centre; 2 block - 1 reaches the next block from every site
            stack += [convolution(fan_in, fan_out, 2 * block - 1, padding="same", padding_mode="circular"), nn.ReLU()]
        self.layers = nn.Sequential(*stack[:-1])
        half = width // 2
        with torch.no_grad():  # filters in pairs of opposite sign: without, a layer may be 0 on lattices of one sign
            for layer in stack[:-2:2]:
                layer.weight[half : 2 * half] = -layer.weight[:half]

    def forward(self, spins: Tensor) -> Tensor:
        """Probabilities of +1 on the fine lattice."""
        return self.logits(spins).sigmoid()

    def logits(self, spins: Tensor) -> Tensor:
        """ln(p / (1 - p)) of these probabilities."""
        return self.layers(nn.functional.interpolate(spins, scale_factor=self.scale, mode="nearest"))


class SeedKernel(nn.Module):
    """CNN-RG-Fast: one convolution of 9 x 9 and a pixel shuffle give mean spins, clamped to [-1, 1].

    (B, 1, y, x) -> (B, 1, block y, block x), periodic. The kernel has the symmetries of the square, and no bias, so
    that flipped spins give flipped ones. The mean of a spin is taken as 2 P - 1: P(+1) = (1 + mean) / 2.
    """

    SIDE = 9
    SURE = 1e-6  # CNN-RG-Fast's clamp makes spins certain; a likelihood needs some doubt

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block = block
        self.kernel = nn.Parameter(torch.empty(block, block, self.SIDE, self.SIDE))
        sites = self.SIDE**2
        nn.init.uniform_(self.kernel, -1 / sites, 1 / sites)  # so small that nothing is clamped at first

    def forward(self, spins: Tensor) -> Tensor:
        """Probabilities of +1 on the fine lattice."""
        around = nn.functional.pad(spins, (self.SIDE // 2,) * 4, mode="circular")
        kernel = self.symmetric().reshape(self.block**2, 1, self.SIDE, self.SIDE)
        means = nn.functional.pixel_shuffle(nn.functional.conv2d(around, kernel), self.block)
        return (1 + means.clamp(-1, 1)) / 2

    def symmetric(self) -> Tensor:
        """The kernel, averaged over the symmetries of the square: places in a block (2 axes), spins seen (2 axes)."""
        turned = [self.kernel.rot90(turns, (0, 1)).rot90(turns, (2, 3)) for turns in range(4)]
        return torch.stack([*turned, *(part.transpose(0, 1).transpose(2, 3) for part in turned)]).mean(0)

    def logits(self, spins: Tensor) -> Tensor:
        """ln(p / (1 - p)) of these probabilities, none of them closer than `SURE` to 0 or 1."""
        return self(spins).logit(self.SURE)


class Orbit(NamedTuple):
    """What a part can see, seen from every side: rows of spins (`kadanoff.spins.surroundings.rows`) by their number."""

    spins: Tensor  # (rows, inputs), float32
    moved: Tensor  # (symmetry, rows): the number of each row after it
    states: Tensor  # (symmetry, states): the number of each state after it
    first: Tensor  # (rows,): the lowest number among those that the symmetries make of a row

    @staticmethod
    def of(inputs: int, symmetries: Sequence[Symmetry]) -> "Orbit":
        """That of so many spins under these symmetries."""
        spins = rows(inputs)
        moved = np.stack([(spins[:, places] > 0) @ (1 << np.arange(inputs)) for places, _ in symmetries])
        states = np.stack([states for _, states in symmetries])
        return Orbit(*map(torch.from_numpy, (spins.astype(np.float32), moved, states, moved.min(0))))

    def apply(self, scores: Callable[[Tensor], Tensor], seen: Tensor) -> Tensor:
        """Scores (n, states) of what is seen, from those of the first of each orbit: so they have the symmetries."""
        spins, all_moved, all_states, lowest = (part.to(seen.device) for part in self)
        row = ((seen > 0) << torch.arange(seen.shape[1], device=seen.device)).sum(1)
        first = lowest[row]
        found = scores(spins[first])
        total, count = torch.zeros_like(found), torch.zeros_like(found[:, :1])
        for moved, states in zip(all_moved, all_states, strict=True):
            hit = (moved[row] == first)[:, None]  # several symmetries hit if the row has some itself
            total, count = total + hit * found[:, states], count + hit
        return total / count


class Conditional(nn.Module):
    """log P(state of a block | spins that it sees): (n, inputs) of +1 and -1 -> (n, states), -inf where forbidden.

    The first input is the block's own coarse spin. For an odd rule the result is symmetric under the flip of all
    spins by construction; with `symmetries`, also under these.
    """

    allowed: Tensor

    def __init__(self, inputs: int, coarse: Tensor, odd: bool, width: int, symmetries: Sequence[Symmetry] = ()) -> None:
        super().__init__()
        self.odd = odd
        self.orbit: Orbit | None = Orbit.of(inputs, symmetries) if symmetries else None
        # (2, states): those that give a coarse spin -1, and +1; part of the recipe, not of the weights
        self.register_buffer("allowed", torch.stack([coarse == -1, coarse == 1]), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, len(coarse))
        )

    def forward(self, seen: Tensor) -> Tensor:
        """Log-probabilities of all states."""
        own = seen[:, :1]
        if self.odd:  # as seen by a block whose coarse spin is +1; flipping all spins reverses the order of the states
            logits = self._scores(seen * own)
            logits = torch.where(own > 0, logits, logits.flip(1))
        else:
            logits = self._scores(seen)
        forbidden = ~self.allowed[(own[:, 0] > 0).long()]
        return logits.masked_fill(forbidden, -torch.inf).log_softmax(1)

    def sharpen(self, sharpness: float) -> None:
        """Multiply all log-probabilities, before they are normalised."""
        last = cast(nn.Linear, self.layers[-1])
        last.weight.mul_(sharpness)
        last.bias.mul_(sharpness)

    def _scores(self, seen: Tensor) -> Tensor:
        return self.layers(seen) if self.orbit is None else self.orbit.apply(self.layers, seen)


class Blocks(nn.Module):
    """One `Conditional` for each part of a draw (`kadanoff.spins.surroundings.parts`).

    On the square they have those of its symmetries that the rule has, by construction. With `gibbs` the network also
    holds the conditional of a coarse spin, for sweeps of the coarse lattice (`kadanoff.inverse.renormalized`).
    """

    log_odds: Tensor | None

    def __init__(self, rule: str, block: int, dimension: int, width: int, gibbs: bool = False) -> None:
        super().__init__()
        coarse = coarse_spins(rule, block, dimension)
        self.scheme = parts(block, dimension)
        self.odd = is_odd(rule, block, dimension)
        kept = [_kept(part, block, coarse) if dimension == 2 else () for part in self.scheme]
        self.parts = nn.ModuleList(
            Conditional(part.inputs, torch.from_numpy(coarse), self.odd, width, own)
            for part, own in zip(self.scheme, kept, strict=True)
        )
        self.register_buffer("log_odds", torch.zeros(1 << len(AROUND)) if gibbs else None)

    def forward(self, spins: Tensor) -> Tensor:
        """P(state) of every block as if it were drawn first: (B, 1, y, x) -> (B, states, y, x); chains alike."""
        axes = tuple(range(2 - spins.ndim, 0))  # those of the lattice
        shifts = [tuple(-step for step in place)[-len(axes) :] for place in self.scheme[0].coarse]
        seen = torch.stack([spins[:, 0].roll(shift, axes) for shift in shifts], -1)  # (B, y, x, inputs)
        return self.parts[0](seen.flatten(0, -2)).exp().unflatten(0, seen.shape[:-1]).movedim(-1, 1)


def _kept(part: Part, block: int, coarse: NDArray[np.int8]) -> list[Symmetry]:
    """Symmetries of the square that leave what the rule makes of every state: of ties and decimation x for y alone."""
    return [found for found in symmetries(part, block) if (coarse[found.states] == coarse).all()]


class Superresolution(nn.Module):
    """Networks for one block rule, one per temperature, as in Efthymiou et al. (2019).

    They undo a `rule` by which a `block` x `block` square (`dimension` 2) or a segment (1) became one spin;
    `temperatures` are those of the fine lattices that they were trained on, in units of |J|/k_B, ascending.
    """

    def __init__(
        self, rule: str, block: int, dimension: int, temperatures: Sequence[float], networks: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.rule, self.block, self.dimension = rule, block, dimension
        self.temperatures = tuple(temperatures)
        self.networks = nn.ModuleList(networks)

    def at(self, temperature: float) -> Pixels | SeedKernel | Blocks:
        """The network of the nearest trained temperature.

        KadanoffError if the temperature is outside of the trained ones, or further from the nearest than half of the
        step to its neighbour.
        """
        known = np.array(self.temperatures)
        nearest = int(np.abs(known - temperature).argmin())
        steps = np.abs(np.diff(known))[max(0, nearest - 1) : nearest + 1]
        reach = max(steps, default=0.0) / 2 + ROUNDING
        inside = known.min() - ROUNDING <= temperature <= known.max() + ROUNDING
        if not (inside and abs(known[nearest] - temperature) <= reach):
            trained = f"{known.min():g} to {known.max():g}" if len(known) > 1 else f"{known[0]:g}"
            raise KadanoffError(
                f"temperature is {temperature:g}, but these networks were trained at {trained} (fine lattices); the "
                f"nearest, {known[nearest]:g}, serves those within {reach:.3g}. Take one of these, or train at "
                "another: an entry of `datasets` and of `superres.variants`."
            )
        return cast(Pixels | SeedKernel | Blocks, self.networks[nearest])

    def check(self, shape: Sequence[int], rule: str | None = None) -> None:
        """KadanoffError if coarse lattices (n, y, x) or (n, x) have another dimension or rule, or a side is odd."""
        names = {1: "chains (n, x)", 2: "square lattices (n, y, x)"}
        if len(shape) != self.dimension + 1:
            raise KadanoffError(
                f"the coarse spins have the shape {tuple(shape)}; this network refines {names[self.dimension]}. "
                "Take a network of that dimension."
            )
        if rule is not None and rule != self.rule:
            raise KadanoffError(
                f"rule is {rule!r}, but this network was trained to undo {self.rule!r}; take that rule, or train one "
                "for yours: an entry of `superres.variants`."
            )
        if any(side % 2 for side in shape[1:]):
            sides = " x ".join(map(str, shape[1:]))
            raise KadanoffError(
                f"the coarse lattice is {sides}; blocks are drawn by the colours of a checkerboard, which closes on "
                "itself for even sides only. Take even sides."
            )

    def forward(self, spins: Tensor) -> Tensor:
        """What the only network gives for coarse spins (B, 1, y, x) or (B, 1, x); KadanoffError if it has several."""
        if len(self.networks) > 1:
            raise KadanoffError(
                f"this file holds {len(self.networks)} networks, one a temperature from {min(self.temperatures):g} to "
                f"{max(self.temperatures):g}; apply `network.at(temperature)`."
            )
        self.check(spins[:, 0].shape)
        return self.networks[0](spins)
