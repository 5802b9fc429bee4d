"""Stage `block_rule`: train a block rule with a few weights; models/block_rule/VARIANT.safetensors.

Its exponents are measured by the stage `mcrg`. No criterion here has one in it; how they were found is told in
`renormalization.fixed_point`.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from kadanoff.estimate import Estimate
from kadanoff.project.params import section
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.tables import Cell, table
from kadanoff.renormalization import fixed_point, information
from kadanoff.renormalization.critical import critical_lattices
from kadanoff.renormalization.learned import Weights, compact_terms, features, first_weights
from kadanoff.renormalization.rules import Rule, corner, majority, weighted
from kadanoff.studies.mcrg.block_rule_figures import draw_means, draw_weights
from kadanoff.validation import Section, Seed, validated

RING = "majority of the ring"
SHOWN = 1000
"""Lattices whose means are drawn."""


class Params(Section):
    """The keys of `block_rule` but `variants`."""

    lattices: int = Field(ge=128)  # that train
    many: int = Field(ge=128)  # whose averages they are given
    judged: int = Field(ge=128)  # on which rules are compared, and whose blocks' information trains
    buffer: int = Field(ge=0)  # spins between those that a rule sees and the environment of its block
    seed: Seed


class Variant(Section):
    """An entry of `block_rule.variants`."""

    criterion: Literal["fixed_point", "information"]
    block: int = Field(ge=2, le=4)
    triples: int = Field(ge=0)


def read(root: Path, name: str) -> tuple[Variant, Params]:
    """The entry `name`, and the keys that all share; KadanoffError if there is none, or a key breaks a rule."""
    shared = {key: value for key, value in section(root, "block_rule").items() if key != "variants"}
    where = f"block_rule.variants.{name}"
    variant = validated(Variant, section(root, "block_rule", "variants", name), where)
    return variant, validated(Params, shared, "block_rule")


def block_rule(root: Path, name: str) -> None:
    """Train a block rule into models/block_rule/VARIANT.safetensors, towards a fixed point or to keep information."""
    variant, params = read(root, name)
    parameters = variant.model_dump() | params.model_dump()
    information.environment(np.ones((1, *[8 * variant.block] * 2), np.int8), variant.block, params.buffer)  # refuses
    with recorded("block_rule", name, parameters=parameters) as record:
        weights = (_fixed_point if variant.criterion == "fixed_point" else _informed)(variant, params, record)
        found = _judge(weights, params)
        metrics = {rule: {"divergence": divergence, "information": kept} for rule, (divergence, kept) in found.items()}
        record.metrics(
            {"rules": metrics, "weights": {term.replace(" ", "-"): each for term, each in weights.values.items()}}
        )
        record.summary(
            f"Rule of {variant.block} x {variant.block} blocks with {len(weights.values)} weights: divergence "
            "{divergence} from the critical model (majority {majority_divergence}), and {information} nats of its far "
            "surroundings (majority {majority_information}).",
            "weights",
            divergence="rules/learned/divergence",
            information="rules/learned/information",
            majority_divergence="rules/majority/divergence",
            majority_information="rules/majority/information",
        )
        rows: list[list[Cell]] = [[rule, *numbers] for rule, numbers in found.items()]
        columns = ["rule", "D", "information (nats)"]
        listed: list[list[Cell]] = [[term, value] for term, value in weights.values.items()]
        record.text(
            "tables.md",
            table("Divergence from the critical model, and mutual information with the far surroundings", columns, rows)
            + "\n"
            + table("Weights by the sites of their terms, from the corner of the ring", ["term", "weight"], listed),
        )
        draw_weights(record, weights)
        spins = next(critical_lattices(8 * variant.block, SHOWN, params.seed + 2))
        draw_means(record, spins, weights)
        weights.save(root / "models" / "block_rule" / f"{name}.safetensors")


def _fixed_point(variant: Variant, params: Params, record: Recorder) -> Weights:
    training = fixed_point.Training(variant.block, variant.triples, params.lattices, params.many, params.seed)
    trained = fixed_point.train(training, lambda step, loss: record.epoch(step, train_loss=loss))
    record.metrics({"train": {"divergence": trained.divergence, "amplitude": trained.amplitude}})
    return trained.weights


def _informed(variant: Variant, params: Params, record: Recorder) -> Weights:
    terms = compact_terms(variant.block, variant.triples)
    spins = _lattices(variant.block, params, params.seed)
    inputs = features(spins, variant.block, terms)[:, :, 0, 0]
    around = information.environment(spins, variant.block, params.buffer)
    found = information.train(first_weights(variant.block, terms), inputs, around, params.seed)
    return Weights(variant.block, dict(zip(terms, map(float, found), strict=True)))


def _lattices(block: int, params: Params, seed: int) -> np.ndarray:
    return np.concatenate([spins.copy() for spins in critical_lattices(8 * block, params.judged, seed)])


def _ring(block: int) -> Rule:
    """The majority of the spins around a block, which does not look at it: how much of the information is theirs."""
    terms = compact_terms(block, 0)
    outside = first_weights(block, terms) == 0
    return Weights(block, {term: 10.0 for term, out in zip(terms, outside, strict=True) if out}).rule()


def _judge(weights: Weights, params: Params) -> dict[str, tuple[float, Estimate]]:
    """D and mutual information of the rule and of others, on lattices that trained none."""
    block = weights.block
    rules: dict[str, Rule] = {
        "learned": weights.rule(),
        "majority": majority(block),
        "weighted, w = 1": weighted(block, 1.0),
        "decimation": corner(block),
        RING: _ring(block),
    }
    target, spins = fixed_point.Target.of(params.seed), _lattices(block, params, params.seed + 1)
    around = information.environment(spins, block, params.buffer)
    return {
        name: (
            target.divergence_of(rule, params.judged, params.seed + 1),
            information.mutual_information(rule.mean(spins)[:, 0, 0], around, params.seed),
        )
        for name, rule in rules.items()
    }
