"""The targets of the table of record, with what is known of them.

An entry makes a `Target`. Moments of an energy that can be sampled exactly come from its samples;
those of others are in `record_truth.json`, which `record.py --truth` makes by long chains. Where
these disagree, nobody knows the moments.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ebmx import energies
from ebmx.energies.bijections import Sigmoid

KEPT = Path(__file__).parent / "record_truth.json"
EXACT = 2**18
KNOWN = 1.1
"""The R-hat of long chains that agree."""


class Moment(NamedTuple):
    """The mean and the variance of a function of the observables, `(observables,)`."""

    mean: np.ndarray
    variance: np.ndarray


class Truth(NamedTuple):
    """What estimates are compared with."""

    first: Moment
    second: Moment
    modes: np.ndarray
    """The shares of the modes; empty without modes."""


class Target(NamedTuple):
    """An energy, where chains start, and what of them is looked at."""

    energy: Any
    scale: float = 1.0
    """Chains start at normal numbers of this size, which is all they know of the target."""
    apart: bool = False
    """Whether they go downhill a little first: particles that overlap would stay for ever."""
    observe: Callable = jnp.ravel
    mode: Callable | None = None
    """The number of the mode of a position."""
    num_modes: int = 0
    reference: str = "NUTS"
    """The sampler of the long chains whose moments are the truth, where exact samples lack."""
    mirror: Callable | None = None
    """Observables and modes of the draws of these chains as a symmetry of the energy maps them."""
    budget: int = 20_000
    """How often each chain may evaluate the energy."""


def gaussian(condition: float) -> Target:
    deviations = jnp.logspace(-0.5, 0.5, 32) ** jnp.log10(condition)
    return Target(energies.Gaussian(jnp.zeros(32), deviations**2), float(deviations.max()))


def funnel() -> Target:
    """Neal's; the second moments of the others than `x₀` have no variance that a run could see."""
    return Target(energies.Funnel(10), observe=lambda x: x[:1])


def forty(dim: int, budget: int = 20_000) -> Target:
    energy = energies.forty_modes(dim)
    return Target(energy, 25.0, mode=energy.component, num_modes=40, budget=budget)


def wells() -> Target:
    """Of the 2¹⁶ modes, the sixteen that the first four wells make."""
    energy, binary = energies.ManyWell(), np.array([1, 2, 4, 8])

    def mode(x):
        return jnp.sum(energy.mode(x)[:4].astype(int) * binary)

    return Target(energy, mode=mode, num_modes=16)


