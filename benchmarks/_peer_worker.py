"""One library's side of `peers.py`: does a repetition of a workload when told to.

`python _peer_worker.py LIBRARY` answers each line `WORKLOAD COUNT` on standard input with a line of
JSON on standard output, and sleeps on its input in between. Its environment holds that library and
not the others, so nothing is imported before it is known which one it is.

In all of them an update of PCD is 60 Langevin steps, a buffer of 8192 with 5 % restarts, the plain
difference of mean energies, and Adam; the docstrings say what differs.
"""

import itertools
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module as load
from importlib.metadata import version
from typing import Any

K, CAPACITY, RESTARTS = 60, 8192, 0.05
ETA = 0.01  # in x ← x − η ∇E + √(2η) ξ; the step size ε of ebmx is 2η
IMAGE_ETA, IMAGE_NOISE, IMAGE_CLIP, RATE = 10.0, 0.005, 0.03, 1e-4

# Does so many updates or steps. What it returns waits for all of them, and is the second moment of
# the chains, or the loss.
Run = Callable[[int], Any]
Builders = dict[str, Callable[[], Run]]


def double_wells(langevin: Callable, mala: Callable, normal: Callable) -> Builders:
    """Those on a double well, from moves `(x, count, turn)` and normal numbers of a shape."""

    def walk(move: Callable, shape: tuple[int, int]) -> Run:
        x, turns = normal(shape), itertools.count()

        def run(count: int):
            nonlocal x
            x = move(x, count, next(turns))
            return (x**2).mean()

        return run

    return {
        "langevin-128x2": partial(walk, langevin, (128, 2)),
        "langevin-4096x32": partial(walk, langevin, (4096, 32)),
        "mala-4096x32": partial(walk, mala, (4096, 32)),
    }


def ebmx_workloads() -> Builders:
    """Ours. An update also averages the parameters, and reports on the chains."""
    import jax
    import jax.numpy as jnp
    import optax

    import ebmx
    from ebmx.energies import MLP, ConvNet
    from ebmx.samplers import MALA, Langevin
    from ebmx.training import PCD, Trainer

    key = jax.random.key(0)
    langevin, normal = Langevin(2 * ETA), partial(jax.random.normal, key)
    cold = Langevin(2 * IMAGE_ETA, noise_scale=IMAGE_NOISE, grad_clip=IMAGE_CLIP, bounds=(-1, 1))

    def double_well(x):
        return jnp.sum((x**2 - 1) ** 2)

    def move(sampler: Any, x: Any, count: int, turn: int):
        return ebmx.run(double_well, sampler, x, num_steps=count, key=jax.random.key(turn))[0]

    def pcd(energy: Any, sampler: Any, batch: int) -> Run:
        trainer = Trainer(optax.adam(RATE, b1=0.0), PCD(sampler, K, CAPACITY, RESTARTS))
        x = jax.random.uniform(key, (batch, *energy.shape), minval=-1)
        state = trainer.init(energy, key=key)

        def run(count: int):
            nonlocal state
            batches = itertools.repeat(x)
            options: dict[str, Any] = {"num_steps": count, "key": key, "progress": False}
            state, history = ebmx.fit(trainer, state, batches, **options)
            return history["loss"][-1]

        return run

    # artifex's without its norms, and with a sum over the image for its mean
    sizes = {"strides": (2, 2, 1), "hidden_dims": (32, 16)}
    paddings = {"kernel_sizes": (5, 3, 3, 3), "paddings": (4, 1, 1, 1)}
    uva = partial(ConvNet, (28, 28, 1), (16, 32, 64, 64), **paddings)
    small = ConvNet((28, 28, 1), (16, 32, 64), **sizes, head="sum", key=key)
    return {
        "pcd-uva": lambda: pcd(uva(key=key), cold, 128),
        "pcd-uva-native": lambda: pcd(uva(native=True, key=key), cold, 128),
        "pcd-mlp": lambda: pcd(MLP((2,), (128, 128), key=key), langevin, 256),
        "pcd-16-32-64": lambda: pcd(small, cold, 128),
        **double_wells(partial(move, langevin), partial(move, MALA(2 * ETA)), normal),
    }


def torch_parts(torch: Any) -> tuple[Any, Any, Callable, Callable]:
    """In PyTorch both networks, `(batch, ...)` to `(batch,)`, an optimiser, and uniform numbers."""
    nn, layers, channels = torch.nn, [], 1
    for width, kernel, padding in ((16, 5, 4), (32, 3, 1), (64, 3, 1), (64, 3, 1)):
        layers += [nn.Conv2d(channels, width, kernel, stride=2, padding=padding), nn.SiLU()]
        channels = width
    head = nn.Flatten(), nn.Linear(256, 64), nn.SiLU(), nn.Linear(64, 1), nn.Flatten(0)
    mlp = nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 1)
    adam = lambda energy: torch.optim.Adam(energy.parameters(), lr=RATE, betas=(0.0, 0.999))  # noqa: E731
    uniform = lambda shape: 2 * torch.rand(shape) - 1  # noqa: E731
    networks = nn.Sequential(*layers, *head), nn.Sequential(*mlp, nn.Flatten(0))
    return *networks, adam, uniform


