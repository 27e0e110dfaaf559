"""The loop that trains."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from .. import _checks, _mesh, _warnings
from .._types import Key
from ..energies._batch import shape_of
from ..energies._trainable import parameters_of
from ._batch import as_examples
from ._check_binary import check_binary
from ._monitor import Monitor
from ._progress import AbstractProgress, showing
from ._sharding import put_batch, shard, stay
from ._state import TrainState
from ._trainer import Trainer
from .checkpoints._autosave import saving
from .checkpoints._writer import Checkpoints
from .negatives._storage import decode
from .trackers._base import AbstractTracker

History = dict[str, np.ndarray]
Table = tuple[Sequence[str], np.ndarray]
"""The names of metrics, and a table `(updates, metrics)`."""
Callback = Callable[[int, TrainState, dict[str, float]], bool | TrainState | None]

_COUNTS = ("restarts", "dead_chains")  # summed over a log interval, all else is averaged
_FAR = 8.0  # standard deviations
_SO_FAR = ("skipped", "outliers")  # counted since the beginning


def fit(
    trainer: Trainer,
    state: TrainState,
    batches: Iterable[Any],
    *,
    num_steps: int,
    key: Key,
    log_every: int = 50,
    callbacks: Sequence[Callback] = (),
    progress: AbstractProgress | bool | None = None,
    checkpoints: Checkpoints | None = None,
    mesh: Mesh | None = None,
) -> tuple[TrainState, History]:
    """Train for `num_steps` updates.

    One step is compiled for the whole training; the host waits for it once in a log interval.
    `state` stays valid: a copy of it is donated.

    Args:
        trainer: how to train.
        state: from `trainer.init`, or from an earlier `fit`.
        batches: batches of data `(batch, *shape)`, or pairs of these and labels, all of one shape,
            such as `ebmx.data.batches(x, 128, key=key)`. Training ends when they do.
        num_steps: how many updates at most.
        key: one key. A step depends on it and on the number of the step alone, so that a training
            in two parts is the same as in one.
        log_every: the number of updates in a log interval, which ends when `state.step` is a
            multiple of it, or with the training.
        callbacks: functions of `(step, state, metrics)`, called after each log interval with the
            means of the metrics over it (sums of `restarts` and `dead_chains`), without updates
            that `SkipOutliers` has skipped. The state is donated to the next update, so copy what
            you keep. Returning `True` ends the training; returning a state of the same `step` makes
            it go on from there, and saves it at once. A tracker, such as `CSV("metrics.csv")`, is a
            callback, too.
        progress: `True` for a bar of tqdm, `False` for nothing, or a meter; by default a bar at a
            terminal.
        checkpoints: saves the state at its interval, at the end, at Ctrl-C, and if anything but a
            `Watchdog` raises. To go on, give what `restore` returns, and batches from that step on,
            as `ebmx.data.batches(..., start=int(state.step))` makes them.
        mesh: devices among which chains and data are divided, such as `jax.make_mesh((4,),
            ("data",))`; each has all parameters. Results depend on the `num_shards` of `PCD`; the
            number of devices, which has to divide it, changes rounding alone. Each of several
            processes gives its own rows of a batch, in order.

    Returns:
        The new state, and the metrics of all updates, an array `(num_steps,)` for each name.

    Raises:
        ValueError: if a parameter is not finite, or if the first batch is empty, of another shape
            or dtype, or not finite, or a label in it is out of range; an update with a later batch
            of this kind is skipped and counted.
        ValueError: if the number of devices of `mesh` does not divide the batch or the shards.
        ValueError: if this training begins where a tracker has logged another one.
        CheckpointError: if the folder of `checkpoints` holds a later step, or one of another
            config, or if the last save fails: then `error.state` is the state. An earlier save that
            fails is a `SaveWarning`.
        KeyboardInterrupt: at Ctrl-C; with checkpoints, once the state is saved. A second Ctrl-C
            does not wait.

    Examples:
        >>> import jax, optax
        >>> import ebmx
        >>> from ebmx.samplers import MALA
        >>> from ebmx.training import PCD, Trainer
        >>> key, model = jax.random.key(0), ebmx.energies.MLP((2,), (8,), key=jax.random.key(0))
        >>> trainer = Trainer(optax.adam(1e-3), PCD(MALA(0.1), num_steps=5, capacity=64))
        >>> batches = ebmx.data.batches(jax.random.normal(key, (256, 2)), 32, key=key)
        >>> state = trainer.init(model, key=key)
        >>> state, history = ebmx.fit(trainer, state, batches, num_steps=5, key=key, progress=False)
        >>> history["loss"].shape
        (5,)
    """
    _checks.at_least("num_steps", num_steps, 1)
    _checks.at_least("log_every", log_every, 1)
    _check_parameters(state)
    iterator = checked_batches(iter(batches), state.energy, mesh)
    if int(state.step) == 0 and mesh is None:
        iterator = _warning_of_scale(iterator, state)
    for callback in callbacks:
        tracks = isinstance(callback, AbstractTracker) and jax.process_index() == 0
        if tracks or isinstance(callback, Monitor):
            callback.start(int(state.step))
    state = _own(state) if mesh is None else shard(state, mesh)
    history: list[Table] = []  # of each interval
    with saving(checkpoints, state) as writer, showing(progress, num_steps) as show:
        try:
            at = int(state.step)
            for count in _intervals(at, num_steps, log_every, trainer.boundaries):
                phase, pending = trainer.at_step(at), []
                outliers = 0 if state.skip_state is None else int(state.skip_state.outliers)
                for batch in itertools.islice(iterator, count):
                    inputs = (phase, batch, key, mesh)
                    names, state, packed = _jitted_step(inputs, state)
                    pending.append(packed)
                    if writer.interrupted:
                        break
                if not pending:
                    break
                # copied into one table: a row by itself would keep its buffer on the device
                table = np.stack(jax.device_get(pending))
                history.append((names, table))
                metrics = _summary(names, table, outliers)
                show(len(pending), metrics)
                at = step = int(jax.device_get(state.step))
                answers = [callback(step, state, metrics) for callback in callbacks]
                states = [answer for answer in answers if isinstance(answer, TrainState)]
                state = _replaced(state, states)
                writer.after_interval(step, state, bool(states))
                if any(answer for answer in answers if not isinstance(answer, TrainState)):
                    break
            writer.finish(state)
        except BaseException as error:
            writer.rescue(state, error)
            raise
    return state, _columns(history)


def _replaced(state: TrainState, states: Sequence[TrainState]) -> TrainState:
    """The state, or the one that a callback has returned."""
    if not states:
        return state
    fix = "of several callbacks one may return a state, and that of the step it was given"
    same = len(states) == 1 and int(states[0].step) == int(state.step)
    _checks.require(same, "callbacks", f"states of {[int(one.step) for one in states]}", fix)
    return states[0]


@eqx.filter_jit(donate="all-except-first")
def _jitted_step(inputs: tuple, state: TrainState) -> tuple[tuple, TrainState, jax.Array]:
    trainer, batch, key, mesh = inputs
    with _mesh.within(mesh):
        state, metrics = trainer.step(state, batch, key=key)
    # one array, since each transfer to the host waits for the device
    values = [jnp.asarray(v, jnp.result_type(float)) for v in metrics.values()]
    return tuple(metrics), stay(state, mesh), stay(jnp.stack(values), mesh)


def checked_batches(
    iterator: Iterable[Any], energy: Any, mesh: Mesh | None = None
) -> Iterator[Any]:
    """The batches, on the devices of a mesh; the first one is checked."""
    shape, num_labels = shape_of(energy), getattr(energy, "num_labels", None)
    for number, batch in enumerate(iterator):
        if number == 0:
            first = as_examples(batch, "batches[0]", shape)
            _checks.finite(jax.device_get(first.x), "batches[0]")
            check_binary(energy, first.x, "batches[0]")
            if first.y is not None:
                _check_conditions(np.asarray(first.y), num_labels)
        yield put_batch(batch, mesh)


def _warning_of_scale(batches: Iterator[Any], state: TrainState) -> Iterator[Any]:
    """The batches; a warning if the first is far from where the chains of a buffer start."""
    first = next(batches, None)
    if first is None:
        return
    starts = getattr(state.negatives_state, "positions", None)
    if starts is not None:
        storage = getattr(state.negatives_state, "storage", None)
        starts = decode(storage, starts[:256], key=jax.random.key(0))
        pair = (np.asarray(a[:256], np.float64) for a in (as_examples(first).x, starts))
        (x, wide), (start, scale) = map(_middle, pair)
        apart = np.abs(x - start) / np.where(scale > 0, wide + scale, np.inf)
        at = np.unravel_index(np.argmax(apart), apart.shape)
        if apart[at] > _FAR or wide.max() > 2 * _FAR * scale.max() > 0:
            words = f"data {x[at]:.3g} ± {wide[at]:.2g}, chains {start[at]:.3g} ± {scale[at]:.2g}"
            text = (
                f"the data are far from where chains start (coordinate {','.join(map(str, at))}: "
            )
            text += f"{words}): scale the data, as ebmx.data.load and Dataset.from_arrays do"
            _warnings.warn(text, UserWarning)
    yield from itertools.chain([first], batches)


def _middle(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The median of each coordinate, and half the width of the 68 % around it."""
    low, middle, high = np.quantile(
        np.nan_to_num(x, posinf=0.0, neginf=0.0), (0.16, 0.5, 0.84), axis=0
    )
    return middle, (high - low) / 2


