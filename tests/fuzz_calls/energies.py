"""Calls of the energies."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

import ebmx.energies as e

from .parts import KEY, SHAPE, Call


def energy_calls(parts: dict[str, Any]) -> dict[str, Call]:
    """Of `ebmx.energies`."""
    x = parts["x"]
    gaussian = parts["gaussian"]
    mlp = parts["mlp"]
    network = parts["network"]
    conditional = parts["conditional"]
    spectral = parts["spectral"]
    state = parts["state"]
    net = parts["net"]
    evaluated = parts["evaluated"]
    return {
        "Banana": Call(e.Banana, {"scale": 2.0, "bend": 0.5}),
        "BatchNormResNet": Call(e.BatchNormResNet, net),
        "BernoulliRBM": Call(
            e.BernoulliRBM,
            {"weight": np.ones((3, 2)), "visible_bias": np.zeros(3), "hidden_bias": np.zeros(2)},
            {"weight": "weight|visible_bias|hidden_bias"},
        ),
        "Box": Call(
            e.Box,
            {"energy": gaussian, "low": -1.0, "high": np.ones(2)},
            {"low": "high", "energy": "energies"},
        ),
        "Conditional": Call(
            e.Conditional,
            {
                "network": network,
                "num_labels": 3,
                "head": "projection",
                "activation": "silu",
                "key": KEY,
            },
        ),
        "ConvNet": Call(
            e.ConvNet,
            {
                **{"shape": (8, 8, 1), "widths": (3, 4), "kernel_sizes": (3, 3), "strides": 2},
                **{"paddings": (1, 1), "hidden_dims": (4,), "activation": "silu"},
                **{"head": "flatten", "compute_dtype": "float32", "key": KEY},
            },
        ),
        "ConvNetwork": Call(
            e.ConvNetwork, {"shape": (8, 8, 1), "out_size": 2, "widths": (3,), "key": KEY}
        ),
        "Convolution": Call(
            e.Convolution,
            {
                **{"in_channels": 1, "out_channels": 2, "size": 3},
                **{"stride": 1, "padding": 1, "key": KEY},
            },
        ),
        "DoubleWell": Call(e.DoubleWell, {"shape": SHAPE, "height": 2.0}),
        "Function": Call(e.Function, {"function": jnp.sum, "shape": SHAPE}),
        "Funnel": Call(e.Funnel, {"dim": 3, "scale": 3.0}),
        "Gaussian": Call(
            e.Gaussian, {"mean": np.zeros(2), "covariance": np.eye(2)}, {"mean": "covariance"}
        ),
        "GaussianMixture": Call(
            e.GaussianMixture,
            {"means": np.zeros((2, 2)), "scales": np.ones(2), "weights": np.ones(2)},
            {"means": "scales|weights"},
        ),
        "JEM": Call(e.JEM, {"network": network, "shape": SHAPE}),
        "MLP": Call(
            e.MLP,
            {
                "shape": SHAPE,
                "hidden_dims": (4,),
                "activation": "silu",
                "compute_dtype": "float32",
                "key": KEY,
            },
        ),
        "MLPNetwork": Call(
            e.MLPNetwork, {"shape": SHAPE, "out_size": 2, "hidden_dims": (4,), "key": KEY}
        ),
        "Marginal": Call(e.Marginal, {"energy": conditional}),
        "Mixture": Call(
            e.Mixture,
            {"energies": (gaussian, gaussian), "weights": np.ones(2)},
            {"energies": "shapes|weights"},
        ),
        "Normalised": Call(
            e.Normalised, {"energy": gaussian, "constant": 0.5}, {"energy": "energies"}
        ),
        "Product": Call(e.Product, {"energies": (gaussian, mlp)}),
        "ResNet": Call(
            e.ResNet, {**net, "norm": "none", "strides": 2, "blocks_per_stage": 1, "head": "sum"}
        ),
        "ResNetwork": Call(e.ResNetwork, {**net, "out_size": 2, "norm": "none"}),
        "Ring": Call(e.Ring, {"radius": 3.0, "scale": 0.3}),
        "SpectralNorm": Call(
            lambda **o: eqx.nn.make_with_state(e.SpectralNorm)(**o),
            {"energy": mlp, "num_iterations": 3, "key": KEY},
        ),
        "StudentT": Call(e.StudentT, {"shape": SHAPE, "dof": 5.0}),
        "Uniform": Call(e.Uniform, {"low": np.zeros(2), "high": np.ones(2)}, {"low": "high"}),
        "Weighted": Call(e.Weighted, {"energy": gaussian, "weight": 2.0}, {"energy": "energies"}),
        "advance": Call(
            e.advance,
            {"energy": spectral, "state": state, "x": x},
            {"energy": "energy|state"},
            ("x",),
        ),
        "conjunction": Call(
            e.conjunction,
            {"energy": conditional, "conditions": [0, 1], "base": gaussian},
            {"conditions": "y", "base": "energies|shapes"},
        ),
        "energy": Call(e.energy, {"model": gaussian, "x": x}, **evaluated),
        "freeze": Call(e.freeze, {"energy": spectral, "state": state}, {"energy": "energy|state"}),
        "log_density_unnormalised": Call(
            e.log_density_unnormalised, {"model": gaussian, "x": x}, **evaluated
        ),
        "resnet": Call(e.resnet, {**net, "norm": "spectral"}),
        "score": Call(e.score, {"model": gaussian, "x": x}, **evaluated),
    }