def torchebm_workloads() -> Builders:
    """torchebm: a loop over its loss, as its README has it.

    What differs: the buffer starts from normal numbers times 0.01, a "new" sample is an old one
    with noise of 0.01, and the oldest slots are overwritten, not those drawn. There is no MALA: HMC
    with one leapfrog step of √(2η) has the same transitions, for two gradients.
    """
    torch, core = load("torch"), load("torchebm.core")
    samplers, losses = load("torchebm.samplers"), load("torchebm.losses")
    uva, mlp, adam, uniform = torch_parts(torch)

    class Energy(core.BaseModel):
        def __init__(self, network: Any):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x)

    class Clipped(Energy):  # its samplers do not clip, but a model may
        def gradient(self, x, model_kwargs=None):
            return super().gradient(x, model_kwargs).clamp_(-IMAGE_CLIP, IMAGE_CLIP)

    def pcd(energy: Any, shape: tuple[int, ...], **sampler: Any) -> Run:
        # Trap: by default each slot is moved by 100 steps before the first update, and the loss has
        # a term of squared energies.
        cd = losses.ContrastiveDivergence(
            model=energy, sampler=samplers.LangevinDynamics(model=energy, **sampler), k_steps=K,
            persistent=True, buffer_size=CAPACITY, new_sample_ratio=RESTARTS, init_steps=0,
            energy_reg_weight=0.0,
        )  # fmt: skip
        optim, x = adam(energy), uniform(shape)

        def run(count: int):
            loss = torch.zeros(())
            for _ in range(count):
                loss, _ = cd(x)
                optim.zero_grad()
                loss.backward()
                optim.step()
            return loss.detach()

        return run

    # Trap: the sampler multiplies its noise by √(2η), so `noise_scale` is not σ.
    noise = IMAGE_NOISE / math.sqrt(2 * IMAGE_ETA)
    cold = {"step_size": IMAGE_ETA, "noise_scale": noise, "clamp": (-1, 1)}
    well, step = core.DoubleWellModel(barrier_height=1.0), math.sqrt(2 * ETA)
    langevin = samplers.LangevinDynamics(model=well, step_size=ETA)
    hmc = samplers.HamiltonianMonteCarlo(model=well, step_size=step, n_leapfrog_steps=1)
    move = lambda sampler, x, count, _: sampler.sample(x=x, n_steps=count)  # noqa: E731
    return {
        "pcd-uva": lambda: pcd(Clipped(uva), (128, 1, 28, 28), **cold),
        "pcd-mlp": lambda: pcd(Energy(mlp), (256, 2), step_size=ETA),
        **double_wells(partial(move, langevin), partial(move, hmc), torch.randn),
    }


def ebmkit_workloads() -> Builders:
    """ebmkit, by its `Trainer`.

    What differs: slots are drawn with replacement; MALA takes two gradients a step.
    """
    torch, ebm = load("torch"), load("ebm")
    uva, mlp, adam, uniform = torch_parts(torch)

    def pcd(energy: Any, shape: tuple[int, ...], sampler: Any) -> Run:
        buffer = ebm.ReplayBuffer(CAPACITY, shape[1:], RESTARTS, uniform)
        loss = ebm.ContrastiveDivergence(sampler, buffer)
        # Trap: a tensor is data to draw batches of `batch_size` from, and so is a list of tensors.
        trainer, batches = ebm.Trainer(energy, loss, adam(energy)), itertools.repeat(uniform(shape))
        return lambda count: trainer.fit(batches, steps=count, verbose=False)[-1]["loss"]

    def move(sampler: Any, x: Any, count: int, _: int):
        return sampler.sample(lambda x: (x.square() - 1).square().sum(-1), x, steps=count)

    langevin, mala = ebm.LangevinDynamics(ETA, K), ebm.MALA(ETA)
    cold = ebm.LangevinDynamics(IMAGE_ETA, K, IMAGE_NOISE, IMAGE_CLIP, (-1, 1))
    return {
        "pcd-uva": lambda: pcd(uva, (128, 1, 28, 28), cold),
        "pcd-mlp": lambda: pcd(mlp, (256, 2), langevin),
        **double_wells(partial(move, langevin), partial(move, mala), torch.randn),
    }