def particles(energy: Any, scale: float, budget: int = 20_000) -> Target:
    """The energy, and the distances of pairs in rising order, of many pairs about eighty."""

    def observe(x):
        i, j = np.triu_indices(len(x), 1)
        distances = jnp.sqrt(jnp.sum((x[i] - x[j]) ** 2, -1))
        return jnp.concatenate([energy(x)[None], jnp.sort(distances)[:: -(-len(i) // 80)]])

    return Target(energy, scale, True, observe, reference="replica exchange", budget=budget)


def lattice() -> Target:
    """In the phase of broken symmetry, of two modes: the mean field, its size, and the energy."""
    energy = energies.LatticeField((8, 8), mass_squared=-4.0, coupling=5.0)

    def observe(x):
        mean = jnp.mean(x)
        return jnp.stack([mean, jnp.abs(mean), jnp.mean(x**2), energy(x)])

    mode = lambda x: (jnp.mean(x) > 0).astype(int)  # noqa: E731
    mirror = lambda seen, modes: (seen * np.array([-1, 1, 1, 1]), 1 - modes)  # noqa: E731
    return Target(
        energy, 1.0, observe=observe, mode=mode, num_modes=2, reference="replica exchange",
        mirror=mirror,
    )  # fmt: skip


def regression() -> Target:
    """The tumours of scikit-learn's breast cancer data, standardised."""
    from sklearn.datasets import load_breast_cancer

    features, labels = map(np.asarray, load_breast_cancer(return_X_y=True))
    features = (features - features.mean(0)) / features.std(0)
    return Target(energies.LogisticRegression(features, labels), reference="NUTS")


def images(name: str, noise_scale: float, budget: int, stride: int, native: bool) -> Target:
    """A pretrained energy of images within (-1, 1), in coordinates without bounds.

    Observed are the pixels of each `stride` rows and columns.

    The temperature is that of chains with this noise in each step. At that of the energy's own
    chains, of noise 0.02 and 0.01, long chains disagree on the digits (an R-hat of 2.6), and the
    warm-up of MNIST fails.
    """
    network = energies.pretrained(name)
    assert isinstance(network, energies.ConvNet)
    warm = network.with_native(native) / (noise_scale**2 / 2)
    free = energies.Transformed(warm, Sigmoid(-1.0, 1.0))

    def observe(x):
        return free.constrain(x)[::stride, ::stride]

    return Target(free, observe=observe, reference="HMC", budget=budget)


def level() -> Target:
    """The lowest level of the pretrained energies of the plane over noise levels."""
    return Target(energies.pretrained("plane"), 2.0, reference="replica exchange")


_MAKERS: dict[str, Callable[[], Target]] = {
    "Gaussian 32-D": lambda: gaussian(1.0),
    "Gaussian 32-D, condition 1000": lambda: gaussian(1000.0),
    "banana": lambda: Target(energies.Banana()),
    "funnel 10-D": funnel,
    "forty modes 2-D": lambda: forty(2),
    "forty modes 16-D": lambda: forty(16),
    "forty modes 128-D": lambda: forty(128, 5_000),
    "many wells 32-D": wells,
    "four particles, double wells": lambda: particles(energies.DoubleWellParticles(), 2.0),
    "Lennard-Jones 13": lambda: particles(energies.LennardJones(13), 1.5),
    "Lennard-Jones 55": lambda: particles(energies.LennardJones(55), 2.5, 2_000),
    "lattice field 8×8": lattice,
    "log-Gaussian Cox 16×16": lambda: Target(energies.log_gaussian_cox(16), 2.0, budget=5_000),
    "logistic regression": regression,
    "digits": lambda: images("digits", 0.1, 5_000, 1, native=False),
    "MNIST": lambda: images("mnist", 0.3, 1_000, 4, native=True),
    "plane, lowest noise level": level,
}
NOTES = {
    "digits": "25 times as hot as its own chains, in coordinates without bounds.",
    "MNIST": "900 times as hot as its own chains, without bounds, by the compiled kernel.",
}
"""What the page says of a target beside its name."""
TARGETS: dict[str, Callable[[], Target]] = {
    name: functools.cache(make) for name, make in _MAKERS.items()
}


def truth_of(name: str) -> Truth | None:
    """By exact samples, or as `make_truth` found it; `None` where its chains disagree."""
    target = TARGETS[name]()
    if isinstance(target.energy, energies.AbstractExactEnergy):
        return of_draws(target, *_exact(target))
    kept = json.loads(KEPT.read_text())[name]
    if (kept["rhat"] or np.inf) > KNOWN:
        return None
    first, second = (Moment(*map(np.array, kept[place])) for place in ("first", "second"))
    return Truth(first, second, np.array(kept["modes"]))


def keep_truth(name: str, truth: Truth | None, rhat: float) -> None:
    """Write what long chains found, and how well they agree; `None` if all have failed."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if truth is None:
        KEPT.write_text(json.dumps(kept | {name: {"rhat": None}}, indent=1, sort_keys=True) + "\n")
        return
    digits = lambda values: [float(f"{one:.6g}") for one in np.ravel(values)]  # noqa: E731
    first, second = ([digits(one) for one in moment] for moment in truth[:2])
    new = {"first": first, "second": second, "modes": digits(truth.modes), "rhat": round(rhat, 4)}
    KEPT.write_text(json.dumps(kept | {name: new}, indent=1, sort_keys=True) + "\n")


def _exact(target: Target) -> tuple[np.ndarray, np.ndarray]:
    @jax.jit
    def some(key):
        x = jax.vmap(lambda k: target.energy.sample(key=k))(jax.random.split(key, 4096))
        return jax.vmap(lambda x: seen(target, x))(x)

    parts = [some(key) for key in jax.random.split(jax.random.key(11), EXACT // 4096)]
    observed, modes = (
        np.concatenate([np.asarray(one) for one in part]) for part in zip(*parts, strict=True)
    )
    return observed, modes


def seen(target: Target, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The observables of a position, and the number of its mode."""
    mode = target.mode(x) if target.mode is not None else jnp.zeros((), int)
    return jnp.ravel(target.observe(x)), mode


def of_draws(target: Target, observed: np.ndarray, modes: np.ndarray) -> Truth:
    """The moments of draws `(num, observables)`, and the shares of their modes, `(num,)`."""
    observed = observed.astype(np.float64)
    moments = [Moment(x.mean(0), x.var(0)) for x in (observed, observed**2)]
    shares = np.bincount(modes, minlength=target.num_modes) / len(observed)
    first, second = moments
    return Truth(first, second, shares if target.mode is not None else np.zeros(0))
