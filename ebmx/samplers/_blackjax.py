"""BlackJAX's kernels as samplers. The one file of the samplers that knows BlackJAX."""

import abc
import functools
import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Key, Number, X
from ..energies import as_scalar
from ._base import AbstractSampler, StepInfo
from ._langevin import number


@guarded
class BlackJAX(AbstractSampler[Any]):
    """Any kernel of BlackJAX, or of one's own in its form.

    ```python
    sampler = BlackJAX(blackjax.barker.init, blackjax.barker.build_kernel(), step_size=0.1)
    ```

    The kernel's state caches the log density of the energy it was made with, so it lives within one
    `run` or `sample` and never across a change of the energy.

    **Arguments:**

    - `init`: a function of `(position, logdensity_fn)`, and of `rng_key` if it takes one, that
        returns a named tuple with the field `position`.
    - `kernel`: a function of `(rng_key, state, logdensity_fn, **parameters)` that returns a state
        and an info.
    - `parameters`: of the kernel. Floating-point numbers become arrays, so that a new value does
        not retrace; integers and functions are static.

    **Raises:**

    `ValueError` if the kernel does not take these parameters, or needs others.
    """

    init_fn: Callable = eqx.field(static=True)
    kernel: Callable = eqx.field(static=True)
    parameters: dict[str, Any]

    def __init__(self, init: Callable, kernel: Callable, **parameters: Any):
        _check_kernel(kernel, parameters)
        for name, value in parameters.items():
            if isinstance(value, float | jax.Array | np.ndarray):
                _checks.finite_value(name, value)
        self.init_fn = init
        self.kernel = kernel
        self.parameters = {name: _sweepable(value) for name, value in parameters.items()}

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """The kernel's state at `x`, without the position."""
        takes_key = "rng_key" in inspect.signature(self.init_fn).parameters
        options = {"rng_key": key} if takes_key else {}
        return _drop(self.init_fn(_wide(x), _log_density(energy, x.dtype), **options))

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """One transition of the kernel."""
        state = state._replace(position=_wide(x))
        log_density = _log_density(energy, x.dtype)
        new, info = self.kernel(key, state, log_density, **self.parameters)
        return new.position.astype(x.dtype), _drop(new), _summarise(new, info, log_density, x)


class AbstractKernelSampler(AbstractSampler[Any]):
    """A sampler that is a BlackJAX kernel with parameters of its own."""

    @abc.abstractmethod
    def kernel(self, x: X) -> BlackJAX:
        """The kernel for positions like `x`."""

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Any:
        """The kernel's state at `x`, without the position."""
        return self.kernel(x).init(energy, x, key=key)

    def step(self, energy: EnergyFn, x: X, state: Any, *, key: Key) -> tuple[X, Any, StepInfo]:
        """One transition of the kernel."""
        return self.kernel(x).step(energy, x, state, key=key)


def _number(**kwargs: Any) -> Any:
    return eqx.field(converter=jnp.asarray, **kwargs)


@guarded
class MALA(AbstractKernelSampler):
    """Metropolis-adjusted Langevin; one gradient a step, exact at any step size.

    Proposes the step of `Langevin(step_size)` and accepts it with the probability that makes the
    chain exact. `ε` is that of `Langevin`, twice the step size of BlackJAX.

    Besag (1994); Roberts and Tweedie (1996), "Exponential convergence of Langevin distributions and
    their discrete approximations".

    **Arguments:**

    - `step_size`: `ε > 0`, in squared units of `x`. An acceptance of 0.57 is about the best.
    """

    step_size: Number = _number()

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions of any shape."""
        return BlackJAX(*_parts("mala"), step_size=jnp.asarray(self.step_size) / 2)


@guarded
class HMC(AbstractKernelSampler):
    """Hamiltonian Monte Carlo; `num_integration_steps` gradients a step.

    Duane et al. (1987), "Hybrid Monte Carlo"; Neal (2011), "MCMC using Hamiltonian dynamics".

    **Arguments:**

    - `step_size`: `h > 0` of the leapfrog integrator, in units of `x` for unit masses. One leapfrog
        step is `MALA(h²)`.
    - `num_integration_steps`: how many leapfrog steps, at least 1.
    - `inverse_mass_matrix`: `(d,)` or `(d, d)` over the flattened coordinates; ones if not given.
        Best near the covariance.
    """

    step_size: Number = _number()
    num_integration_steps: int = eqx.field(static=True, default=10)
    inverse_mass_matrix: jax.Array | None = number(default=None)

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.at_least("num_integration_steps", self.num_integration_steps, 1)
        _checks.finite_value("inverse_mass_matrix", self.inverse_mass_matrix)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        return BlackJAX(
            *_parts("hmc"),
            step_size=self.step_size,
            inverse_mass_matrix=_masses(self.inverse_mass_matrix, x),
            num_integration_steps=self.num_integration_steps,
        )


@guarded
class NUTS(AbstractKernelSampler):
    """The no-U-turn sampler: Hamiltonian Monte Carlo that chooses the length of its trajectories.

    Many chains in one program all wait for the one with the longest trajectory.

    Hoffman and Gelman (2014), "The no-U-turn sampler".

    **Arguments:**

    - `step_size`: `h > 0` of the leapfrog integrator.
    - `inverse_mass_matrix`: as for `HMC`.
    - `max_num_doublings`: a trajectory has at most `2^max_num_doublings - 1` leapfrog steps.
    """

    step_size: Number = _number()
    inverse_mass_matrix: jax.Array | None = number(default=None)
    max_num_doublings: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.at_least("max_num_doublings", self.max_num_doublings, 1)
        _checks.finite_value("inverse_mass_matrix", self.inverse_mass_matrix)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        return BlackJAX(
            *_parts("nuts"),
            step_size=self.step_size,
            inverse_mass_matrix=_masses(self.inverse_mass_matrix, x),
            max_num_doublings=self.max_num_doublings,
        )


@guarded
class Barker(AbstractKernelSampler):
    """The Barker proposal: one gradient a step, robust to a step size that is too large.

    Livingstone and Zanella (2022), "The Barker proposal: combining robustness and efficiency in
    gradient-based MCMC".

    **Arguments:**

    - `step_size`: `ε > 0`, the standard deviation of the proposal, in units of `x`.
    """

    step_size: Number = _number()

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions of any shape."""
        return BlackJAX(*_parts("barker"), step_size=self.step_size)


