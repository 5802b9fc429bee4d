"""The settings of a training."""

from typing import Literal

from pydantic import Field

from kadanoff.validation import Section, Seed


class TrainingParams(Section):
    """How a network is trained: the settings of `kadanoff.learning.fit`."""

    seed: Seed
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    weight_decay: float = Field(ge=0, allow_inf_nan=False)
    plateau_patience: int = Field(ge=0)
    plateau_factor: float = Field(gt=0, lt=1)
    early_stopping_patience: int = Field(gt=0)


class TunedParams(TrainingParams):
    """How an image model is trained: AdamW, and bfloat16 where the processor has it."""

    schedule: Literal["plateau", "linear"] = "plateau"
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    compile: bool = False
