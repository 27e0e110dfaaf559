"""Which tests are those of a module, for `mutation.py`.

The test of a module's own name comes first; the table adds tests of other names.
"""

from pathlib import Path

FURTHER = {
    "training/losses/_combine.py": "test_contrastive test_objectives",
    "training/losses/_cross_entropy.py": "test_contrastive test_objectives",
    "training/negatives/_transport.py": "test_all_negatives ../losses/test_closed_forms_of_losses",
    "energies/exact/_many_well.py": "../test_normalised",
    "energies/exact/_particles.py": "../test_laws",
    "energies/exact/_bernoulli.py": "../test_normalised ../../evaluation/log_z/test_exact",
    "energies/_discrete.py": (
        "../evaluation/log_z/test_discrete exact/test_categorical_rbm "
        "../samplers/discrete/test_composed"
    ),
    "evaluation/_advice.py": "test_advice_of_samplers",
    "evaluation/_problems.py": "test_diagnostics test_advice_of_samplers test_draws",
    "energies/networks/native/_energy.py": "test_kernel",
    "energies/_tempered.py": "../samplers/discrete/test_states",
    "energies/exact/_categorical.py": "test_categorical_rbm ../test_normalised",
    "energies/exact/_lattice.py": "test_ising ../../samplers/discrete/test_block_gibbs",
    "energies/exact/_potts.py": "test_ising ../../samplers/discrete/test_block_gibbs",
    "evaluation/samples/_classes.py": "../test_long_chains",
    "evaluation/samples/_covariance.py": "test_frechet ../log_z/test_exact",
    "evaluation/samples/_pairwise.py": "test_features",
    "samplers/_base.py": (
        "test_combined test_sample test_sample_failures test_invariance test_precision"
    ),
    "samplers/kernels/_blackjax.py": (
        "../test_blackjax ../test_kernels ../test_reversibility ../test_dtypes ../test_invariance"
    ),
    "samplers/kernels/_blackjax_kernels.py": (
        "../test_kernels ../test_reversibility ../test_blackjax"
    ),
    "samplers/kernels/_chees.py": "test_jittered_hmc",
    "samplers/kernels/_dual_averaging.py": "../test_tuning ../test_warmup",
    "samplers/kernels/_elliptical_slice.py": "test_all_kernels ../test_dtypes",
    "samplers/kernels/_ghmc.py": "test_all_kernels ../test_dtypes",
    "samplers/kernels/_jittered_hmc.py": "test_chees test_all_kernels ../test_dtypes",
    "samplers/kernels/_kernel_sampler.py": (
        "../test_blackjax ../test_reversibility ../tempering/test_replica_exchange"
    ),
    "samplers/kernels/_metric.py": "test_preconditioned_mala ../test_warmup",
    "samplers/kernels/_microcanonical.py": "test_all_kernels ../test_blackjax ../test_kernels",
    "samplers/kernels/_preconditioned_mala.py": "test_all_kernels",
    "samplers/kernels/_search.py": "../test_tuning ../test_warmup ../test_keys",
    "samplers/kernels/_stretch_move.py": "test_all_kernels ../test_dtypes",
    "samplers/_combined.py": "test_keys test_reversibility test_dtypes test_invariance",
    "samplers/_fields.py": "test_langevin test_reflected test_sample test_sample_failures",
    "samplers/discrete/_block_gibbs.py": "../test_keys ../test_dtypes",
    "samplers/discrete/_gibbs.py": "test_transitions test_states",
    "samplers/discrete/_gibbs_with_gradients.py": "test_transitions test_states test_composed",
    "samplers/discrete/_informed.py": "test_transitions test_states",
    "samplers/discrete/_langevin.py": "test_transitions test_states test_lattices",
    "samplers/discrete/_space.py": "test_states test_transitions",
    "samplers/_increments.py": "test_langevin",
    "samplers/_langevin.py": "test_increments test_dtypes",
    "samplers/_preconditioned.py": "test_dtypes",
    "samplers/_reflected.py": "test_keys test_invariance",
    "samplers/_schedules.py": "test_invariance",
    "samplers/tempering/_run_replicas.py": "test_tune_ladder ../test_keys",
    "samplers/_run.py": "test_sample test_sample_failures test_keys test_properties test_warmup",
    "samplers/_sample.py": "test_sample_failures test_save_policies test_keys test_starts_and_ends",
    "samplers/_save_policies.py": "test_save_policies test_dtypes",
    "samplers/tempering/_replica_exchange.py": (
        "test_run_replicas test_base ../test_keys ../test_reversibility ../test_invariance"
    ),
    "samplers/tempering/_ladder.py": (
        "test_replica_exchange test_run_replicas test_base ../test_reversibility"
    ),
    "samplers/tempering/_moves.py": "test_run_replicas test_base",
    "samplers/tempering/_path.py": "test_replica_exchange test_base",
    "samplers/tempering/_check_ladder.py": "test_replica_exchange test_base",
    "samplers/tempering/_barrier.py": "test_tune_ladder",
    "samplers/_underdamped.py": "test_dtypes",
    "samplers/_warmup.py": "test_tuning test_keys kernels/test_chees",
    "training/negatives/_step_size_adaptation.py": "test_persistent ../test_discrete_labels",
    "training/negatives/_num_steps_adaptation.py": "test_all_negatives",
    "training/negatives/_buffer.py": (
        "test_all_negatives test_filling test_storage test_packed_storage"
    ),
    "training/negatives/_split.py": "test_all_negatives",
    "training/negatives/_restarted.py": "test_all_negatives test_negatives",
    "training/checkpoints/_orbax.py": (
        "test_writer test_damaged test_autosave ../test_recovery_of_trainings"
    ),
    "training/checkpoints/_writer.py": "test_damaged test_autosave",
    "training/_distances.py": "test_distances losses/test_closed_forms_of_losses",
    "training/losses/_energy_matching.py": (
        "../negatives/test_all_negatives test_closed_forms_of_losses"
    ),
    "training/_batch.py": "test_batch losses/test_contrastive",
    "training/_fit.py": "test_fit_arguments checkpoints/test_autosave",
    "training/losses/_sources.py": "test_noise_levels",
    "training/losses/_improved_cd.py": "test_closed_forms_of_losses",
    "training/negatives/_jarzynski.py": "test_all_negatives test_resampling",
    "training/losses/_noise_contrastive.py": "test_noise_contrastive test_objectives test_optima",
    "training/losses/_contrastive.py": "test_trimmed test_objectives",
    "training/checkpoints/_manifest.py": "test_writer test_damaged",
    "training/negatives/_base.py": "test_all_negatives test_tempered",
    "training/negatives/_persistent.py": (
        "test_all_negatives test_restart_policy ../test_labelled_training"
    ),
    "training/negatives/_buffered.py": (
        "test_persistent test_tempered test_label_constants ../test_labelled_training "
        "test_packed_storage"
    ),
    "training/negatives/_recovery.py": "test_all_negatives ../losses/test_closed_forms_of_losses",
    "training/negatives/_chain_free.py": "test_all_negatives",
    "training/negatives/_perturbed_levels.py": "../losses/test_noise_levels",
    "training/checkpoints/_restore.py": "test_writer test_damaged",
    "training/losses/_pseudo_likelihood.py": "test_pseudo_likelihood test_objectives",
    "training/negatives/_discrete.py": "test_all_negatives ../losses/test_pseudo_likelihood",
    "training/negatives/_noise.py": "test_discrete_noise",
    "training/negatives/_storage.py": "test_packed_storage",
    "training/losses/_score_matching.py": "test_score_matching test_objectives test_optima",
    "training/_sharding.py": "negatives/test_restart_policy",
    "training/negatives/_buffer_slots.py": "test_buffer test_label_constants ../test_sharding",
    "training/negatives/_tempered.py": "test_all_negatives",
    "training/_state.py": "test_trainer test_outliers",
    "training/trackers/_base.py": "test_trackers",
    "training/trackers/_several.py": "test_trackers",
    "training/trackers/_mlflow.py": "test_services",
    "training/trackers/_trackio.py": "test_services",
    "training/trackers/_wandb.py": "test_services",
    "training/_watchdog.py": "test_recovery_of_trainings",
    "training/_trainer.py": "test_exact_steps test_constants test_optimisers",
    "energies/networks/_activations.py": "test_networks",
    "energies/_base.py": "test_composition",
    "energies/_constants.py": "test_trainable",
    "energies/networks/_convnet.py": "test_networks ../test_dtypes",
    "energies/networks/_presets.py": "test_networks",
    "energies/_noise_base.py": "test_noise_composition ../samplers/test_noise_levels",
    "energies/_noise_composition.py": "test_noise_composition ../samplers/test_noise_levels",
    "energies/_noise_levels.py": "test_noise_conditional",
    "energies/networks/_fourier_features.py": "../test_noise_conditional",
    "energies/networks/_modulation.py": "../test_noise_conditional",
    "energies/networks/_attention.py": "test_unet",
    "energies/networks/_multi_scale.py": "test_unet",
    "training/_objective.py": "test_phases negatives/test_persistent",
    "evaluation/log_z/_choose_path.py": "test_annealing_path test_discrete",
    "evaluation/log_z/_annealing_schedule.py": "test_annealing_tuning",
    "evaluation/log_z/_annealing_path.py": "test_noise_levels",
    "evaluation/log_z/_calibrate_levels.py": "test_noise_levels",
    "evaluation/log_z/_tempering_sums.py": "test_tempering",
    "evaluation/log_z/_probability_flow.py": "test_noise_levels",
    "energies/_precision.py": "test_dtypes",
    "energies/networks/_resnet.py": "../test_dtypes test_networks",
    "energies/_classifier.py": "test_conditional",
    "energies/exact/_gaussian_mixture.py": "test_gaussian ../test_normalised test_forty_modes",
    "energies/networks/_mlp.py": "test_networks ../test_dtypes",
    "energies/exact/_uniform.py": "test_gaussian",
    "energies/bijections/_bijections.py": "../constraints/test_transformed",
    "energies/constraints/_clamped_levels.py": (
        "../test_noise_composition ../test_noise_conditional ../../samplers/test_noise_levels"
    ),
    "energies/constraints/_transformed.py": "test_raveled",
    "evaluation/log_z/_base_densities.py": (
        "test_exact ../../energies/exact/test_categorical_rbm ../samples/test_features"
    ),
    "evaluation/samples/_calibration.py": "test_features",
    "evaluation/samples/_frechet.py": "test_features",
    "evaluation/samples/_kernel_distance.py": "test_quality test_features",
    "evaluation/samples/_precision_recall.py": "test_quality test_features",
    "evaluation/samples/_out_of_distribution.py": "test_features",
    "evaluation/samples/_energy_distance.py": "test_quality test_features",
    "evaluation/samples/_two_sample.py": "test_features",
    "evaluation/samples/_scikit_learn.py": "test_two_sample",
}


def tests_of(file: str, root: Path) -> tuple[str, ...]:
    """The test files of a module `ebmx/room/_name.py`, its own first."""
    path = Path(file)
    folder = Path("tests", *path.parent.parts[1:])
    further = FURTHER.get(str(Path(*path.parts[1:])), "")
    names = [f"test{path.stem}", *further.split()]
    files = [(folder / name).with_suffix(".py") for name in dict.fromkeys(names)]
    existing = [file for file in files if (root / file).exists()]
    return tuple(str((root / file).resolve().relative_to(root)) for file in existing)
