"""Negatives from several sources, each of which sees a part of the batch."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import EnergyFn, Key, Scalar
from ...samplers import StepInfo
from .._batch import Examples
from ._base import AbstractNegatives, NegativesInfo
from ._chain_free import QuadraturePoints


class SplitNegatives(AbstractNegatives[tuple[Any, ...]]):
    """Negatives from several sources, each for an equal part of the batch.

    ```python
    SplitNegatives((CD(Langevin(0.05), 75), ShortRun(Langevin(0.05), 75, GaussianNoise())))
    ```

    has half of its chains start at the data and half from noise. The parts of the positives, and of
    the negatives, stand in the order of the sources, with the labels of their positives. Each
    source counts as much as its positives: if sources weigh their negatives, or have different
    numbers of them, the log weights of a part are shifted to that sum. What the chains report is
    joined; a source without chains leaves out its part.

    Args:
        sources: at least two, each with a state of its own.

    Raises:
        ValueError: if there are fewer, or one gives points of a grid; in `step`, if the number of
            sources does not divide the batch, or some have conditions and some have none.
    """

    sources: tuple[AbstractNegatives, ...] = eqx.field(converter=tuple)

    def __check_init__(self):
        names = [type(source).__name__ for source in self.sources]
        fix = "give at least two sources of negatives, such as CD(sampler)"
        _checks.require(len(self.sources) > 1, "sources", names, fix)
        ok = not any(isinstance(source, QuadraturePoints) for source in self.sources)
        _checks.require(ok, "sources", names, "points of a grid are no part of a batch")

    def init(self, shape: tuple[int, ...], *, key: Key) -> tuple[Any, ...]:
        """The states of all sources."""
        keys = jax.random.split(key, len(self.sources))
        pairs = zip(self.sources, keys, strict=True)
        return tuple(source.init(shape, key=one) for source, one in pairs)

    def step(
        self, energy: EnergyFn, positives: Examples, state: tuple[Any, ...], *, key: Key
    ) -> tuple[Examples, tuple[Any, ...], NegativesInfo | None]:
        """The negatives of all sources as one batch, and their states."""
        parts = _parts(positives, len(self.sources))
        keys = jax.random.split(key, len(self.sources))
        found = [
            source.step(energy, part, one, key=one_key)
            for source, part, one, one_key in zip(self.sources, parts, state, keys, strict=True)
        ]
        negatives, states, infos = zip(*found, strict=True)
        given = [info for info in infos if info is not None]
        return _joined(parts, negatives), tuple(states), _joined_info(given) if given else None


def _parts(positives: Examples, num: int) -> list[Examples]:
    """The batch in equal parts, in order."""
    total = len(positives.x)
    fix = f"give a multiple of the {num} sources"
    _checks.require(total % num == 0, "batch_size", total, fix)
    size, arrays = total // num, (positives.x, positives.y, positives.log_weights)
    rows = (slice(i * size, (i + 1) * size) for i in range(num))
    return [Examples(*jax.tree.map(lambda a, part=part: a[part], arrays)) for part in rows]


def _joined(positives: Sequence[Examples], negatives: Sequence[Examples]) -> Examples:
    ratios = [len(n.x) / len(p.x) for p, n in zip(positives, negatives, strict=True)]
    # several for each example stand in the order of `Examples.with_x`: i, i + batch, …
    same = ratios[0] if len({*ratios}) == 1 and ratios[0] == int(ratios[0]) else 1

    def join(arrays: Sequence[jax.Array]) -> jax.Array:
        rows = [a.reshape(int(same), -1, *a.shape[1:]) for a in arrays]
        whole = jnp.concatenate(rows, 1)
        return whole.reshape(-1, *whole.shape[2:])

    conditions = [n.y for n in negatives if n.y is not None]
    fix = "some sources have conditions and some have none: give sources of one kind"
    ok = len(conditions) in (0, len(negatives))
    _checks.require(ok, "sources", f"{len(conditions)} of {len(negatives)}", fix)
    weighted = len({*ratios}) > 1 or any(n.log_weights is not None for n in negatives)
    pairs = zip(positives, negatives, strict=True)
    weights = [_log_weights(p, n) for p, n in pairs] if weighted else None
    return Examples(
        join([n.x for n in negatives]),
        join(conditions) if conditions else None,
        None if weights is None else join(weights),
    )


def _log_weights(positives: Examples, negatives: Examples) -> jax.Array:
    """The log weights of a part, whose sum of weights is that of its positives."""
    num, dtype = len(negatives.x), negatives.x.dtype
    own = negatives.log_weights
    shares = jnp.full(num, -math.log(num), dtype) if own is None else jax.nn.log_softmax(own)
    if positives.log_weights is None:
        return shares + math.log(len(positives.x))
    return shares + jax.nn.logsumexp(positives.log_weights).astype(shares.dtype)


def _joined_info(infos: Sequence[NegativesInfo]) -> NegativesInfo:
    """What the chains of several sources report, as that of one."""
    steps = _mean(infos, "num_steps")
    return NegativesInfo(
        StepInfo(*(_joined_chains(infos, field.name) for field in dataclasses.fields(StepInfo))),
        jnp.concatenate([info.restarted for info in infos]),
        jnp.concatenate([info.dead for info in infos]),
        jnp.asarray(_mean(infos, "saturated")),
        _mean(infos, "swap_rate"),
        None if steps is None else jnp.round(steps).astype(jnp.int32),
        _mean(infos, "at_limit"),
    )


def _joined_chains(infos: Sequence[NegativesInfo], name: str) -> Any:
    values = [getattr(info.chains, name) for info in infos]
    known = [value for value in values if value is not None]
    return jnp.concatenate(known) if known else None


def _mean(infos: Sequence[NegativesInfo], name: str) -> Scalar | None:
    """The mean over all chains of which this is known."""
    known = [(getattr(info, name), len(info.dead)) for info in infos]
    known = [(jnp.asarray(value, float), num) for value, num in known if value is not None]
    if not known:
        return None
    total = sum(num for _, num in known)
    return sum((value * (num / total) for value, num in known), jnp.zeros(()))
