"""How likely does an energy make unseen digits, and is that more than what mixtures make of them?

On the embedded 8×8 digits with Gaussian noise, so that there is a density on all of the space. The
energy is a network beside a Gaussian that was fitted to the training images; it is trained at T = 1
by persistent Langevin chains that are never restarted. log Z is then bracketed: annealed importance
sampling from that Gaussian bounds it from below, and the same backwards, from persistent chains
that went on under an adjusted sampler, from above. Test images with noise are scored by both
bounds, beside a Gaussian and Gaussian mixtures (scikit-learn) fitted to training images with the
same noise; of the mixtures the one is shown that is best on the test images, to their favour.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, write
from sklearn.mixture import GaussianMixture

import ebmx
from ebmx.data import Dataset
from ebmx.energies import ConvNet, Gaussian, freeze
from ebmx.evaluation import (
    annealed_importance_sampling,
    fit_gaussian,
    log_likelihood,
)
from ebmx.samplers import HMC, Langevin
from ebmx.training import PCD, GaussianNoise, Trainer, TrainState, contrastive_loss

COPIES = 4
"""How often each image is given noise, for mixtures and for the test."""
MIXTURES = [(num, reg) for num in (5, 10, 20) for reg in (1e-6, 1e-2, 3e-2)]


def noisy(x: np.ndarray, scale: float, seed: int) -> np.ndarray:
    """Copies of images with noise, flat."""
    rng = np.random.default_rng(seed)
    flat = np.concatenate([x.reshape(len(x), -1)] * COPIES)
    return (flat + scale * rng.normal(size=flat.shape)).astype(np.float32)


def mixtures(train: np.ndarray, test: np.ndarray, number: int) -> dict[str, float]:
    """The mean log likelihoods of a Gaussian and of mixtures of them."""
    found = {}
    for num, reg in [(1, 1e-6), *MIXTURES[:number]]:
        model = GaussianMixture(num, reg_covar=reg, random_state=0, max_iter=100)
        found[f"{num} Gaussians, ridge {reg:g}"] = float(model.fit(train).score(test))
    return found


def trained(digits: Dataset, base: Gaussian, options) -> tuple[TrainState, float]:
    """The state after training, and the seconds."""
    model_key, chain_key, data_key, fit_key = jax.random.split(jax.random.key(options.seed), 4)
    schedule = optax.cosine_decay_schedule(options.learning_rate, options.updates)
    optim = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=0.0))
    chains = Langevin(0.25 * options.noise**2)
    trainer = Trainer(
        optim,
        PCD(chains, options.chain_steps, 2048, 0.0, GaussianNoise(0.5)),
        eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.0)),
        ema_decay=0.995,
        data_noise=options.noise,
    )
    network = ConvNet(digits.shape, (32, 64), hidden_dims=(64,), key=model_key)
    state = trainer.init(options.scale * network + base, key=chain_key)
    begin = time.perf_counter()
    batches = ebmx.data.batches(digits.train, 128, key=data_key)
    test = jnp.asarray(noisy(digits.test, options.noise, 1).reshape(-1, *digits.shape))
    train = jnp.asarray(noisy(digits.train, options.noise, 2).reshape(-1, *digits.shape))

    def look(step, state, metrics):
        gap = ebmx.energy(state.ema, test).mean() - ebmx.energy(state.ema, train).mean()
        own = metrics["fake_energy_mean"] - metrics["real_energy_mean"]
        seconds = time.perf_counter() - begin
        print(f"{step:6d}  test - training {gap:.2f}  chains - data {own:.2f}  {seconds:.0f} s")

    state, _ = ebmx.fit(
        trainer, state, batches, num_steps=options.updates, key=fit_key, callbacks=[look],
        log_every=max(1, options.updates // 10), progress=False,
    )  # fmt: skip
    return state, time.perf_counter() - begin


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--noise", type=float, default=0.15, help="of the data, in units of them")
    parser.add_argument("--chain-steps", type=int, default=30)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--scale", type=float, default=10.0, help="of the network in the energy")
    parser.add_argument("--temperatures", type=int, default=4000)
    parser.add_argument("--chains", type=int, default=256)
    parser.add_argument("--more-steps", type=int, default=500, help="of HMC, before going back")
    parser.add_argument("--mixtures", type=int, default=len(MIXTURES), help="so many of them")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    digits = ebmx.data.load("digits")
    train, test = noisy(digits.train, options.noise, 0), noisy(digits.test, options.noise, 1)
    baselines = mixtures(train, test, options.mixtures)
    base = fit_gaussian(train.reshape(-1, *digits.shape))
    state, seconds = trained(digits, base, options)
    energy = freeze(state.ema)
    up_key, back_key, draw_key, run_key = jax.random.split(jax.random.key(options.seed + 1), 4)
    x = state.negatives_state.draw(options.chains, key=draw_key).x
    x, info = ebmx.run(
        energy, HMC(0.1 * options.noise / 0.15, 5), x, num_steps=options.more_steps, key=run_key
    )
    settings = {"num_temperatures": options.temperatures}
    under = annealed_importance_sampling(
        energy, base, num_chains=options.chains, key=up_key, **settings
    )
    over = annealed_importance_sampling(energy, base, samples=x, key=back_key, **settings)
    images = jnp.asarray(test.reshape(-1, *digits.shape))
    bounds = [float(jnp.mean(log_likelihood(energy, images, z.log_z))) for z in (over, under)]
    gap = over.log_z - under.log_z
    print(f"acceptance {float(info.acceptance.mean()):.2f}; {under}; {over}; gap {gap:.3f}")
    for name, value in baselines.items():
        print(f"{name:28s}{value:9.2f}")
    print(f"{'energy, at least':28s}{bounds[0]:9.2f}\n{'energy, at most':28s}{bounds[1]:9.2f}")
    best = max(baselines.values())
    print(f"best mixture {best:.2f}; {seconds:.0f} s of training, {int(state.skipped)} skipped")
    figures = {
        "log_z": {"from below": under.log_z, "from above": over.log_z, "gap": gap},
        "standard_errors": [under.standard_error, over.standard_error],
        "log_likelihood": {"at least": bounds[0], "at most": bounds[1]},
        "baselines": baselines,
        "seconds": seconds,
        "options": {k: v for k, v in vars(options).items() if k != "json"},
    }
    write(options.json, figures)


if __name__ == "__main__":
    main()
