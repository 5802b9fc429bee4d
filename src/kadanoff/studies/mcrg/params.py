"""The section `mcrg`, and the rules that it names; it loads fast, as every process that follows chains loads it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from kadanoff.errors import KadanoffError
from kadanoff.renormalization.couplings import images
from kadanoff.renormalization.flow import BOND, Flow, Setup, follow
from kadanoff.renormalization.rules import Rule, corner, majority, weighted
from kadanoff.validation import Name, Section, Seed


class RuleEntry(Section):
    """A rule of `mcrg.rules`.

    P(s') ~ exp(weight s' sum of the block's spins) if it is `weighted`; the variant `trained` of the stage `block_rule`
    if it is `learned`.
    """

    rule: Literal["majority", "decimation", "weighted", "learned"]
    block: int = Field(ge=2)
    weight: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    trained: Name | None = None

    @model_validator(mode="after")
    def _own_key(self) -> "RuleEntry":
        for key, rule in (("weight", "weighted"), ("trained", "learned")):
            if (self.rule == rule) != ((value := getattr(self, key)) is not None):
                raise ValueError(f"{key} is {value} and rule is {self.rule}; the rule `{rule}` has one, no other")
        return self


def rule_of(described: RuleEntry, models: Path) -> Rule:
    """The rule of an entry: the one place where rules are made; `models` holds the weights of learned ones.

    KadanoffError if these are missing, damaged, or of blocks of another side.
    """
    if described.trained is not None:
        from kadanoff.renormalization.learned import load_rule

        rule = load_rule(path := weights_of(described.trained, models))
        if rule.block != described.block:
            raise KadanoffError(f"{path} has blocks of {rule.block}, and its entry of {described.block}; correct it.")
        return rule
    if described.weight is not None:
        return weighted(described.block, described.weight)
    return {"majority": majority, "decimation": corner}[described.rule](described.block)


def weights_of(trained: str, models: Path) -> Path:
    """File of a variant of the stage `block_rule`."""
    return models / f"{trained}.safetensors"


def follow_entries(models: Path, rules: dict[str, RuleEntry], setup: Setup, first: int, chains: int) -> dict[str, Flow]:
    """`follow`, in another process: a rule crosses to it as its entry."""
    return follow({name: rule_of(rule, models) for name, rule in rules.items()}, setup, first, chains)


class Lattices(Section):
    """Lattices that all rules with blocks of this side take `steps` times; measurements are of each chain."""

    block: int = Field(ge=2)
    size: int = Field(ge=2)
    steps: int = Field(ge=1)
    measurements: int = Field(ge=2)


class Pairs(Section):
    """Lattices of `size` that a rule takes `steps` times, and smaller ones by a block's side, one step less."""

    rule: Name
    size: int = Field(ge=2)
    steps: int = Field(ge=1)
    measurements: int = Field(ge=2)


class Matching(Pairs):
    """Pairs that are matched; `start` is a guess at K_c."""

    start: float = Field(gt=0, allow_inf_nan=False)


class Separation(Pairs):
    """Pairs above and below T_c, by the share `away` of it, the smaller ones by a block's side times that."""

    away: float = Field(gt=0, le=0.1)


class Params(Section):
    """The section `mcrg`."""

    even: list[str] = Field(min_length=1)
    odd: list[str] = Field(min_length=1)
    rules: dict[Name, RuleEntry] = Field(min_length=1)
    lattices: list[Lattices] = Field(min_length=1)
    matching: Matching
    separation: Separation
    chains: int = Field(ge=8)
    every: int = Field(ge=1)
    seed: Seed

    @field_validator("even", "odd")
    @classmethod
    def _interactions(cls, names: list[str]) -> list[str]:
        try:
            different = {images(name) for name in names}
        except KadanoffError as error:
            raise ValueError(str(error)) from error
        if len(different) < len(names):
            raise ValueError("an interaction stands there twice, perhaps turned or shifted; leave one out")
        return names

    @model_validator(mode="after")
    def _rules(self) -> "Params":
        blocks = {rule.block for rule in self.rules.values()}
        if (seen := {lattices.block for lattices in self.lattices}) != blocks:
            raise ValueError(f"rules have blocks of {sorted(blocks)}, lattices of {sorted(seen)}; give both the same")
        if len({(lattices.block, lattices.size) for lattices in self.lattices}) < len(self.lattices):
            raise ValueError("lattices has one block and size twice; raise the measurements of one entry")
        for name in ("matching", "separation"):
            if (rule := getattr(self, name).rule) not in self.rules:
                raise ValueError(f"{name}.rule is {rule}; take one of rules: {', '.join(self.rules)}")
        return self

    def by_block(self, block: int) -> dict[str, RuleEntry]:
        """The rules with blocks of this side."""
        return {name: rule for name, rule in self.rules.items() if rule.block == block}

    def trained(self, models: Path) -> list[Path]:
        """The weights of learned rules."""
        return [weights_of(rule.trained, models) for rule in self.rules.values() if rule.trained is not None]

    def setup(self, lattices: Lattices) -> Setup:
        """What is simulated for these lattices, at T_c."""
        interactions = (*self.even, *self.odd)
        return Setup(
            lattices.size, lattices.steps, lattices.measurements, interactions, every=self.every, seed=self.seed
        )

    def pair(self, of: Pairs, temperature: float) -> Setup:
        """The larger lattice of a pair, of which the neighbours are measured."""
        return Setup(of.size, of.steps, of.measurements, (BOND,), temperature, self.every, self.seed)