def artifex_workloads() -> Builders:
    """artifex: `train_step` of its models for PCD, its functions under `jax.jit` for sampling.

    What differs: `train_step` is the loss alone, without its gradient and an update, and cannot be
    compiled, since its buffer is a list; so it traces and compiles its chain in each call. Its PCD
    adds noise before it descends, clips gradients at 0.03 and positions to [-1, 1] for any model,
    and for images descends by 0.01 where the others do by 10. Its MNIST network has group norms.
    (`EnergyTrainer.train_step` would update, but differentiates through the chain, in several times
    the time and 4 GiB; and as documented it fails, since it takes for energies what a model
    returns, and that is a dictionary.)
    """
    jax, nnx, models = load("jax"), load("flax.nnx"), "artifex.generative_models.models.energy"
    energy, mcmc = load(models), load(f"{models}.mcmc")
    kernels = load("artifex.generative_models.core.sampling.blackjax_samplers")

    @partial(jax.jit, static_argnums=1)
    def langevin(x, count: int, turn):
        # Trap: by default positions and gradients are clipped, and the key is always 0.
        everywhere = {"clip_range": (-math.inf, math.inf), "grad_clip": math.inf}
        options = {"step_size": ETA, "noise_scale": math.sqrt(2 * ETA)}
        return mcmc.langevin_dynamics(
            lambda x: ((x**2 - 1) ** 2).sum(-1), x, count, rng_key=jax.random.key(turn),
            **options, **everywhere,
        )  # fmt: skip

    @partial(jax.jit, static_argnums=1)
    def mala(x, count: int, turn):
        # Trap: its samplers sum the log density over a batch, which makes one chain of all; so one
        # chain, mapped. Trap: thinning keeps the first of each group, so burn in up to the last.
        def one(x, key):
            options = {"n_samples": 1, "n_burnin": count - 1, "step_size": ETA}
            return kernels.mala_sampling(lambda x: -((x**2 - 1) ** 2).sum(), x, key, **options)[0]

        return jax.vmap(one)(x, jax.random.split(jax.random.key(turn), len(x)))

    def pcd(make: Any, arguments: tuple, shape: tuple[int, ...], **options: Any) -> Run:
        options |= {"sample_buffer_capacity": CAPACITY, "alpha": 0.0}
        model = make(*arguments, rngs=nnx.Rngs(0), **options)
        # Trap: the buffer starts empty and its draws grow dearer until it is full; so it is filled.
        key, *keys = jax.random.split(jax.random.key(0), CAPACITY // shape[0] + 1)
        for k in keys:
            model.sample_buffer.update_buffer(jax.random.uniform(k, shape, minval=-1))
        x = jax.random.uniform(key, shape, minval=-1)
        return lambda count: [model.train_step({"x": x})["total_loss"] for _ in range(count)][-1]

    sizes = {"hidden_dims": (128, 128), "activation": "silu", "dropout_rate": 0.0}
    moves = {"step_size": ETA, "noise_scale": math.sqrt(2 * ETA)}
    return {
        "pcd-mlp": lambda: pcd(energy.create_simple_ebm, (2,), (256, 2), **sizes, **moves),
        "pcd-16-32-64": lambda: pcd(energy.create_mnist_ebm, (), (128, 28, 28, 1)),
        **double_wells(langevin, mala, partial(jax.random.normal, jax.random.key(0))),
    }


LIBRARIES = {
    "ebmx": (ebmx_workloads, ("ebmx", "jax")),
    "torchebm": (torchebm_workloads, ("torchebm", "torch")),
    "ebmkit": (ebmkit_workloads, ("ebmkit", "torch")),
    "artifex": (artifex_workloads, ("avitai-artifex", "jax")),
}


def repetition(builders: Builders, runs: dict[str, Run], name: str, count: int) -> dict[str, Any]:
    """Do a workload so many times; make it first if this is its first repetition."""
    build = builders.get(name, builders.get(name.removesuffix("-native")))  # the kernel is ours
    if build is None:
        return {"absent": True}
    if name not in runs:
        runs[name] = build()
    start = time.perf_counter()
    value = float(runs[name](count))  # waits
    seconds = (time.perf_counter() - start) / count
    if not math.isfinite(value):
        return {"error": f"a result that is not finite: {value}"}
    return {"seconds": seconds, "value": value}


def main() -> None:
    # libraries print: what they say goes to standard error, the answers alone to standard output
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    workloads, packages = LIBRARIES[sys.argv[1]]
    builders: Builders = {}
    runs: dict[str, Run] = {}
    for line in itertools.chain(["begin 0"], sys.stdin):
        name, count = line.split()
        try:
            if name == "begin":
                builders = workloads()
                reply = {"python": platform.python_version()} | {p: version(p) for p in packages}
            else:
                reply = repetition(builders, runs, name, int(count))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers)


if __name__ == "__main__":
    main()
