"""Calls of the samplers."""

from typing import Any

import jax.numpy as jnp
import numpy as np

import ebmx.samplers as s

from .parts import KEY, SHAPE, Call


def sampler_calls(parts: dict[str, Any]) -> dict[str, Call]:
    """Of `ebmx.samplers`."""
    x = parts["x"]
    gaussian = parts["gaussian"]
    chains = parts["chains"]
    ladder = parts["ladder"]
    langevin = parts["langevin"]
    run = parts["run"]
    sampled = parts["sampled"]
    return {
        "Annealed": Call(
            s.Annealed, {"sampler": chains, "schedules": {"temperature": s.Linear(2.0, 1.0, 5)}}
        ),
        "Barker": Call(s.Barker, {"step_size": 0.1}),
        "BlackJAX": Call(
            s.BlackJAX,
            {
                "init": s.MALA(0.1).kernel(x[0]).init_fn,
                "kernel": s.MALA(0.1).kernel(x[0]).kernel,
                "step_size": 0.1,
            },
            any_of=("step_size",),
        ),
        "Cycle": Call(s.Cycle, {"samplers": (chains, s.MALA(0.1))}),
        "Diagonal": Call(s.Diagonal, {"scale": np.ones(2)}),
        "Geometric": Call(
            s.Geometric, {"start": 2.0, "end": 1.0, "num_steps": 5}, any_of=("num_steps",)
        ),
        "HMC": Call(
            s.HMC, {"step_size": 0.1, "num_integration_steps": 2, "inverse_mass_matrix": np.ones(2)}
        ),
        "Independence": Call(s.Independence, {"proposal": gaussian}),
        "Langevin": Call(s.Langevin, {**langevin, "report_acceptance": False}),
        "Linear": Call(s.Linear, {"start": 2.0, "end": 1.0, "num_steps": 5}, any_of=("num_steps",)),
        "MALA": Call(s.MALA, {"step_size": 0.1}),
        "MCLMC": Call(s.MCLMC, {"step_size": 0.1, "decoherence_length": 1.0}),
        "Mixture": Call(
            s.Mixture,
            {"samplers": (chains, s.MALA(0.1)), "weights": np.ones(2)},
            {"samplers": "weights"},
        ),
        "NUTS": Call(
            s.NUTS, {"step_size": 0.1, "inverse_mass_matrix": np.ones(2), "max_num_doublings": 3}
        ),
        "PreconditionedLangevin": Call(
            s.PreconditionedLangevin, {**langevin, "preconditioner": s.RMSProp()}
        ),
        "RMSProp": Call(s.RMSProp, {"decay": 0.9, "damping": 0.1}),
        "ReplicaExchange": Call(
            s.ReplicaExchange,
            {"sampler": s.MALA(0.1), "temperatures": np.array([1.0, 2.0]), "scale_step": True},
        ),
        "Trace": Call(s.Trace, {"function": s.save_position}),
        "UnderdampedLangevin": Call(s.UnderdampedLangevin, {**langevin, "friction": 1.0}),
        "annealed": Call(s.annealed, {"sampler": chains, "temperature": s.Linear(2.0, 1.0, 5)}),
        "binomial": Call(s.binomial, {"key": KEY, "shape": SHAPE, "dtype": jnp.float32}),
        "displacement_budget": Call(
            s.displacement_budget, {"sampler": s.Langevin(0.1, grad_clip=1.0), "num_steps": 3}
        ),
        "normal": Call(s.normal, {"key": KEY, "shape": SHAPE, "dtype": jnp.float32}),
        "rademacher": Call(s.rademacher, {"key": KEY, "shape": SHAPE, "dtype": jnp.float32}),
        "run": Call(s.run, {**run, "num_steps": 2}, **sampled),
        "run_replicas": Call(
            s.run_replicas,
            {
                "energy": gaussian,
                "sampler": ladder,
                "replicas": x.reshape(3, 2, 2),
                "num_steps": 2,
                "key": KEY,
            },
            {"energy": "energy|shape|replicas"},
            ("replicas",),
        ),
        "sample": Call(
            s.sample,
            {
                **run,
                **{"num_samples": 2, "num_warmup": 1, "thin": 2, "save": s.save_position},
                **{"throw": True, "mesh": None},
            },
            {"energy": r"energy|shape|x", "x": "x|chains?"},
        ),
        "warmup": Call(
            s.warmup,
            {
                **run,
                "sampler": s.MALA(0.1),
                "num_steps": 20,
                "target_acceptance": 0.6,
                "per_chain": False,
            },
            {"energy": r"energy|shape|x"},
            ("x",),
        ),
    }