def _check_parameters(state: TrainState) -> None:
    trees = state.energy, state.ema
    parameters = tuple(eqx.filter(tree, parameters_of(tree, True)) for tree in trees)
    # one transfer from the device, not one for each array
    paths, _ = jax.tree_util.tree_flatten_with_path(parameters)
    for (path, _), ok in zip(paths, np.asarray(_are_finite([a for _, a in paths])), strict=True):
        if not ok:
            name = ("energy", "ema")[path[0].idx] + jax.tree_util.keystr(path[1:])
            fix = "go on from an earlier state, whose parameters are finite"
            _checks.invalid(f"state.{name}", "not finite", fix)


def _check_conditions(y: np.ndarray, num_labels: int | None) -> None:
    _checks.finite(y, "batches[0][1]")
    if num_labels is not None and np.issubdtype(y.dtype, np.integer):
        ok = bool(np.all((y >= 0) & (y < num_labels)))
        _checks.require(ok, "batches[0][1]", y, f"labels are 0 to {num_labels - 1}")


@jax.jit
def _are_finite(arrays: list[Any]) -> jax.Array:
    """Whether all numbers of an array are finite, for each array: `(arrays,)`."""
    return jnp.stack([jnp.all(jnp.isfinite(array)) for array in arrays])


@eqx.filter_jit
def _own(state: TrainState) -> TrainState:
    """A copy of which each array can be donated."""
    return jax.tree.map(lambda leaf: jnp.array(leaf) if eqx.is_array(leaf) else leaf, state)


