"""Contrastive divergence, short-run and persistent chains at the same cost: what do they learn?

On the embedded digits with one network and one sampler. Each method makes as many updates as fit
into the same number of gradient evaluations, where an update costs its chain steps and two more for
the loss. Reported are the Fréchet ratio of the method's own negatives, of chains that start from
noise and take 500 steps, and of chains that take 2,000 steps from the training images (the drift:
1 would stay like fresh data), and the seconds of training. `--plot` draws the images of all.
"""

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write

import ebmx
from ebmx.energies import ConvNet, freeze
from ebmx.plotting import sample_grid
from ebmx.runs.report._features import frechet_ratio_for
from ebmx.samplers import Langevin
from ebmx.training import (
    CD,
    PCD,
    Examples,
    ShortRun,
    Trainer,
    UniformNoise,
    contrastive_loss,
)

CHAINS = Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1, 1))
METHODS: dict[str, Any] = {
    "CD-1": CD(CHAINS, 1),
    "CD-10": CD(CHAINS, 10),
    "short-run, 30": ShortRun(CHAINS, 30),
    "PCD, 10": PCD(CHAINS, 10, 4096, 0.05),
    "PCD, 30": PCD(CHAINS, 30, 4096, 0.05),
}
NUM, LONG_FROM_NOISE, LONG_FROM_DATA, COLUMNS = 1024, 500, 2000, 12


def train(negatives: Any, digits: Any, evaluations: int, seed: int) -> tuple[Any, int, float]:
    """The state after training, the number of updates and the seconds."""
    model_key, chain_key, data_key, fit_key = jax.random.split(jax.random.key(seed), 4)
    num_steps = evaluations // (negatives.num_steps + 2)
    schedule = optax.cosine_decay_schedule(4e-3, num_steps)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=0.0))
    loss = eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05))
    trainer = Trainer(optim, negatives, loss, ema_decay=0.99, data_noise=0.03)
    batches = ebmx.data.batches(digits.train, 128, key=data_key)
    energy = ConvNet(digits.shape, (64, 64), hidden_dims=(64,), key=model_key)
    state = trainer.init(energy, key=chain_key)
    begin = time.perf_counter()
    state, _ = ebmx.fit(trainer, state, batches, num_steps=num_steps, key=fit_key, progress=False)
    return state, num_steps, time.perf_counter() - begin


def own_negatives(negatives: Any, state: Any, data: jax.Array, key: jax.Array) -> jax.Array:
    """What the loss sees after the training: from the buffer, from noise, or near the data."""
    energy = freeze(state.energy, state.norm_state)
    out, _, _ = negatives.step(energy, Examples(data[:NUM]), state.negatives_state, key=key)
    return out.x


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--evaluations", type=int, default=32_000, help="gradients of a batch")
    parser.add_argument("--only", default="", help="the methods whose name holds this")
    parser.add_argument("--part", type=float, default=1.0, help="of the steps of the long chains")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="write a picture of the images to this file")
    options = parser.parse_args()
    digits = ebmx.data.load("digits")
    judge = frechet_ratio_for(digits)
    assert judge is not None
    data, table = jnp.asarray(digits.train), {}
    pictures: dict[str, list[np.ndarray]] = {}
    key = jax.random.key(options.seed)
    noise = jax.vmap(lambda k: UniformNoise().sample(digits.shape, key=k))(
        jax.random.split(key, NUM)
    )
    from_noise, from_data = (int(options.part * n) for n in (LONG_FROM_NOISE, LONG_FROM_DATA))
    methods = {name: method for name, method in METHODS.items() if options.only in name}
    for name, negatives in methods.items():
        state, updates, seconds = train(negatives, digits, options.evaluations, options.seed)
        energy = freeze(state.energy, state.norm_state)
        sets = {
            "own": own_negatives(negatives, state, data, key),
            "from noise": ebmx.run(energy, CHAINS, noise, num_steps=from_noise, key=key)[0],
            "from data": ebmx.run(energy, CHAINS, data[:NUM], num_steps=from_data, key=key)[0],
        }
        ratios = {where: judge(np.asarray(x)) for where, x in sets.items()}
        table[name] = {"updates": updates, "seconds": seconds, "skipped": int(state.skipped)}
        table[name] |= ratios
        for where, x in sets.items():
            pictures.setdefault(where, []).append(np.asarray(x)[: 2 * COLUMNS])
        figures = "  ".join(f"{key} {value:.4g}" for key, value in table[name].items())
        print(f"{name:16s}{figures}", flush=True)
    if options.plot:
        groups = {where: np.concatenate(images) for where, images in pictures.items()}
        figure = sample_grid(groups, num_columns=COLUMNS, num_rows=2 * len(methods))
        figure.suptitle("two rows each: " + "; ".join(methods))
        figure.savefig(options.plot, dpi=150)
    write(options.json, {"evaluations": options.evaluations, "table": table})


if __name__ == "__main__":
    main()
