"""The trained energies of the package: what they have learnt, and what loading them needs."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import ebmx
from ebmx.energies import GaussianMixture, pretrained
from ebmx.evaluation import log_z_by_quadrature
from ebmx.samplers import MALA, Langevin

EDGE, NUM = 7.0, 281
LOG_Z = 0.0064
"""Of the plane, by quadrature when it was trained."""


def grid():
    """The centres of cells on the plane, `(cells, 2)`, and the area of one."""
    width = 2 * EDGE / NUM
    line = np.linspace(-EDGE + width / 2, EDGE - width / 2, NUM)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2).astype(np.float32), width**2


@pytest.fixture(scope="module")
def digits():
    return pretrained("digits"), ebmx.data.load("digits")


def test_log_z_of_the_plane_is_what_it_was_when_it_was_trained():
    found = log_z_by_quadrature(pretrained("plane"), [-EDGE] * 2, [EDGE] * 2, num_points=NUM)
    assert abs(found - LOG_Z) < 5e-4


def test_the_plane_is_the_density_of_eight_gaussians_with_noise():
    energy, truth = pretrained("plane"), ebmx.energies.plane("8gaussians")
    assert energy.shape == truth.shape == (2,)
    blurred = GaussianMixture(truth.means, np.sqrt(0.35**2 + 0.05**2))
    x, area = grid()
    log_p = -np.asarray(ebmx.energy(blurred, x) + blurred.log_z, np.float64)
    log_q = -np.asarray(ebmx.energy(energy, x), np.float64) - LOG_Z
    assert abs(area * np.exp(log_q).sum() - 1) < 1e-3
    divergence = area * np.sum(np.exp(log_p) * (log_p - log_q))
    # 0.0026 when it was trained
    assert 0 < divergence < 0.004
    # each of the eight modes has its mass
    nearest = np.argmin(np.sum((x[:, None] - np.asarray(truth.means)) ** 2, -1), 1)
    masses = area * np.bincount(nearest, np.exp(log_q), 8)
    assert np.abs(masses - 1 / 8).max() < 0.01


@pytest.mark.medium
def test_the_plane_is_sampled(getkey):
    energy = pretrained("plane")
    start = jax.random.uniform(getkey(), (400, 2), minval=-4, maxval=4)
    x, _ = ebmx.run(energy, MALA(0.1), start, num_steps=300, key=getkey())
    # of exact samples, in the mean and with a spread of 1, if modes do not overlap
    exact = np.log(8) + 1 + np.log(2 * np.pi * (0.35**2 + 0.05**2))
    assert abs(float(ebmx.energy(energy, x).mean()) - exact) < 5 / np.sqrt(400)


def test_digits_have_lower_energies_than_noise_and_than_shuffled_digits(digits):
    energy, data = digits
    assert energy.shape == data.shape == (8, 8, 1)
    numbers = np.random.default_rng(0)
    test = data.test
    noise = numbers.uniform(-1, 1, test.shape).astype(np.float32)
    shuffled = numbers.permuted(test.reshape(len(test), -1), axis=1).reshape(test.shape)
    of = {
        name: np.asarray(ebmx.energy(energy, x))
        for name, x in {"data": test, "noise": noise, "shuffled": shuffled}.items()
    }
    # 99 of 100 digits are below 0.07, all noise above 2, all shuffled digits above 0.6
    assert np.quantile(of["data"], 0.99) < 0.15 < 0.5 < of["shuffled"].min() < of["noise"].min()
    assert of["noise"].min() > 1.5
    assert of["data"].std() < 0.1


@pytest.mark.medium
def test_chains_from_noise_make_digits(digits):
    energy, data = digits
    sampler = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1.0, 1.0))
    keys = jax.random.split(jax.random.key(0))
    start = jax.random.uniform(keys[0], (64, 8, 8, 1), minval=-1, maxval=1)
    x, _ = ebmx.run(energy, sampler, start, num_steps=100, key=keys[1])
    found, of_data = (np.asarray(ebmx.energy(energy, one)) for one in (x, data.test))
    assert np.median(found) < np.quantile(of_data, 0.95)
    # nearer to a digit than digits' pixels at random are
    distances = [
        np.sqrt(((np.asarray(one)[:, None] - data.train[None]) ** 2).sum((2, 3, 4)).min(1)).mean()
        for one in (x, start)
    ]
    assert distances[0] < 0.6 * distances[1]


@pytest.mark.medium
def test_chains_of_mnist_make_digits():
    energy, data = pretrained("mnist"), ebmx.data.load("mnist-5k")
    assert energy.shape == data.shape == (28, 28, 1)
    sampler = Langevin(2.0, noise_scale=0.01, grad_clip=3.0, bounds=(-1.0, 1.0))
    keys = jax.random.split(jax.random.key(0))
    start = jax.random.uniform(keys[0], (32, 28, 28, 1), minval=-1, maxval=1)
    x, _ = ebmx.run(energy, sampler, start, num_steps=200, key=keys[1])
    of = {
        name: np.asarray(ebmx.energy(energy, x))
        for name, x in {"noise": start, "data": data.test[:32], "chains": x}.items()
    }
    assert of["data"].max() < of["noise"].min()
    assert np.median(of["chains"]) < of["data"].max()


def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match="name='circle': give one of digits, mnist, plane"):
        pretrained("circle")


@pytest.mark.medium
def test_the_files_are_small_and_need_no_further_package():
    folder = Path(ebmx.__file__).parent / "energies/pretrained"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 600_000
    optional = ["safetensors", "orbax", "huggingface_hub", "matplotlib", "sklearn", "tomli_w"]
    block = f"import sys; sys.modules.update(dict.fromkeys({optional}))"
    code = f"{block}; from ebmx.energies import pretrained as p"
    code += "; print(p('digits').shape, p('mnist').shape, p('plane').shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n")[0] == "(8, 8, 1) (28, 28, 1) (2,)", done.stderr
