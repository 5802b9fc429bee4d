"""The speed of the samplers, the cost of sharing and of growing lattices, as `kadanoff bench` wrote them."""

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from kadanoff.errors import KadanoffError

LARGEST = 2**18  # bytes


class Row(BaseModel):
    """One measurement: nanoseconds a site and sweep on a square lattice of side `size`."""

    program: str = Field(max_length=100)
    sampler: str = Field(max_length=100)
    size: int = Field(ge=1, le=10**9)
    cores: int = Field(ge=1, le=10**6)
    ns_per_site: float = Field(gt=0, allow_inf_nan=False)


class Transfer(BaseModel):
    """One way of all datasets through a server, or back: `bytes` passed between the two."""

    program: str = Field(max_length=100)
    action: str = Field(max_length=100)
    seconds: float = Field(gt=0, allow_inf_nan=False)
    bytes: int = Field(ge=0)


class Sharing(BaseModel):
    """What sharing the datasets costs."""

    datasets: int
    spins: int = Field(gt=0)
    rows: list[Transfer]


class Step(BaseModel):
    """Draw or sweeps of one enlargement to the side `size`: nanoseconds a spin, of sweeps also a sweep."""

    program: str = Field(max_length=100)
    device: str = Field(max_length=100)
    step: str = Field(max_length=100)
    size: int = Field(ge=1, le=10**9)
    cores: int = Field(ge=1, le=10**6)
    ns: float = Field(gt=0, allow_inf_nan=False)


class Command(BaseModel):
    """One command that grew a lattice; `shares` are fractions of the processor's time."""

    size: int = Field(ge=1, le=10**9)
    seconds: float = Field(gt=0, allow_inf_nan=False)
    ns_per_spin: float = Field(gt=0, allow_inf_nan=False)
    peak_bytes: int = Field(ge=0)
    bytes_per_spin: float = Field(gt=0, allow_inf_nan=False)
    shares: dict[str, float]


class Growth(BaseModel):
    """What growing lattices costs, beside the published method."""

    steps: list[Step]
    commands: list[Command]


class Bench(BaseModel):
    """The content of bench.json."""

    machine: str = Field(max_length=400)
    versions: dict[str, str]
    rows: list[Row]
    sharing: Sharing | None = None
    growth: Growth | None = None


def read_bench(root: Path) -> Bench | None:
    """The measurements, if there are any.

    Raises
    ------
    KadanoffError
        If the file is not one that `kadanoff bench` wrote.
    """
    path = root / "reports" / "bench.json"
    if path.is_symlink() or not path.is_file():
        return None
    if path.stat().st_size > LARGEST:
        raise KadanoffError(f"{path} has over {LARGEST // 2**10} kB; write it anew with `make bench`.")
    try:
        return Bench.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "content"
        raise KadanoffError(
            f"{path}: its {place} is wrong: {fault['msg']}; write it anew with `make bench`."
        ) from error
