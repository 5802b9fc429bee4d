"""Networks that coarsen: float32 (B, 1, H, W) spins to (B, 1, H/block, W/block).

`Drawn`, `Cnn` and `Mlp` are those of "Coarse-Graining the 2D Ising Model with Neural Networks" (the report, section
3); its own code trained another network than its diagram shows, and both are here. `Exact` is ours.
"""

from torch import Tensor, nn

from kadanoff.errors import KadanoffError


class Coarsener(nn.Module):
    """A stack of layers for lattices of any size whose sides are multiples of `block`; trained at `size`.

    KadanoffError if the block divides no side, of what it is trained on or applied to.
    """

    def __init__(self, block: int, size: int, *layers: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.layers = nn.Sequential(*layers)
        Coarsener.check(self, size, size)

    def check(self, height: int, width: int) -> None:
        """Refuse a lattice that cannot be cut into blocks."""
        if height % self.block or width % self.block:
            raise KadanoffError(
                f"the lattice is {height} x {width}; block = {self.block} must divide both sides. "
                "Take another lattice, or a network trained with another block."
            )

    def forward(self, spins: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H/block, W/block)."""
        self.check(*spins.shape[-2:])
        return self.layers(spins)


class Drawn(Coarsener):
    """The report's diagram (section 3.1): 4,929 parameters at block 2, although it states 9,569."""

    def __init__(self, block: int, size: int) -> None:
        super().__init__(
            block,
            size,
            nn.Conv2d(1, 16, 3, padding=1),  # (B, 16, H, W)
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),  # (B, 32, H, W)
            nn.ReLU(),
            nn.Conv2d(32, 1, block, stride=block),  # (B, 1, H/block, W/block)
        )


class Cnn(Coarsener):
    """The convolutional network that the report trained: 9,569 parameters at any block.

    Mean pooling cannot tell the sites of a block apart, so through the tanh it only approximates a block average:
    about 1e-3 per site remains however long it is trained. A majority it learns to any accuracy.
    """

    def __init__(self, block: int, size: int) -> None:
        super().__init__(
            block,
            size,
            *_convolution(1, 16),  # (B, 16, H, W)
            nn.Dropout2d(0.1),
            *_convolution(16, 32),  # (B, 32, H, W)
            nn.Dropout2d(0.1),
            *_convolution(32, 16),  # (B, 16, H, W)
            nn.AvgPool2d(block),  # (B, 16, H/block, W/block)
            nn.Conv2d(16, 1, 1),  # (B, 1, H/block, W/block)
            nn.Tanh(),
        )


class Mlp(Coarsener):
    """The perceptron that the report trained, for size x size only: 305,856 parameters at size 16 and block 2."""

    def __init__(self, block: int, size: int) -> None:
        coarse = size // block
        super().__init__(
            block,
            size,
            nn.Flatten(),  # (B, size * size)
            *_dense(size * size, 512),
            *_dense(512, 256),
            *_dense(256, 128),  # (B, 128)
            nn.Linear(128, coarse * coarse),
            nn.Tanh(),
            nn.Unflatten(1, (1, coarse, coarse)),  # (B, 1, size/block, size/block)
        )
        self.size = size

    def check(self, height: int, width: int) -> None:
        """Refuse every lattice but the one it was built for."""
        if (height, width) != (self.size, self.size):
            raise KadanoffError(
                f"the lattice is {height} x {width}; this perceptron is bound to {self.size} x {self.size}. "
                "Train one at this size, or use a convolutional network."
            )


class Exact(Coarsener):
    """One linear map of a block to its value: the same for every block, so periodic; no bias, so odd in the spins.

    Every block rule that is linear (the average, decimation) is a point of its block^2 parameters.
    """

    def __init__(self, block: int, size: int) -> None:
        super().__init__(block, size, nn.Conv2d(1, 1, block, stride=block, bias=False))


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()


def _dense(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.ReLU(), nn.BatchNorm1d(outputs), nn.Dropout(0.2)
