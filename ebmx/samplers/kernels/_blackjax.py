"""Any kernel of BlackJAX as a sampler."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._types import EnergyFn, Key, Number, X
from ...energies._batch import as_scalar, value_and_gradient
from ...energies._constants import as_number
from .._base import AbstractSampler, StepInfo, always
from .._fields import cast


class BlackJAX(AbstractSampler[Any]):
    """Any kernel of BlackJAX, or your own of the same form.

    ```python
    sampler = BlackJAX(blackjax.barker.init, blackjax.barker.build_kernel(), step_size=0.1)
    ```

    The kernel's state caches the log density of the energy it was made with, so it lives within one
    `run` or `sample` and never across a change of the energy.

    Args:
        init: a function of `(position, logdensity_fn)`, and of `rng_key` if it takes one, that
            returns a named tuple with the field `position`.
        kernel: a function of `(rng_key, state, logdensity_fn, **parameters)` that returns a state
            and an info.
        adjusted: whether the kernel leaves the density invariant, by a Metropolis test or not. It
            is known for BlackJAX's kernels; the default for your own is `False`.
        parameters: of the kernel. Floating-point numbers become arrays, so that a new value does
            not retrace; integers and functions are static.

    Raises:
        ValueError: if the kernel does not take these parameters, or needs others, or if an
            `inverse_mass_matrix` is not positive definite.

    Examples:
        >>> import blackjax, jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.samplers import BlackJAX
        >>> options = {"step_size": 0.3, "momentum_inverse_scale": 1.0, "alpha": 0.5, "delta": 0.1}
        >>> kernel = BlackJAX(blackjax.ghmc.init, blackjax.ghmc.build_kernel(), **options)
        >>> start, key = jnp.zeros((8, 2)), jax.random.key(0)
        >>> x, _ = ebmx.run(lambda x: jnp.sum(x**2), kernel, start, num_steps=20, key=key)
        >>> x.shape
        (8, 2)
    """

    init_fn: Callable = eqx.field(static=True)
    kernel: Callable = eqx.field(static=True)
    parameters: dict[str, Any]
    adjusted: bool = eqx.field(static=True)

    reports_new_energy = always(True)  # a state of BlackJAX holds the log density of its position

    def __init__(
        self, init: Callable, kernel: Callable, *, adjusted: bool | None = None, **parameters: Any
    ):
        _check_kernel(kernel, parameters)
        for name, value in parameters.items():
            if isinstance(value, float | jax.Array | np.ndarray):
                _checks.finite_value(name, value)
        step_size = parameters.get("step_size", 1.0)
        _checks.require(eqx.is_array_like(step_size), "step_size", step_size, "give a number")
        _checks.positive("step_size", step_size)
        check_masses(parameters.get("inverse_mass_matrix"))
        self.init_fn = init
        self.kernel = kernel
        self.parameters = {name: _sweepable(value) for name, value in parameters.items()}
        known = _name(kernel) not in (None, *_NOT_ALONE)
        self.adjusted = known if adjusted is None else adjusted

    @property
    def is_invariant(self) -> bool:
        """The value of `adjusted`."""
        return self.adjusted

    @property
    def is_restartable(self) -> bool:
        """Whether a new state at the position keeps the density invariant.

        Not for `ghmc`, whose momentum persists and does not start in equilibrium.
        """
        return _name(self.kernel) != "ghmc"

    @property
    def reports_acceptance(self) -> bool:
        """Yes for adjusted kernels, except for slice sampling."""
        return self.adjusted and _name(self.kernel) != "slice"

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """The kernel's state at `x`, without the position."""
        takes_key = "rng_key" in inspect.signature(self.init_fn).parameters
        options = {"rng_key": key} if takes_key else {}
        with jax.numpy_dtype_promotion("standard"):  # BlackJAX mixes kinds of numbers
            state = self.init_fn(wide(x), _log_density(energy, x.dtype), **options)
        return state._replace(position=None)

    def retemper(self, energy: EnergyFn, x: X, state: Any, factor: Number, *, key: Key) -> Any:
        """The cached log density and gradient times the factor, or a new state."""
        if not set(state._fields) <= _SCALED | {"position", "momentum"}:
            return self.refresh(energy, x, state, key=key)
        cached = {name: getattr(state, name) for name in _SCALED & set(state._fields)}
        return state._replace(**{name: one * cast(factor, one) for name, one in cached.items()})

    def retemper_path(
        self, energy: EnergyFn, x: X, state: Any, factor: Number, base: EnergyFn, *, key: Key
    ) -> Any:
        """The cached log density and gradient on the way to those of `base`, or a new state."""
        if not set(state._fields) <= _SCALED | {"position", "momentum"}:
            return self.refresh(energy, x, state, key=key)
        value, gradient = value_and_gradient(base, x)
        ends = {"logdensity": -value, "logdensity_grad": -gradient}

        def between(one, end):
            weight = cast(factor, one)
            # a replica that stays may be where the base has no density
            return jnp.where(weight == 1, one, weight * one + (1 - weight) * end.astype(one.dtype))

        names = _SCALED & set(state._fields)
        return state._replace(**{name: between(getattr(state, name), ends[name]) for name in names})

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """One transition of the kernel."""
        new, info = self.transition(energy, x, state, key=key)
        reverted = jnp.zeros((), bool)
        if hasattr(info, "nonans"):  # the kernel takes a step that failed back
            reverted = ~info.nonans | jnp.all(new.position == wide(x))
        reported = _summarise(new, info, energy, x, reverted)
        return new.position.astype(x.dtype), new._replace(position=None), reported

    def transition(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[Any, Any]:
        """The new state and the info of the kernel."""
        old = state._replace(position=wide(x))
        log_density = _log_density(energy, x.dtype)
        # in the precision of the positions, so that parameters do not change theirs
        parameters = {
            name: cast(value, old.position) if eqx.is_inexact_array(value) else value
            for name, value in self.parameters.items()
        }
        with jax.numpy_dtype_promotion("standard"):
            return self.kernel(key, old, log_density, **parameters)


def wide(x: jax.Array) -> jax.Array:
    """In the precision that kernels compute in: JAX's default one, at least that of `x`."""
    default = jnp.result_type(float)
    return x.astype(x.dtype if jnp.finfo(x.dtype).bits > jnp.finfo(default).bits else default)


def _log_density(energy: EnergyFn, dtype: jnp.dtype) -> Callable[[X], jax.Array]:
    return lambda x: -wide(as_scalar(energy(x.astype(dtype))))


def _sweepable(value: Any) -> Any:
    return as_number(value) if isinstance(value, float | np.floating | np.ndarray) else value


_SCALED = {"logdensity", "logdensity_grad"}


def check_masses(value: Any) -> None:
    """Check that an inverse mass matrix is positive (definite)."""
    if not eqx.is_array_like(value) or not _checks.is_concrete(value):
        return
    if np.ndim(value) < 2:
        _checks.positive("inverse_mass_matrix", value)
        return
    matrix = np.asarray(value, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        return  # checked with the shape of the positions
    scale = np.abs(matrix).max() if matrix.size else 0.0
    ok = np.isfinite(matrix).all() and np.allclose(matrix, matrix.T, rtol=0, atol=1e-4 * scale)
    fix = "give positive numbers, or a symmetric positive definite matrix, such as a covariance"
    positive = ok and np.linalg.eigvalsh(matrix)[0] > 0
    _checks.require(bool(positive), "inverse_mass_matrix", value, fix)


def _summarise(state: Any, info: Any, energy: EnergyFn, x: X, reverted: Any) -> StepInfo:
    """The `StepInfo` of the state and info of any kernel."""
    dtype = jax.eval_shape(lambda x: as_scalar(energy(x)), x).dtype
    known = hasattr(state, "logdensity")
    value = -(state.logdensity if known else _log_density(energy, x.dtype)(state.position))
    gradient = getattr(state, "logdensity_grad", None)
    grad_norm = None if gradient is None else jnp.sqrt(jnp.sum(gradient**2)).astype(x.dtype)
    acceptance = jnp.asarray(getattr(info, "acceptance_rate", 1.0), value.dtype)
    # a proposal with a non-finite energy is rejected
    acceptance = jnp.where(jnp.isfinite(acceptance), acceptance, 0)
    divergent = jnp.asarray(getattr(info, "is_divergent", False)) | ~jnp.isfinite(value) | reverted
    return StepInfo(value.astype(dtype), grad_norm, acceptance.astype(x.dtype), divergent)


_NOT_ALONE = ["mclmc", "diffusions", "elliptical_slice", "marginal_latent_gaussian"]
"""Kernels of BlackJAX that are not adjusted, or whose target has a Gaussian prior beside `E`."""


def _name(kernel: Callable) -> str | None:
    """The name of BlackJAX's module of MCMC that the kernel is from."""
    module = getattr(kernel, "__module__", None) or ""
    return module.rsplit(".", 1)[-1] if module.startswith("blackjax.mcmc.") else None


def _check_kernel(kernel: Callable, parameters: dict[str, Any]) -> None:
    names = list(inspect.signature(kernel).parameters.values())
    fix = "give a function of (rng_key, state, logdensity_fn, **parameters)"
    _checks.require(len(names) >= 3, "kernel", inspect.signature(kernel), fix)
    own = {p.name: p.default is inspect.Parameter.empty for p in names[3:]}
    missing = [name for name, needed in own.items() if needed and name not in parameters]
    unknown = [name for name in parameters if name not in own]
    fix = f"the kernel's parameters are {list(own)}: missing {missing}, unknown {unknown}"
    _checks.require(not missing and not unknown, "parameters", list(parameters), fix)