def _intervals(
    start: int, num_steps: int, log_every: int, boundaries: Sequence[int] = ()
) -> list[int]:
    """The number of updates in each log interval; none goes beyond a boundary of phases."""
    end = start + num_steps
    ends = {*range(start - start % log_every + log_every, end, log_every), end}
    ends |= {boundary for boundary in boundaries if start < boundary < end}
    return np.diff([start, *sorted(ends)]).tolist()


def _summary(names: Sequence[str], table: np.ndarray, outliers: int = 0) -> dict[str, float]:
    """The metrics of an interval, before which there were so many outliers."""
    columns, kept = _columns([(names, table)]), np.ones(len(table), bool)
    if "outliers" in columns:
        # an update that was skipped says nothing of the training, and would hide the others
        kept = np.diff(columns["outliers"], prepend=outliers) == 0
    kept = kept if kept.any() else ~kept
    metrics = {n: float(c.sum() if n in _COUNTS else c[kept].mean()) for n, c in columns.items()}
    return metrics | {n: float(columns[n][-1]) for n in _SO_FAR if n in columns}


def _columns(tables: Sequence[Table]) -> History:
    """A column for each name; NaN in phases without it."""
    total = sum(len(table) for _, table in tables)
    columns: History = {}
    start = 0
    for names, table in tables:
        for i, name in enumerate(names):
            column = columns.setdefault(name, np.full(total, np.nan, table.dtype))
            column[start : start + len(table)] = table[:, i]
        start += len(table)
    return columns
