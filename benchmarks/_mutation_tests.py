"""Which tests are those of a module, for `mutation.py`.

The test of a module's own name comes first; the table adds tests of other names.
"""

from pathlib import Path

FURTHER = {
    "samplers/_base.py": "test_combined test_sample test_invariance test_precision",
    "samplers/_blackjax.py": "test_kernels test_reversibility test_dtypes test_invariance",
    "samplers/_blackjax_kernels.py": "test_kernels test_reversibility test_blackjax",
    "samplers/_combined.py": "test_keys test_reversibility test_dtypes test_invariance",
    "samplers/_fields.py": "test_langevin test_reflected test_sample",
    "samplers/_gibbs.py": "test_keys test_dtypes",
    "samplers/_increments.py": "test_langevin",
    "samplers/_langevin.py": "test_increments test_dtypes",
    "samplers/_preconditioned.py": "test_dtypes",
    "samplers/_replicas.py": "test_ladder test_keys",
    "samplers/_run.py": "test_sample test_keys test_properties test_warmup",
    "samplers/_sample.py": "test_saving_policies test_keys test_starts_and_ends",
    "samplers/_saving.py": "test_saving_policies test_dtypes",
    "samplers/_tempering.py": "test_ladder test_keys test_reversibility test_invariance",
    "samplers/_underdamped.py": "test_dtypes",
    "samplers/_warmup.py": "test_tuning test_keys",
    "training/_adaptation.py": "test_persistent",
    "training/_adaptive_steps.py": "test_all_negatives",
    "training/_buffer.py": "test_all_negatives test_filling test_storage",
    "training/_chains.py": "test_all_negatives test_negatives",
    "training/_checkpoint_files.py": "test_checkpoints test_saving",
    "training/_checkpoints.py": "test_saving",
    "training/_distances.py": "test_memory test_further_negatives",
    "training/_energy_matching.py": "test_all_negatives test_further_negatives",
    "training/_examples.py": "test_as_examples test_losses",
    "training/_fit.py": "test_fit_arguments test_saving",
    "training/_improved.py": "test_further_negatives",
    "training/_interrupt.py": "test_saving",
    "training/_jarzynski.py": "test_all_negatives test_resampling",
    "training/_likelihood.py": "test_likelihoods test_objectives",
    "training/_losses.py": "test_objectives",
    "training/_manifest.py": "test_checkpoints",
    "training/_negatives.py": "test_all_negatives test_tempered",
    "training/_persistent.py": "test_all_negatives test_restarts test_labelled_training",
    "training/_recovery.py": "test_all_negatives test_further_negatives",
    "training/_perturbed.py": "test_all_negatives",
    "training/_restore.py": "test_checkpoints",
    "training/_score_matching.py": "test_scores test_objectives",
    "training/_sharding.py": "test_restarts",
    "training/_slots.py": "test_buffer test_label_constants test_sharding",
    "training/_tempered.py": "test_all_negatives",
    "training/_trainer.py": "test_exact_steps test_constants test_optimisers",
    "energies/_activations.py": "test_networks",
    "energies/_base.py": "test_composition",
    "energies/_constants.py": "test_trainable",
    "energies/_double_well.py": "test_curved",
    "energies/_convnet.py": "test_networks test_dtypes",
    "energies/_factories.py": "test_networks",
    "energies/_precision.py": "test_dtypes",
    "energies/_resnet.py": "test_dtypes test_networks",
    "energies/_marginal.py": "test_conditional",
    "energies/_mixture.py": "test_gaussian test_normalised",
    "energies/_mlp.py": "test_networks test_dtypes",
    "energies/_uniform.py": "test_gaussian",
    "energies/constraints/_bijections.py": "test_transformed",
    "energies/constraints/_transformed.py": "test_raveled",
    "evaluation/_bases.py": "test_counting test_features",
    "evaluation/_calibration.py": "test_features",
    "evaluation/_frechet.py": "test_features",
    "evaluation/_kernel_distance.py": "test_quality test_features",
    "evaluation/_neighbours.py": "test_quality test_features",
    "evaluation/_ood.py": "test_features",
    "evaluation/_transport.py": "test_quality test_features",
    "evaluation/_two_sample.py": "test_features",
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
