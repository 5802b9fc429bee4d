"""Eight 64-bit words as one Numba value: the SIMD type that Numba lacks.

A `Words` value is LLVM's ``<8 x i64>``: one register on AVX-512, two on AVX2, four on NEON, with the same result
on each. Operators work word by word and accept an integer on one side, so that a function written for uint64
(`rng.philox`) takes `Words` unchanged.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import lower_builtin, models, register_model, type_callable

intrinsic: Any = extending.intrinsic  # Numba's annotation counts the typing context among a call's arguments
WIDTH = 8
WORD = ir.IntType(64)
VECTOR = ir.VectorType(WORD, WIDTH)
INSTRUCTIONS = {
    operator.and_: "and_",
    operator.or_: "or_",
    operator.xor: "xor",
    operator.add: "add",
    operator.mul: "mul",
    operator.lshift: "shl",
    operator.rshift: "lshr",
}


class Words(types.Type):
    """Numba type of eight uint64 words."""

    def __init__(self) -> None:
        super().__init__("Words")


WORDS = Words()


@register_model(Words)
class WordsModel(models.PrimitiveModel):
    """`Words` lives in vector registers."""

    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, VECTOR)


def _vector(context: Any, builder: Any, value: Any, numba_type: Any) -> Any:
    """LLVM vector of a `Words` value, or of an integer eight times."""
    if isinstance(numba_type, Words):
        return value
    word = context.cast(builder, value, numba_type, types.uint64)
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, word, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None))


def _define(operation: Callable, instruction: str) -> None:
    """Teach Numba one binary operator."""

    @type_callable(operation)
    def typing(context: Any) -> Callable:
        return lambda a, b: WORDS if isinstance(a, Words) or isinstance(b, Words) else None

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        operands = (_vector(context, builder, v, t) for v, t in zip(values, signature.args, strict=True))
        return getattr(builder, instruction)(*operands)

    for left, right in ((Words, Words), (Words, types.Integer), (types.Integer, Words)):
        lower_builtin(operation, left, right)(lower)


for _operation, _instruction in INSTRUCTIONS.items():
    _define(_operation, _instruction)


@type_callable(operator.invert)
def _invert_typing(context: Any) -> Callable:
    return lambda a: WORDS if isinstance(a, Words) else None


@lower_builtin(operator.invert, Words)
def _invert(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return builder.not_(values[0])


def _address(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, values[0])
    index = context.cast(builder, values[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(array.data, [index]), VECTOR.as_pointer())


@intrinsic
def load(typing, array, index):
    """Eight words from position `index` on of a contiguous uint64 array, seen as flat memory, unchecked."""

    def code(context, builder, signature, values):
        return builder.load(_address(context, builder, signature, values), align=8)

    return WORDS(array, index), code


@intrinsic
def store(typing, array, index, value):
    """Write eight words to position `index` of a contiguous uint64 array, seen as flat memory, unchecked."""

    def code(context, builder, signature, values):
        builder.store(values[2], _address(context, builder, signature, values), align=8)
        return context.get_dummy_value()

    return types.void(array, index, value), code


@intrinsic
def splat(typing, value):
    """The same integer eight times."""

    def code(context, builder, signature, values):
        return _vector(context, builder, values[0], signature.args[0])

    return WORDS(value), code


@intrinsic
def counting(typing):
    """0, 1, ..., 7."""

    def code(context, builder, signature, values):
        return ir.Constant(VECTOR, list(range(WIDTH)))

    return WORDS(), code


@intrinsic
def any_bit(typing, value):
    """Whether any bit of the eight words is set."""

    def code(context, builder, signature, values):
        bits = builder.bitcast(values[0], ir.IntType(64 * WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(value), code
