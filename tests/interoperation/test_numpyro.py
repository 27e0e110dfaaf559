"""Models of NumPyro as energies, and energies as factors of its models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean

import ebmx
from ebmx.energies import Gaussian, Raveled
from ebmx.samplers import HMC

numpyro = pytest.importorskip("numpyro")
dist = numpyro.distributions
infer = numpyro.infer

Y = np.array([1.3, 0.4, 2.1, 1.7, 0.9], np.float32)


@pytest.fixture(autouse=True)
def _promotion():
    """NumPyro relies on what the tests of this library forbid to its own code."""
    with jax.numpy_rank_promotion("allow"):
        yield


def normal(y):
    """A mean with a normal prior, and a rate with a gamma prior beside it."""
    mean = numpyro.sample("mean", dist.Normal(0.0, 2.0))
    numpyro.sample("rate", dist.Gamma(3.0, 1.5))
    numpyro.sample("y", dist.Normal(mean, 0.5), obs=y)


@pytest.fixture(scope="module")
def model():
    with jax.numpy_rank_promotion("allow"):
        info = infer.util.initialize_model(jax.random.key(0), normal, model_args=(Y,))
        return Raveled(info.potential_fn, info.param_info.z), info.postprocess_fn


@pytest.mark.medium
def test_a_model_is_an_energy_of_its_coordinates_without_bounds(model):
    energy, _ = model
    assert energy.names == ("mean", "rate")
    z = np.array([0.7, -0.2])
    # minus the log density; the logarithm of the rate has its determinant beside it
    rate = np.exp(z[1])
    log_prior = -(z[0] ** 2) / 8 - np.log(2 * np.sqrt(2 * np.pi))
    log_gamma = 3 * np.log(1.5) - np.log(2) + 2 * np.log(rate) - 1.5 * rate + z[1]
    log_data = np.sum(-((Y - z[0]) ** 2) / 0.5 - np.log(0.5 * np.sqrt(2 * np.pi)))
    found = float(energy(jnp.asarray(z, jnp.float32)))
    assert found == pytest.approx(-(log_prior + log_gamma + log_data), rel=1e-5)


@pytest.mark.medium
def test_our_samples_of_a_model_have_the_moments_of_the_posterior_as_those_of_nuts_have(model):
    energy, constrain = model
    start = jnp.zeros((2000, 2))
    samples = ebmx.sample(
        energy, HMC(0.3, 5), start, num_warmup=30, num_samples=2, thin=10, key=jax.random.key(1)
    )
    drawn = jax.vmap(constrain)(energy.unravel(samples.x))
    assert (np.asarray(drawn["rate"]) > 0).all()
    # precisions of a normal mean add up; the rate is independent of the data
    variance = 1 / (1 / 4 + len(Y) / 0.25)
    mean = variance * Y.sum() / 0.25
    x = np.stack([drawn["mean"], drawn["rate"]], -1)
    exact, spread = np.array([mean, 3 / 1.5]), np.diag([variance, 3 / 1.5**2])
    assert_mean(x, exact)
    chains = infer.MCMC(infer.NUTS(normal), num_warmup=200, num_samples=1000, progress_bar=False)
    chains.run(jax.random.key(2), Y)
    theirs = chains.get_samples()
    for name, m, s in zip(("mean", "rate"), exact, np.sqrt(np.diag(spread)), strict=True):
        # of draws that are related, a fifth counts
        assert abs(float(theirs[name].mean()) - m) < 4.5 * s / np.sqrt(200)
        assert abs(float(theirs[name].mean()) - float(drawn[name].mean())) < 5 * s / np.sqrt(200)


PRIOR = Gaussian(np.array([1.0, -1.0]), np.array([[1.0, 0.6], [0.6, 2.0]]))


def observed(x):
    z = numpyro.sample("z", dist.ImproperUniform(dist.constraints.real, (), event_shape=(2,)))
    numpyro.factor("ebm", -PRIOR(z))
    numpyro.sample("x", dist.Normal(z, 0.5).to_event(1), obs=x)


@pytest.mark.medium
def test_an_energy_is_the_prior_of_a_model():
    chains = infer.MCMC(
        infer.NUTS(observed), num_warmup=300, num_samples=4000, thinning=4, progress_bar=False
    )
    x = jnp.array([0.0, 1.0])
    chains.run(jax.random.key(3), x)
    precision = np.linalg.inv(np.asarray(PRIOR.covariance)) + 4 * np.eye(2)
    covariance = np.linalg.inv(precision)
    right = np.linalg.inv(np.asarray(PRIOR.covariance)) @ np.asarray(PRIOR.mean) + 4 * np.asarray(x)
    z = np.asarray(chains.get_samples()["z"])
    assert_mean(z, covariance @ right)
    assert_covariance(z, covariance)
