"""Constructor calls: classes by name, values known later, and errors that name the place."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ebmx
from ebmx import energies, samplers, training
from ebmx.config import build
from ebmx.config._calls import kinds

KNOWN = {"shape": (2,), "num_labels": 3, "zeros": np.zeros(2, np.float32), "num_steps": 10}
KNOWN |= {"key": jax.random.key(0)}


def same(one, two):
    return eqx.tree_equal(one, two, typematch=True)


@pytest.mark.parametrize(
    ("call", "want"),
    [
        ({"kind": "MALA", "step_size": 0.1}, samplers.MALA(0.1)),
        ({"kind": "NUTS", "step_size": 0.1}, samplers.NUTS(0.1)),
        ({"kind": "ebmx.samplers.HMC", "step_size": 0.1}, samplers.HMC(0.1)),
        (
            {"kind": "Langevin", "step_size": 0.1, "bounds": [-1, 1], "noise_scale": "none"},
            samplers.Langevin(0.1, bounds=(-1, 1)),
        ),
        (
            {
                "kind": "Cycle",
                "samplers": [
                    {"kind": "MALA", "step_size": 0.1},
                    {
                        "kind": "Independence",
                        "proposal": {"kind": "Gaussian", "mean": "$zeros", "covariance": 2.0},
                    },
                ],
            },
            samplers.Cycle(
                (
                    samplers.MALA(0.1),
                    samplers.Independence(energies.Gaussian(np.zeros(2), 2.0)),
                )
            ),
        ),
        (
            {
                "kind": "ReplicaExchange",
                "sampler": {"kind": "MALA", "step_size": 0.1},
                "temperatures": [1.0, 2.0, 4.0],
            },
            samplers.ReplicaExchange(samplers.MALA(0.1), jnp.array([1.0, 2.0, 4.0])),
        ),
        (
            {"kind": "Mixture", "samplers": [{"kind": "MALA", "step_size": 0.1}] * 2},
            samplers.Mixture((samplers.MALA(0.1), samplers.MALA(0.1))),
        ),
    ],
)
def test_samplers_are_those_that_python_makes(call, want):
    assert same(build(call, KNOWN, path="sampler"), want)


def test_a_kernel_of_blackjax():
    call = {
        "kind": "BlackJAX",
        "init": "@blackjax.multinomial_hmc.init",
        "kernel": {"kind": "blackjax.multinomial_hmc.build_kernel"},
        "step_size": 0.3,
        "inverse_mass_matrix": [1.0, 1.0],
        "num_integration_steps": 4,
    }
    sampler = build(call, KNOWN, path="sampler")
    gaussian = energies.Gaussian(np.zeros(2), 1.0)
    x, info = ebmx.run(gaussian, sampler, np.zeros((8, 2)), num_steps=20, key=jax.random.key(0))
    assert np.all(np.isfinite(x))
    assert 0.5 < float(jnp.mean(info.acceptance)) <= 1


def test_a_class_of_a_user_by_its_import_path(tmp_path, monkeypatch):
    text = "import ebmx.samplers\n\n\nclass Mine(ebmx.samplers.MALA):\n    pass\n"
    (tmp_path / "my_samplers.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = build({"kind": "my_samplers.Mine", "step_size": 0.2}, path="sampler")
    assert type(found).__name__ == "Mine"
    assert float(found.step_size) == pytest.approx(0.2)


def test_energies_get_shape_and_key():
    call = {"kind": "MLP", "hidden_dims": [4]}
    energy = build(call, KNOWN, path="energy")
    assert energy.shape == (2,)
    assert same(energy, build(call, KNOWN, path="energy"))
    pair = {"kind": "Product", "energies": [call, call]}
    one, two = build(pair, KNOWN, path="energy").energies
    assert not same(one, two), "each network has a key of its own"


def test_an_energy_with_a_state_comes_with_it():
    call = {"kind": "SpectralNorm", "energy": {"kind": "MLP", "hidden_dims": [4]}}
    energy, state = build(call, KNOWN, path="energy")
    assert isinstance(energy, energies.SpectralNorm)
    assert isinstance(state, eqx.nn.State)


def test_a_call_takes_what_stands_above_it():
    waves = {"kind": "FourierFeatures", "num_waves": 5}
    network = {"kind": "MLP", "shape": "$features.joint_shape", "condition_size": 4}
    levels = {"kind": "geometric_levels", "low": 0.1, "high": 9.0, "num_levels": 3}
    call = {"kind": "NoiseConditional", "levels": levels, "mean": "$mean"}
    known = {**KNOWN, "mean": np.array([1.0, 2.0], np.float32)}
    energy = build({**call, "features": waves, "network": network}, known, path="energy")
    assert energy.network.shape == (12,)
    np.testing.assert_array_equal(energy.mean, [1, 2])
    with pytest.raises(ValueError, match=r"features.joint_shape': not known here"):
        build({**call, "network": network, "features": waves}, known, path="energy")


def test_known_values_go_before_arguments_of_the_same_name():
    # and what is filled in unasked is never an argument of a call around it
    jump = {"kind": "Independence", "proposal": {"kind": "Gaussian", "mean": "$mean"}}
    call = {"kind": "Reflected", "sampler": {"kind": "MALA", "step_size": 0.1}, "bounds": [0, 1]}
    assert build(jump, {"mean": np.ones(2)}, path="sampler").proposal.shape == (2,)
    with pytest.raises(ValueError, match="PCD needs sampler"):
        build({**call, "bounds": {"kind": "ebmx.training.PCD"}}, {}, path="sampler")


def test_a_classifier_takes_the_number_of_labels():
    network = {"kind": "MLP", "hidden_dims": [4], "out_size": "$num_labels"}
    energy = build({"kind": "JEM", "network": network}, KNOWN, path="energy")
    assert energy.logits(jnp.zeros(2)).shape == (3,)


def test_negatives_take_the_sampler_that_is_known():
    known = {**KNOWN, "sampler": samplers.MALA(0.1)}
    found = build({"kind": "PCD", "num_steps": 3}, known, path="negatives")
    assert same(found, training.PCD(samplers.MALA(0.1), 3))
    storage = {"kind": "PCD", "storage": {"kind": "BFloat16"}}
    assert isinstance(build(storage, known, path="negatives").storage, training.BFloat16)


def test_a_loss_is_a_partial_function_of_arrays():
    loss = build({"kind": "contrastive_loss", "alpha": 0.2}, KNOWN, path="loss")
    assert loss.func is training.contrastive_loss
    assert isinstance(loss.keywords["alpha"], jax.Array)
    plain = build({"kind": "score_matching_loss"}, KNOWN, path="loss")
    assert plain is training.score_matching_loss
    sum_of = {"kind": "WeightedSum", "losses": [{"kind": "contrastive_loss"}], "weights": [2.0]}
    found = build(sum_of, KNOWN, path="loss")
    assert found.losses == (training.contrastive_loss,)


def test_optimisers_and_schedules_of_optax():
    rate = {"kind": "cosine_decay_schedule", "init_value": 0.1, "decay_steps": "$num_steps"}
    found = build({"kind": "adam", "learning_rate": rate}, KNOWN, path="optim")
    want = optax.adam(optax.cosine_decay_schedule(0.1, 10))
    parameters = jnp.ones(3)
    updates = [o.update(parameters, o.init(parameters), parameters)[0] for o in (found, want)]
    np.testing.assert_array_equal(*updates)


@pytest.mark.parametrize(
    ("call", "path", "message"),
    [
        ({"kind": "MAL"}, "sampler", r"sampler.kind='MAL': unknown: did you mean MALA or DMALA?"),
        ({"kind": "mala"}, "sampler", r"did you mean MALA or DMALA?"),
        ({"kind": "Softpuls"}, "energy.bijection", r"did you mean Softplus?"),
        ({"kind": "MALA"}, "sampler", "sampler: MALA needs step_size"),
        (
            {"kind": "MALA", "stepsize": 1},
            "sampler",
            "sampler.stepsize: MALA does not take this argument: did you mean step_size?",
        ),
        ({"kind": "MALA", "step_size": -1.0}, "sampler", "sampler.step_size=-1"),
        ({"step_size": 1}, "sampler", "sampler.kind=None: name a class"),
        ({"kind": "no_module.Thing"}, "sampler", "sampler.kind='no_module.Thing'"),
        ({"kind": "JEM", "network": {"kind": "MPL"}}, "energy", "energy.network.kind='MPL'"),
        ({"kind": "MLP", "hidden_dims": ["$width"]}, "energy", "='$width': not known here"),
        (
            {"kind": "Cycle", "samplers": [{"kind": "MALA", "step": 1}]},
            "sampler",
            "sampler.samplers.0.step: MALA does not take this argument",
        ),
    ],
)
def test_errors_name_the_place_and_the_nearest_name(call, path, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build(call, KNOWN, path=path)


def test_kinds_are_what_a_part_may_name():
    assert {"MALA", "NUTS", "Cycle", "ReplicaExchange", "Annealed"} <= set(kinds("sampler"))
    assert {"MLP", "JEM", "Conditional", "SpectralNorm", "GaussianMixture"} <= set(kinds("energy"))
    assert {"PCD", "CD", "Jarzynski", "DataOnly", "Perturbed"} <= set(kinds("negatives"))
    assert {"contrastive_loss", "WeightedSum"} <= set(kinds("loss"))
    assert {"adam", "sgd", "muon", "clip_by_global_norm"} <= set(kinds("optim"))
    parts = ("sampler", "energy", "negatives", "loss", "optim")
    found = [name for part in parts for name in kinds(part)]
    assert not [name for name in found if name.startswith(("Abstract", "_"))]
