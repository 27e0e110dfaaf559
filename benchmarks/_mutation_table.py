"""Bugs: for each file of the package the tests that run, and (name, old text, new text)."""

MUTANTS = {
    ("samplers/_langevin.py", "samplers/test_langevin.py samplers/test_increments.py "
     "samplers/test_sample.py samplers/test_sample_failures.py"): [
        ("drift-sign", "mean = x - 0.5 * step_size", "mean = x + 0.5 * step_size"),
        ("drift-half", "mean = x - 0.5 * step_size", "mean = x - step_size"),
        ("noise-no-sqrt", "jnp.sqrt(cast(self.step_size, x) * cast(self.temperature, x))",
         "cast(self.step_size, x) * cast(self.temperature, x)"),
        ("temperature-ignored", "jnp.sqrt(cast(self.step_size, x) * cast(self.temperature, x))",
         "jnp.sqrt(cast(self.step_size, x))"),
        ("noise-scale-ignored", "return cast(self.noise_scale, x)",
         "return jnp.sqrt(cast(self.step_size, x))"),
        ("clip-missing", "return jnp.clip(gradient, -limit, limit)", "return gradient"),
        ("clip-by-norm", "return jnp.clip(gradient, -limit, limit)",
         "return gradient * jnp.minimum(1, limit / jnp.sqrt(jnp.sum(gradient**2)))"),
        ("bounds-swapped", 'if self.boundary == "clip" else', 'if self.boundary != "clip" else'),
        ("effective-temperature", "return self.noise_scale**2 / self.step_size",
         "return self.noise_scale / self.step_size"),
        ("divergence-ignored", "taken, ~jnp.isfinite(here.energy))",
         "taken, jnp.zeros((), bool))"),
        ("key-reused", "x, key=key))\n        if", "x, key=jax.random.key(0)))\n        if"),
        ("reported-sign", "- jnp.sum((x - back) ** 2)", "+ jnp.sum((x - back) ** 2)"),
        ("reported-temperature", "log_ratio / jnp.where(noisy, variance, 1)",
         "log_ratio / step_size.astype(dtype)"),
        ("reported-stale", "return new, there, info_of(there, acceptance)",
         "return new, here, info_of(there, acceptance)"),
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
        ("friction-sign", "jnp.exp(-friction * step_size)", "jnp.exp(friction * step_size)"),
        ("baoab-noise", "jnp.expm1(-2 * friction * step_size)", "jnp.expm1(-friction * step_size)"),
        ("velocity-not-turned", "self.bounds)[1], -velocity, velocity)",
         "self.bounds)[1], velocity, velocity)"),
        ("gradient-stale", "return new, Momentum(velocity, gradient, value), info",
         "return new, Momentum(velocity, state.gradient, value), info"),
        ("velocity-at-rest", "scale = jnp.sqrt(cast(self.effective_temperature, x))",
         "scale = 0.0"),
    ],
    ("samplers/_preconditioned.py", "samplers/test_preconditioned.py"): [
        ("decay-swapped", "decay * memory + (1 - decay) * gradient",
         "(1 - decay) * memory + decay * gradient"),
        ("rmsprop-no-sqrt", "cast(self.damping, memory) + jnp.sqrt(square)",
         "cast(self.damping, memory) + square"),
        ("preconditioner-noise", "jnp.sqrt(diagonal) * draw", "diagonal * draw"),
        ("preconditioner-drift", "step_size * diagonal * self.clip(here.gradient)",
         "step_size * self.clip(here.gradient)"),
    ],
    ("samplers/kernels/_blackjax.py", "samplers/test_blackjax.py samplers/test_reversibility.py "
     "samplers/test_kernels.py"): [
        ("energy-sign", "lambda x: -wide(as", "lambda x: wide(as"),
        ("state-not-refreshed", "new._replace(position=None)", "state"),
        ("kernel-acceptance", 'getattr(info, "acceptance_rate", 1.0)', "1.0"),
        ("kernel-divergence", 'jnp.asarray(getattr(info, "is_divergent", False)) |',
         "jnp.zeros((), bool) |"),
        ("step-static", "return as_number(value) if", "return value if"),
        ("reverted-not-told", "reverted = ~info.nonans | jnp.all", "reverted = jnp.all"),
        ("unknown-acceptance", "jnp.where(jnp.isfinite(acceptance), acceptance, 0)", "acceptance"),
    ],
    ("samplers/kernels/_blackjax_kernels.py", "samplers/test_blackjax.py "
     "samplers/test_reversibility.py"): [
        ("mala-not-halved", "jnp.asarray(self.step_size) / 2", "jnp.asarray(self.step_size)"),
        ("one-leapfrog-step", "num_integration_steps=self.num_integration_steps,",
         "num_integration_steps=1,"),
    ],
    ("samplers/kernels/_kernel_sampler.py", "samplers/test_blackjax.py "
     "samplers/test_reversibility.py"): [
        ("masses-ignored", "    return given\n", "    return jnp.ones_like(given)\n"),
    ],
    ("samplers/kernels/_ghmc.py", "samplers/kernels/test_ghmc.py "
     "samplers/kernels/test_all_kernels.py"): [
        ("ghmc-uniform-lost", "jnp.where(jnp.isfinite(after.slice), after.slice, ",
         "jnp.where(True, after.slice, "),
        ("ghmc-momentum-at-unit-mass", "noise / jnp.sqrt(inverse).reshape(x.shape)", "noise"),
        ("ghmc-diagonal-squared", "jnp.sqrt(inverse) if inverse.ndim == 1", "inverse if True"),
        ("ghmc-momentum-refreshed", "momentum=state.momentum, slice", "slice"),
    ],
    ("samplers/kernels/_jittered_hmc.py", "samplers/kernels/test_jittered_hmc.py"): [
        ("jitter-rounded-down", "jnp.ceil(fraction", "jnp.floor(fraction"),
        ("sequence-stands", "Jittered(state.count + 1, inner)", "Jittered(state.count, inner)"),
    ],
    ("samplers/kernels/_chees.py", "samplers/kernels/test_chees.py"): [
        ("velocity-turned", "-momentum * scale", "momentum * scale"),
        ("ends-not-centred", "flights.end - (weight @ flights.end)[None]", "flights.end"),
        ("velocity-not-whitened", "-momentum * scale", "-momentum"),
    ],
    ("samplers/kernels/_metric.py", "samplers/kernels/test_preconditioned_mala.py "
     "samplers/test_warmup.py"): [
        ("early-steps-pooled", "jnp.where(count < 0, 0, 1 / later)",
         "jnp.where(count < -99, 0, 1 / later)"),
        ("means-not-spread", " + (1 - fraction) * change**2", ""),
        ("fisher-not-inverted", "return 1 / squares", "return squares"),
    ],
    ("samplers/kernels/_elliptical_slice.py", "samplers/kernels/test_elliptical_slice.py"): [
        ("slice-of-the-whole-energy", "value.astype(dtype) - self.prior(x).astype(dtype)",
         "value.astype(dtype)"),
        ("ellipse-about-the-origin", "centre + (x - centre) * cos", "x * cos"),
        ("no-height", "here - jnp.log(1 - ", "here + jnp.log(1 - "),
    ],
    ("samplers/kernels/_stretch_move.py", "samplers/kernels/test_stretch_move.py"): [
        ("stretch-without-volume", "(x[0].size - 1) * jnp.log(z) + fall", "fall"),
        ("stretch-uniform", "jax.random.uniform(stretch_key, (num,), dtype)) ** 2 / a",
         "jax.random.uniform(stretch_key, (num,), dtype))"),
        ("stale-partners", "*other, one[0], second_key", "*other, other[0], second_key"),
    ],
    ("samplers/_run.py", "samplers/test_sample.py samplers/test_sample_failures.py "
     "samplers/test_properties.py samplers/test_warmup.py"): [
        ("loop-key-reused", "step_key = jax.random.fold_in(key, first + i)", "step_key = key"),
        ("one-step-less", "fori_loop(0, num_steps - 1, step, moved)",
         "fori_loop(1, num_steps - 1, step, moved)"),
        ("acceptance-summed", "mean = (acceptance / jnp.asarray(num_steps, dtype))",
         "mean = (acceptance)"),
        ("divergence-of-the-last", "divergent | info.divergent", "info.divergent"),
        ("end-not-checked", " | ~jnp.all(jnp.isfinite(x))", ""),
        ("one-key-for-all", "return jax.random.split(key, num_chains)",
         "return jax.random.split(key, 1)[jnp.zeros(num_chains, int)]"),
        ("per-chain-axes", "for_each(one, energy, arrays, *rows, keys)",
         "for_each(one, energy, jax.tree.map(lambda a: 0 * a + a[:1], arrays), *rows, keys)"),
    ],
    ("samplers/_sample.py", "samplers/test_sample.py samplers/test_sample_failures.py "
     "samplers/test_save_policies.py"): [
        ("thinning-off-by-one", "x, state, thin, key=key)", "x, state, thin + 1, key=key)"),
        ("warm-up-ignored", "if num_warmup > 0:", "if num_warmup > 10**6:"),
        ("state-ignored", "init() if given is None else _as_made(given, jax.eval_shape(init))",
         "init()"),
        ("samples-key-reused", "key = jax.random.fold_in(samples_key, i)", "key = samples_key"),
        ("start-not-judged", "RESULTS.nonfinite_start: jnp.all(finite(start))",
         "RESULTS.nonfinite_start: jnp.asarray(True)"),
        ("energy-not-at-the-position", "if sampler.reports_new_energy:\n", "if True:\n"),
        ("end-not-judged", "RESULTS.nonfinite_energy: finite(info.energy)",
         "RESULTS.nonfinite_energy: jnp.asarray(True)"),
    ],
    ("samplers/_save_policies.py", "samplers/test_save_policies.py"): [
        ("moments-square", "change * (x - mean)", "change**2"),
        ("moments-count", "change / count.astype", "change / (count + 1).astype"),
        ("moments-biased", "self.square / (count - 1)", "self.square / count"),
    ],
    ("samplers/_schedules.py", "samplers/test_schedules.py"): [
        ("schedule-one-late", "return x, (count + 1, inner), info",
         "return x, (count, inner), info"),
        ("schedule-of-the-start", "name: schedule(step) for", "name: schedule(0 * step) for"),
    ],
    ("samplers/_combined.py", "samplers/test_combined.py samplers/test_keys.py"): [
        ("jump-without-q", "0) - value + reverse, jnp.inf)", "0) - value, jnp.inf)"),
        ("jump-sign", "(self.proposal(y) - self.proposal(x))",
         "(self.proposal(x) - self.proposal(y))"),
        ("jump-energy-stale", "return jnp.where(accepted, y, x), new, StepInfo",
         "return jnp.where(accepted, y, x), state, StepInfo"),
        ("weights-ignored", "if self.weights is None else self.weights",
         "if True else self.weights"),
        ("cycle-divergence", "jnp.any(jnp.stack([info.divergent",
         "jnp.all(jnp.stack([info.divergent"),
        ("cycle-key-reused", "_turn(sampler, energy, x, one, one_key)",
         "_turn(sampler, energy, x, one, key)"),
    ],
    ("samplers/tempering/_ladder.py", "samplers/tempering/test_replica_exchange.py "
     "samplers/tempering/test_run_replicas.py"): [
        ("swap-sign", "(finite[:-1] - finite[1:])", "(finite[1:] - finite[:-1])"),
        ("permutation", "+ from_above.astype(int) - from_below.astype(int)",
         "+ from_above.astype(int)"),
        ("half-trips", "(leg[0] == 2)", "(leg[0] != 1)"),
        ("trips-from-the-top", "top = jnp.where(leg[-1] == 0, 0, 2)", "top = 2"),
    ],
    ("samplers/tempering/_path.py", "samplers/tempering/test_replica_exchange.py "
     "samplers/tempering/test_base.py"): [
        ("temperature-of-rungs", "Tempered(energy, temperature)",
         "Tempered(energy, 0 * temperature + 1)"),
        ("share-of-base", "(1 - 1 / temperature)", "(1 / temperature)"),
    ],
    ("samplers/tempering/_replica_exchange.py", "samplers/tempering/test_replica_exchange.py "
     "samplers/tempering/test_run_replicas.py"): [
        ("swap-parity", "state.step % 2)", "0 * state.step)"),
        ("retemper-missing", "            return as_carried(new, inner)\n",
         "            return inner\n"),
        ("retemper-inverted", "temperatures[source] / temperatures",
         "temperatures / temperatures[source]"),
        ("states-stay", "lambda leaf: leaf[source], states", "lambda leaf: leaf, states"),
        ("swap-always", "permutation(tried & (", "permutation(tried | ("),
        ("energy-of-the-rung", "StepInfo(moved.values[lowest],", "StepInfo(moved.values[0],"),
        ("hot-steps-as-cold", "old * temperature.astype(old.dtype))", "old)"),
        ("own-temperature-ignored", "return self.temperatures * jnp.stack(",
         "return self.temperatures + 0 * jnp.stack("),
    ],
    ("samplers/kernels/_dual_averaging.py", "samplers/test_tuning.py samplers/test_warmup.py"): [
        ("tuner-sign", "error = target - acceptance", "error = -target + acceptance"),
        ("refined-in-long-strides", "self.log_average, self.log_average, 2.0, ",
         "self.log_average, self.log_average, 20.0, "),
    ],
    ("samplers/kernels/_search.py", "samplers/test_tuning.py samplers/test_warmup.py"): [
        ("tuner-first-chain", "acceptance = jnp.mean(jnp", "acceptance = jnp.min(jnp"),
        ("far-chains-stay", "jnp.minimum(rejected + 1, MOST)", "0"),
        ("search-not-refined", "jnp.where, i + 1 == half", "jnp.where, i + 1 == -1"),
    ],
    ("samplers/_warmup.py", "samplers/test_tuning.py samplers/test_warmup.py"): [
        ("mass-inverted", "inverse_mass_matrix=inverse)", "inverse_mass_matrix=1 / inverse)"),
    ],
    ("training/negatives/_buffer.py", "training/negatives/test_buffer.py "
     "training/negatives/test_negatives.py "
     "training/negatives/test_label_constants.py"): [
        ("wrong-slots", "slots.at[index].set(values", "slots.at[index - 1].set(values"),
        ("ages-stay", "self._put(self.ages, index, chains.ages)", "self.ages"),
        ("own-ignored", "jnp.where(chains.own, index,", "jnp.where(True, index,"),
    ],
    ("training/negatives/_buffer_slots.py", "training/negatives/test_buffer.py "
     "training/negatives/test_label_constants.py"): [
        ("ring-not-turned", "_below(u[num], jnp", "_below(0 * u[num], jnp"),
        ("arcs-key-shared", "_below(u[:num]", "_below(u[:1]"),
        ("labels-not-turned", "_below(u[1][first], size)", "0 * size"),
        ("labels-each-turned", "u[1][first]", "u[1]"),
        ("rank-of-label", "dtype)) - first", "dtype)) - 0 * first"),
        ("own-all", "return index, (end > start) & (", "return index, (end >= start) & ("),
    ],
    ("training/negatives/_persistent.py", "training/negatives/test_negatives.py "
     "training/negatives/test_step_size_adaptation.py "
     "training/negatives/test_label_constants.py"): [
        ("restart-inverted", "chances.shape) < chances", "chances.shape) > chances"),
        ("restart-places-swapped", "where_chain(restarted, noise, changed)",
         "where_chain(restarted, changed, noise)"),
        ("coin-key-reused", "jax.random.uniform(restart_key, chances.shape) <",
         "jax.random.uniform(noise_key, chances.shape) <"),
        ("coin-for-all", "jax.random.uniform(restart_key, chances.shape) <",
         "jnp.full(chances.shape, jax.random.uniform(restart_key)) <"),
        ("ages-of-restarts", "jnp.where(restarted, 0, chains.ages)", "chains.ages"),
        ("scales-of-restarts", "jnp.where(restarted, 0, chains.log_scales)",
         "chains.log_scales"),
        ("buffer-not-written", "state.write(chains, key",
         "state.write(dataclasses.replace(chains, x=augmented), key"),
    ],
    ("training/negatives/_buffered.py", "training/negatives/test_label_constants.py"): [
        ("labels-of-no-slot", "where_chain(fits, x, jnp",
         "where_chain(fits | True, x, jnp"),
    ],
    ("training/negatives/_base.py", "training/negatives/test_negatives.py"): [
        ("dead-stay", "x = where_chain(dead, noise, x)", "x = where_chain(dead, x, x)"),
        ("gradient-not-stopped", "jax.lax.stop_gradient(x), info", "x, info"),
        ("noise-key-reused", "keys = jax.random.split(key, num)",
         "keys = jax.random.split(key, 1)[jnp.zeros(num, int)]"),
    ],
    ("training/negatives/_step_size_adaptation.py",
     "training/negatives/test_step_size_adaptation.py"): [
        ("adaptation-sign", "log_scales + cast(gain, log_scales) * error",
         "log_scales - cast(gain, log_scales) * error"),
        ("adaptation-gain", "jnp.maximum(cast(self.gain", "jnp.minimum(cast(self.gain"),
        ("adaptation-of-the-dead", "jnp.where(info.dead, 0, moved", "jnp.where(False, 0, moved"),
        ("adaptation-factor", "step_size=step_size * jnp.exp(log_scale)",
         "step_size=jnp.exp(log_scale)"),
    ],
    ("evaluation/_diagnostics.py", "evaluation/test_diagnostics.py"): [
        ("stuck-any", "np.all(flat == flat[:, :1], axis=(1, 2))",
         "np.any(flat == flat[:, :1], axis=(1, 2))"),
        ("drift-of-a-quarter", "half = energy.shape[1] // 2", "half = energy.shape[1] // 4"),
    ],
    ("evaluation/_problems.py", "evaluation/test_diagnostics.py"): [
        ("rhat-passes", "if not worst <= 1.01:", "if not worst <= 101:"),
    ],
    ("energies/_noise_conditional.py", "energies/test_noise_conditional.py"): [
        ("network-at-top", "self._decay(sigma) - self._decay(",
         "self._decay(sigma) - 0 * self._decay("),
        ("gaussian-constant", "+ jnp.log(2 * jnp.pi * variances)", "+ jnp.log(variances)"),
        ("top-without-noise", "variances = self.variances + self.levels.sigma[-1] ** 2",
         "variances = self.variances"),
        ("label-ignored", "condition + jnp.where(known, row, jnp.nan)",
         "jnp.where(known, condition, jnp.nan)"),
        ("level-unseen", "self.network(inputs, jax.nn.silu(condition))",
         "self.network(inputs, 0 * condition)"),
    ],
    ("energies/_noise_base.py", "energies/test_noise_composition.py "
     "samplers/test_noise_levels.py"): [
        ("product-top", "jnp.linalg.inv(sum(weighted[1:], weighted[0]))",
         "jnp.linalg.inv(weighted[0])"),
        ("product-weights", "return jnp.dot(weights, jnp.stack(values))",
         "return jnp.sum(jnp.stack(values))"),
    ],
    ("energies/_noise_composition.py", "energies/test_noise_composition.py"): [
        ("guidance", "jnp.stack([1 + as_number(weight)", "jnp.stack([as_number(weight)"),
        ("mixture-normaliser", "-jax.nn.logsumexp(jax.nn.log_softmax(self.log_weights).astype("
         "values.dtype) - values)\n\n    @property\n    def top",
         "-jax.nn.logsumexp(self.log_weights.astype(values.dtype) - values)\n\n    @property\n"
         "    def top"),
    ],
    ("energies/networks/_fourier_features.py", "energies/test_noise_conditional.py"): [
        ("waves-do-not-fade", "-0.5 * jnp.sum(frequencies**2, 0)",
         "-0.0 * jnp.sum(frequencies**2, 0)"),
    ],
    ("training/losses/_noise_levels.py", "training/losses/test_noise_levels.py"): [
        ("prior-left-out", "logits = levels.log_prior.astype(values.dtype) - values",
         "logits = -values"),
        ("prior-of-pairs", "log_odds = prior[level] - prior[other]",
         "log_odds = 0 * prior[level]"),
        ("derivative-dimension", "(rates - (d - squares)) ** 2", "(rates + squares) ** 2"),
        ("score-target", "gradients - target", "gradients + target"),
        ("one-sided-pairs", "jnp.where(place % 2 == 0, 1, -1)", "1"),
        ("known-odds", "ratio = sigma_of(negatives) / sigma",
         "ratio = sigma / sigma_of(negatives)"),
    ],
    ("training/losses/_sources.py", "training/losses/test_noise_levels.py"): [
        ("other-classes", "jnp.where(of_class, log_weights, -jnp.inf)", "log_weights"),
    ],
    ("training/negatives/_perturbed_levels.py", "training/losses/test_noise_levels.py"): [
        ("label-never-left-out", "jnp.where(dropped, -1, positives.y)", "positives.y"),
        ("levels-equally-often", "ends = jnp.cumsum(jnp.exp(log_probability))",
         "ends = (jnp.arange(levels.sigma.size) + 1.0) / levels.sigma.size"),
    ],
    ("samplers/_noise_levels.py", "samplers/test_noise_levels.py"): [
        ("euler", "return x + (lower - sigma) / 2 * (slope + lower * jax.grad(energy)(end, lower))",
         "return end"),
        ("ancestral-noise", "jnp.sqrt(lower**2 * lost / sigma**2)", "jnp.sqrt(lost)"),
        ("corrected-at-the-level-above", "return correct(x, lower, correct_key)",
         "return correct(x, sigma, correct_key)"),
    ],
    ("evaluation/log_z/_probability_flow.py", "evaluation/log_z/test_noise_levels.py"): [
        ("stages", "(a + 2 * b + 2 * c + d for", "(a + b + c + d for"),
        ("divergence", "return divergence - (top(x)", "return 0 * divergence - (top(x)"),
    ],
    ("evaluation/log_z/_annealing_path.py", "evaluation/log_z/test_noise_levels.py"): [
        ("volume", "return value - x.size * jnp.log(self.unit).astype(value.dtype)",
         "return value"),
        ("log-z-of-top", "return self.energy.top.log_z", "return 0 * self.energy.top.log_z"),
    ],
}  # fmt: skip
