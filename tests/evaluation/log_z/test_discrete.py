"""Log Z of energies of zeros and ones and of categories, by chains and particles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import (
    MLP,
    Bernoulli,
    Categorical,
    CategoricalRBM,
    Gaussian,
    Ising,
    Potts,
)
from ebmx.evaluation import (
    adaptive_smc,
    annealed_importance_sampling,
    log_z_by_enumeration,
    log_z_by_tempering,
)
from ebmx.evaluation.log_z._annealing_path import GeometricPath
from ebmx.evaluation.log_z._choose_path import path_of, sampler_for
from ebmx.samplers import (
    DMALA,
    MALA,
    Cycle,
    Gibbs,
    GibbsWithGradients,
    Independence,
    ReplicaExchange,
)

RNG = np.random.default_rng(0)
BITS, CATEGORIES = Bernoulli(np.zeros((3, 3))), Categorical(RNG.normal(size=(3, 3)))
MACHINE = CategoricalRBM(*(RNG.normal(size=shape) for shape in [(3, 3, 2), (3, 3), (2,)]))
NETWORK = 4.0 * MLP((3, 3), (8,), key=jax.random.key(0))
ISING = Ising((3, 3), 0.15, 0.1)
MANY = 1.5 * np.linspace(0, 1, 31) - 0.5 * np.linspace(0, 1, 31) ** 2
CASES = {
    "ising": (ISING, BITS, None),
    "ising-gwg": (ISING, BITS, GibbsWithGradients()),
    "ising-jumps": (ISING, BITS, Cycle((DMALA(0.3), Independence(BITS)))),
    "network": (NETWORK, BITS, Gibbs(sweep=True)),
    "machine": (MACHINE, CATEGORIES, None),
    "categories": (NETWORK, CATEGORIES, GibbsWithGradients(categorical=True)),
}


def truth(energy, base):
    return log_z_by_enumeration(energy, categorical=isinstance(base, Categorical))


@pytest.mark.medium
@pytest.mark.parametrize("name", CASES)
def test_annealing_finds_the_sum_over_all_states(name):
    energy, base, sampler = CASES[name]
    options = {"num_chains": 500, "schedule": MANY, "sampler": sampler, "key": jax.random.key(1)}
    found = annealed_importance_sampling(energy, base, **options)
    assert abs(found.log_z - truth(energy, base)) < 4 * found.standard_error < 0.2
    assert set(np.unique(found.x)) == {0.0, 1.0}
    if sampler is None:
        acceptance = np.asarray(found.acceptance)
        assert np.all((acceptance > 0.3) & (acceptance < 1))


@pytest.mark.medium
@pytest.mark.parametrize("name", ["ising", "machine"])
def test_particles_find_it_too(name):
    energy, base, _ = CASES[name]
    found = adaptive_smc(energy, base, num_particles=200, key=jax.random.key(2))
    assert abs(found.log_z - truth(energy, base)) < 4 * found.standard_error < 0.2


@pytest.mark.medium
@pytest.mark.parametrize("name", ["ising", "categories"])
def test_tempering_finds_it_too(name):
    energy, base, sampler = CASES[name]
    ladder = ReplicaExchange(sampler or DMALA(0.3), [1.0, 2.0, np.inf], base=base)
    keys = jax.random.split(jax.random.key(3), (128, 3))
    replicas = jax.vmap(jax.vmap(lambda key: base.sample(key=key)))(keys)
    options = {"num_steps": 300, "key": jax.random.key(4)}
    found = log_z_by_tempering(energy, ladder, replicas, **options)
    assert abs(found.log_z - truth(energy, base)) < 4 * found.standard_error < 0.2
    assert set(np.unique(found.x)) == {0.0, 1.0}


def test_the_samplers_and_bases_that_do_not_fit_are_refused():
    path = path_of(Potts((2,), 3, 0.5), Categorical(np.zeros((2, 3))))
    assert isinstance(path, GeometricPath)
    assert sampler_for(path, None).categorical
    assert not sampler_for(path_of(ISING, BITS), None).categorical
    for energy, base, match in (
        (ISING, Gaussian(np.zeros((3, 3))), "base=Gaussian: the sites of Ising are zeros and ones"),
        (0.5 * MACHINE, BITS, "base=Bernoulli: the sites of CategoricalRBM are categories"),
        (NETWORK + ISING, CATEGORIES, "base=Categorical: the sites of Ising"),
    ):
        with pytest.raises(ValueError, match=match):
            path_of(energy, base)
    jumps = Cycle((DMALA(0.3), Independence(Gaussian(jnp.zeros((3, 3))))))
    for sampler in (MALA(0.1), jumps):
        with pytest.raises(ValueError, match="the base is discrete: give DMALA"):
            sampler_for(path_of(NETWORK, BITS), sampler)
