"""Would the tests notice? Bugs are put into a copy of the package, one at a time.

Each bug replaces one piece of text that occurs exactly once in a file. The tests named with it run
on the copy; a bug that they pass has survived, and a test is missing. `--only` takes a part of a
name. Exits with 1 if a bug survives, or if a text is not found exactly once.

`MUTANTS` holds, for each file, the tests and the bugs as (name, old text, new text).
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _common import arguments, write

ROOT = Path(__file__).resolve().parent.parent

MUTANTS = {
    ("samplers/_langevin.py", "samplers/test_langevin.py samplers/test_increments.py"
     " samplers/test_sample.py"): [
        ("drift-sign", "mean = x - 0.5 * self", "mean = x + 0.5 * self"),
        ("drift-half", "mean = x - 0.5 * self", "mean = x - self"),
        ("noise-no-sqrt", "scale = jnp.sqrt(self.step_size * self.temperature)",
         "scale = self.step_size * self.temperature"),
        ("temperature-ignored", "jnp.sqrt(self.step_size * self.temperature)",
         "jnp.sqrt(self.step_size)"),
        ("noise-scale-ignored", "        scale = self.noise_scale\n", "        scale = None\n"),
        ("clip-missing", "return jnp.clip(gradient, -self.grad_clip, self.grad_clip)",
         "return gradient"),
        ("clip-by-norm", "return jnp.clip(gradient, -self.grad_clip, self.grad_clip)",
         "return gradient * jnp.minimum(1, self.grad_clip / jnp.sqrt(jnp.sum(gradient**2)))"),
        ("bounds-swapped", "low, high = self.bounds\n        if",
         "high, low = self.bounds\n        if"),
        ("effective-temperature", "return self.noise_scale**2 / self.step_size",
         "return self.noise_scale / self.step_size"),
        ("divergence-ignored", "acceptance, ~jnp.isfinite(value))",
         "acceptance, jnp.zeros((), bool))"),
        ("key-reused", "self.increments(key, x.shape",
         "self.increments(jax.random.key(0), x.shape"),
        ("reported-sign", "0.5 * (there - back)", "0.5 * (back - there)"),
        ("reported-temperature", "log_ratio / scale**2", "log_ratio / step_size"),
        ("reported-stale", "state = Transition(x, mean.astype(x.dtype), value)", "pass"),
    ],
    ("samplers/_increments.py", "samplers/test_increments.py"): [
        ("rademacher-bias", "(2 * bits.astype(jnp.int32) - 1)", "bits.astype(jnp.int32)"),
        ("bits-used-twice", "words[:, None] >> shifts[None]",
         "words[:, None] >> shifts[None] // 2"),
        ("binomial-scale", "astype(dtype) / math.sqrt(2)", "astype(dtype) / 2"),
        ("binomial-mask", "(words & 0x33333333) +", "(words & 0x11111111) +"),
    ],
    ("samplers/_underdamped.py", "samplers/test_underdamped.py"): [
        ("half-kick-missing", "velocity) - half * self.clip(gradient)", "velocity)"),
        ("kick-whole", "half * self.clip(state.gradient)", "2 * half * self.clip(state.gradient)"),
        ("friction-sign", "jnp.exp(-self.friction * self.step_size)",
         "jnp.exp(self.friction * self.step_size)"),
        ("baoab-noise", "jnp.expm1(-2 * self.friction * self.step_size))\n        velocity",
         "jnp.expm1(-self.friction * self.step_size))\n        velocity"),
        ("velocity-not-turned", "return jnp.where(odd, -velocity, velocity)", "return velocity"),
        ("gradient-stale", "Momentum(velocity.astype(x.dtype), gradient, value)",
         "Momentum(velocity.astype(x.dtype), state.gradient, value)"),
        ("velocity-at-rest", "scale = jnp.sqrt(self.effective_temperature)", "scale = 0.0"),
    ],
    ("samplers/_preconditioned.py", "samplers/test_preconditioned.py"): [
        ("decay-swapped", "self.decay * memory + (1 - self.decay) * gradient**2",
         "(1 - self.decay) * memory + self.decay * gradient**2"),
        ("rmsprop-no-sqrt", "(self.damping + jnp.sqrt(square))", "(self.damping + square)"),
        ("preconditioner-noise", "scale * jnp.sqrt(diagonal) * self", "scale * diagonal * self"),
        ("preconditioner-drift", "self.step_size * diagonal * self.clip(gradient)",
         "self.step_size * self.clip(gradient)"),
    ],
    ("samplers/_blackjax.py", "samplers/test_kernels.py"): [
        ("mala-not-halved", "jnp.asarray(self.step_size) / 2", "jnp.asarray(self.step_size)"),
        ("energy-sign", "lambda x: -_wide(as", "lambda x: _wide(as"),
        ("state-not-refreshed", "_drop(new), _summarise", "_drop(state), _summarise"),
        ("masses-ignored", "    return given\n", "    return jnp.ones_like(given)\n"),
        ("kernel-acceptance", 'getattr(info, "acceptance_rate", 1.0)', "1.0"),
        ("kernel-divergence", 'getattr(info, "is_divergent", jnp.isinf(energy))',
         "jnp.zeros((), bool)"),
        ("step-static", "jnp.asarray(value) if isinstance(value, float) else value", "value"),
    ],
    ("samplers/_run.py", "samplers/test_properties.py samplers/test_sample.py"
     " samplers/test_warmup.py"): [
        ("loop-key-reused", "key=jax.random.fold_in(key, i))\n        return",
         "key=key)\n        return"),
        ("one-step-less", "fori_loop(0, num_steps - 1, step, start)",
         "fori_loop(1, num_steps - 1, step, start)"),
        ("acceptance-summed", "(acceptance + last.acceptance) / num_steps",
         "acceptance + last.acceptance"),
        ("divergence-of-the-last", "divergent | info.divergent", "info.divergent"),
        ("end-not-checked", " | ~jnp.all(jnp.isfinite(x))", ""),
        ("one-key-for-all", "return jax.random.split(key, num_chains)",
         "return jax.random.split(key, 1)[jnp.zeros(num_chains, int)]"),
        ("per-chain-axes", "eqx.filter_vmap(chain)(sampler.sampler, x, keys)",
         "jax.vmap(chain, (None, 0, 0))(jax.tree.map(lambda a: a[0], sampler.sampler), x, keys)"),
    ],
    ("samplers/_sample.py", "samplers/test_sample.py samplers/test_saving.py"): [
        ("thinning-off-by-one", "x, state, thin, key=key)", "x, state, thin + 1, key=key)"),
        ("warm-up-ignored", "if num_warmup > 0:", "if num_warmup > 10**6:"),
        ("samples-key-reused", "key = jax.random.fold_in(samples_key, i)", "key = samples_key"),
        ("start-not-judged", "jnp.where(jnp.all(jnp.isfinite(start)), ended",
         "jnp.where(True, ended"),
    ],
    ("samplers/_saving.py", "samplers/test_saving.py"): [
        ("moments-square", "change * (x - mean)", "change**2"),
        ("moments-count", "change / count)", "change / (count + 1))"),
        ("moments-biased", "self.square / (count - 1)", "self.square / count"),
    ],
    ("samplers/_annealed.py", "samplers/test_annealed.py"): [
        ("schedule-one-late", "return x, (count + 1, inner), info",
         "return x, (count, inner), info"),
        ("geometric-inverted", "(self.end / self.start) ** share",
         "(self.start / self.end) ** share"),
    ],
    ("samplers/_combined.py", "samplers/test_combined.py"): [
        ("jump-without-q", "state - value + self.proposal(y) - self.proposal(x)", "state - value"),
        ("jump-sign", "state - value + self", "value - state + self"),
        ("jump-energy-stale", "return jnp.where(accepted, y, x), new, info",
         "return jnp.where(accepted, y, x), state, info"),
        ("weights-ignored", "if self.weights is None else self.weights",
         "if True else self.weights"),
        ("cycle-divergence", "jnp.any(jnp.stack(divergent))", "jnp.all(jnp.stack(divergent))"),
        ("cycle-key-reused", "_fresh_step(sampler, energy, x, one_key)",
         "_fresh_step(sampler, energy, x, key)"),
    ],
    ("samplers/_tempering.py", "samplers/test_tempering.py"): [
        ("swap-sign", "(energies[:-1] - energies[1:])", "(energies[1:] - energies[:-1])"),
        ("swap-parity", "state.step % 2)", "0 * state.step)"),
        ("permutation", "+ from_above - from_below", "+ from_above"),
        ("retemper-missing", "        if name in states._fields:", "        if False:"),
        ("retemper-inverted", "self.temperatures[source] / self.temperatures",
         "self.temperatures / self.temperatures[source]"),
        ("temperature-of-rungs", "as_scalar(energy(x)) / temperature", "as_scalar(energy(x))"),
        ("states-stay", "lambda leaf: leaf[source], inner", "lambda leaf: leaf, inner"),
        ("swap-always", "tried & (jax", "tried | (jax"),
    ],
    ("samplers/_warmup.py", "samplers/test_warmup.py"): [
        ("tuner-sign", "error = target - jnp", "error = -target + jnp"),
        ("tuner-first-chain", "acceptance if per_chain else jnp.mean(acceptance)",
         "acceptance if per_chain else jnp.min(acceptance)"),
        ("mass-inverted", "inverse_mass_matrix=variance)", "inverse_mass_matrix=1 / variance)"),
    ],
    ("training/_buffer.py", "training/test_buffer.py training/test_negatives.py"): [
        ("ring-not-turned", "jnp.floor(u[num] * capacity)", "jnp.floor(0 * u[num] * capacity)"),
        ("wrong-slots", "slots.at[index].set(values", "slots.at[index - 1].set(values"),
        ("ages-stay", "self.ages[index] + 1 if", "self.ages[index] if"),
        ("arcs-key-shared", "jnp.floor(u[:num] * width)", "jnp.floor(u[:1] * width)"),
    ],
    ("training/_chains.py", "training/test_negatives.py training/test_adaptation.py"): [
        ("restart-inverted", "(num,)) < self.reinit_prob", "(num,)) > self.reinit_prob"),
        ("restart-places-swapped", "where_chain(restarted, noise, start)",
         "where_chain(restarted, start, noise)"),
        ("coin-key-reused", "jax.random.uniform(restart_key, (num,)) <",
         "jax.random.uniform(noise_key, (num,)) <"),
        ("coin-for-all", "jax.random.uniform(restart_key, (num,)) <",
         "jnp.full(num, jax.random.uniform(restart_key)) <"),
        ("ages-of-restarts", "jnp.where(restarted, 0, state.ages[index]) + 1)",
         "state.ages[index] + 1)"),
        ("scales-of-restarts", "jnp.where(restarted, 0, state.log_scales[index])",
         "state.log_scales[index]"),
        ("buffer-not-written", "return x, state.write(index, x, ages, log_scales), info",
         "return x, state.write(index, start, ages, log_scales), info"),
    ],
    ("training/_negatives.py", "training/test_negatives.py"): [
        ("dead-stay", "x = where_chain(dead, noise, x)", "x = where_chain(dead, x, x)"),
        ("gradient-not-stopped", "jax.lax.stop_gradient(x), info", "x, info"),
        ("noise-key-reused", "keys = jax.random.split(key, num)",
         "keys = jax.random.split(key, 1)[jnp.zeros(num, int)]"),
    ],
    ("training/_adaptation.py", "training/test_adaptation.py"): [
        ("adaptation-sign", "log_scales + gain * error", "log_scales - gain * error"),
        ("adaptation-gain", "jnp.maximum(self.gain, 4.0", "jnp.minimum(self.gain, 4.0"),
        ("adaptation-of-the-dead", "jnp.where(info.dead, 0.0, log", "jnp.where(False, 0.0, log"),
        ("adaptation-factor", "sampler.step_size * jnp.exp(log_scale)", "jnp.exp(log_scale)"),
    ],
    ("evaluation/_diagnostics.py", "evaluation/test_diagnostics.py"): [
        ("stuck-any", "np.all(flat == flat[:, :1], axis=(1, 2))",
         "np.any(flat == flat[:, :1], axis=(1, 2))"),
        ("drift-of-a-quarter", "half = energy.shape[1] // 2", "half = energy.shape[1] // 4"),
        ("rhat-passes", "if not worst <= 1.01:", "if not worst <= 101:"),
    ],
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> bool:
        """Write the bug into a copy; whether its place was found exactly once."""
        path = root / self.file
        text = path.read_text()
        path.write_text(text.replace(self.old, self.new))
        return text.count(self.old) == 1


def mutants(only: str) -> list[Mutant]:
    found = [
        Mutant(name, f"ebmx/{file}", old, new, tuple(f"tests/{test}" for test in tests.split()))
        for (file, tests), bugs in MUTANTS.items()
        for name, old, new in bugs
    ]
    return [mutant for mutant in found if only in mutant.name]


def judge(mutant: Mutant) -> dict[str, str | float]:
    """Run the tests on a copy of the package with this bug."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for part in ("ebmx", "tests"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        shutil.copy(ROOT / "pyproject.toml", folder)
        by = "text not found exactly once"
        fate = "not applied"
        if mutant.apply(Path(folder)):
            fate, by = test(mutant, folder)
    seconds = round(time.perf_counter() - start, 1)
    return {"name": mutant.name, "file": mutant.file, "fate": fate, "by": by, "seconds": seconds}


def test(mutant: Mutant, folder: str) -> tuple[str, str]:
    options = ["-x", "-n", "0", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, *mutant.tests]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return "survived", ""
    killer = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode != 1 or killer is None:
        return "not applied", f"pytest ended with {done.returncode}: {done.stdout[-200:]}"
    return "killed", killer[1].removeprefix("tests/")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="run the bugs whose name holds this")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    options = parser.parse_args()
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(judge, mutants(options.only)):
            name, fate, seconds = result["name"], result["fate"], result["seconds"]
            print(f"{name:24} {fate:12} {seconds:6} s  {result['by']}", flush=True)
            results.append(result)
    fates = [result["fate"] for result in results]
    counts = {fate: fates.count(fate) for fate in ("killed", "survived", "not applied")}
    print(", ".join(f"{count} {fate}" for fate, count in counts.items()))
    write(options.json, {"counts": counts, "mutants": results})
    return int(counts["killed"] < len(results) or not results)


if __name__ == "__main__":
    sys.exit(main())
