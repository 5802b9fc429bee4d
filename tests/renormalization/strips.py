"""Exact mutual information of a block and its surroundings on strips."""

import numpy as np

from kadanoff.renormalization.critical import transfer_matrix
from kadanoff.spins.exact import T_C


def strip_information(rule, length, buffer, temperature=float(T_C)):
    """I(s'; E) in nats, exactly, on a torus 4 spins high and `length` wide; E are the two columns around the block.

    P(l, r, s') = sum (V^d)_{l,1} V_12 V_23 V_34 P(s' | columns 1 to 4) (V^d)_{4,r} (V^(length - 3 - 2 d))_{r,l}, with
    the transfer matrix V of columns, and the block in columns 2 and 3. The rule's blocks are 2 x 2.
    """
    columns, matrix = transfer_matrix(4, temperature)
    windows = np.stack(np.meshgrid(*[np.arange(16)] * 4, indexing="ij"), -1).reshape(-1, 4)
    # the first block's columns are 0 and 1, so that column 1 of the window is the last
    spins = columns[windows[:, [1, 2, 3, 0]]].transpose(0, 2, 1).astype(np.int8)
    mean = rule.mean(spins)[:, 0, 0].astype(float).reshape(16, 16, 16, 16)
    to, back = (np.linalg.matrix_power(matrix, power) for power in (buffer + 1, length - 5 - 2 * buffer))
    window = np.einsum("ab,bc,cd,sabcd->sad", matrix, matrix, matrix, np.array([1 + mean, 1 - mean]), optimize=True)
    both = back.T * (to @ window @ to)
    joint = both / both.sum()
    independent = joint.sum((1, 2), keepdims=True) * joint.sum(0)
    return float(np.sum(joint[joint > 0] * np.log(joint[joint > 0] / independent[joint > 0])))