@guarded
class MCLMC(AbstractKernelSampler):
    """Microcanonical Langevin: a momentum of constant length; not Metropolis-adjusted.

    Robnik et al. (2023), "Microcanonical Hamiltonian Monte Carlo".

    **Arguments:**

    - `step_size`: `ε > 0` of the integrator, in units of `x`.
    - `decoherence_length`: how far the chain goes before its momentum is forgotten, `L`.
    """

    step_size: Number = _number()
    decoherence_length: Number = _number()

    def __check_init__(self):
        _checks.positive("step_size", self.step_size)
        _checks.positive("decoherence_length", self.decoherence_length)

    def kernel(self, x: X) -> BlackJAX:
        """The kernel, for positions like `x`."""
        return BlackJAX(
            *_parts("mclmc"),
            inverse_mass_matrix=_masses(None, x),
            L=self.decoherence_length,
            step_size=self.step_size,
        )


@functools.cache
def _parts(name: str) -> tuple[Callable, Callable]:
    """Init and kernel, made once: they are static, and others of the same kind would retrace.

    BlackJAX is imported late, since it takes hold of the devices, and outside of any trace.
    """
    with jax.ensure_compile_time_eval():
        import blackjax

        algorithm = getattr(blackjax, name)
        return algorithm.init, algorithm.build_kernel()


def _wide(x: jax.Array) -> jax.Array:
    """At least float32, since kernels mix it with numbers of half precision."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _log_density(energy: EnergyFn, dtype: jnp.dtype) -> Callable[[X], jax.Array]:
    return lambda x: -_wide(as_scalar(energy(x.astype(dtype))))


def _sweepable(value: Any) -> Any:
    return jnp.asarray(value) if isinstance(value, float) else value


def _drop(state: Any) -> Any:
    """The position travels apart from the state."""
    return state._replace(position=None)


def _masses(given: jax.Array | None, x: X) -> jax.Array:
    if given is None:
        return jnp.ones(x.size, _wide(x).dtype)
    shapes = (x.size,), (x.size, x.size)
    fix = f"give an array of shape {shapes[0]} or {shapes[1]}, over the flattened coordinates"
    _checks.require(given.shape in shapes, "inverse_mass_matrix.shape", given.shape, fix)
    return given


def _summarise(state: Any, info: Any, log_density: Callable, x: X) -> StepInfo:
    """What the state and the info of any kernel say, with NaN for a gradient they do not know."""
    # never NaN for an energy: chains of an energy that is not finite count as dead
    known = hasattr(state, "logdensity")
    energy = -(state.logdensity if known else log_density(state.position))
    gradient = getattr(state, "logdensity_grad", jnp.full((), jnp.nan))
    return StepInfo(
        energy=energy.astype(x.dtype),
        grad_norm=jnp.sqrt(jnp.sum(gradient**2)).astype(x.dtype),
        acceptance=jnp.asarray(getattr(info, "acceptance_rate", 1.0), x.dtype),
        divergent=jnp.asarray(getattr(info, "is_divergent", jnp.isinf(energy))),
    )


def _check_kernel(kernel: Callable, parameters: dict[str, Any]) -> None:
    names = list(inspect.signature(kernel).parameters.values())
    fix = "give a function of (rng_key, state, logdensity_fn, **parameters)"
    _checks.require(len(names) >= 3, "kernel", inspect.signature(kernel), fix)
    own = {p.name: p.default is inspect.Parameter.empty for p in names[3:]}
    missing = [name for name, needed in own.items() if needed and name not in parameters]
    unknown = [name for name in parameters if name not in own]
    fix = f"the kernel's parameters are {list(own)}: missing {missing}, unknown {unknown}"
    _checks.require(not missing and not unknown, "parameters", list(parameters), fix)
