"""The evaluation of a run: what it measures, writes and refuses."""

import functools
import json
import re

import numpy as np
import pytest
from configs import TINY as BASE

import ebmx
import ebmx.runs.report._features
from ebmx import runs
from ebmx.config import merge
from ebmx.evaluation import train_classifier
from ebmx.runs import _evaluate
from ebmx.runs.report._section import Section

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* of the numbers of samples lie at the bounds"),
]

HYBRID = merge(
    BASE,
    {
        "data": {"test_fraction": 0.3},
        "energy": {
            "kind": "JEM",
            "network": {"kind": "MLP", "hidden_dims": [8], "out_size": "$num_labels"},
        },
        "sampler": {"kind": "Langevin", "step_size": 0.1, "grad_clip": 50.0},
        "negatives": {"num_steps": 3, "capacity": 64},
        "loss": {
            "kind": "WeightedSum",
            "losses": [{"kind": "contrastive_loss"}, {"kind": "cross_entropy_loss"}],
            "weights": [1.0, 1.0],
        },
        "num_steps": 4,
    },
)
NUMBERS = np.random.default_rng(0)
SECTIONS = {
    "run", "energies", "quality", "memorisation", "out_of_distribution", "long_run", "landscape",
    "training", "coverage", "classes", "likelihood", "verdict",
}  # fmt: skip


def trained(folder, **arrays):
    np.savez(folder / "data.npz", **arrays)
    config = merge(HYBRID, {"data": {"name": str(folder / "data.npz")}})
    with pytest.MonkeyPatch.context() as patch:
        # what a training says of itself is not what is tested here
        patch.setattr(ebmx.runs._train, "frechet_ratio_of", lambda *_: None)
        patch.setattr(ebmx.runs._train, "draw_pictures", lambda *_: ())
        return runs.train(config, out=folder / "run", progress=False).folder


def stand_in(patch, *names):
    """Sections that say nothing, for those that have tests of their own and take long."""
    for name in names:
        said = Section(name, name, {"done": "yes"}, {"done": "whether this was asked for."})
        patch.setattr(_evaluate, f"{name}_section", lambda *_, said=said, **__: said)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The evaluation of a hybrid run on labelled images."""
    x = NUMBERS.uniform(0, 1, size=(90, 4, 4)).astype(np.float32)
    folder = tmp_path_factory.mktemp("images")
    other = NUMBERS.uniform(0, 0.1, size=(20, 4, 4)).astype(np.float32)
    np.savez(folder / "other.npz", x=other)
    run = trained(folder, x=x, y=np.arange(90) % 3)
    with pytest.MonkeyPatch.context() as patch:
        quick = functools.partial(train_classifier, num_steps=5)
        patch.setattr(ebmx.runs.report._features, "train_classifier", quick)
        stand_in(patch, "landscape", "likelihood")
        other = str(folder / "other.npz")
        return runs.evaluate(run, num_steps=20, num=40, others=[other], log_z=True)


def numbers(facts):
    for value in facts.values():
        yield from numbers(value) if isinstance(value, dict) else [value]


def test_a_report_of_images_has_all_parts(images):
    facts = json.loads((images.folder / "report.json").read_text())
    assert set(facts) == SECTIONS
    assert set(facts["out_of_distribution"]) >= {
        "uniform noise", "constants", "mirrored", "upside down", "quarters swapped"
    }  # fmt: skip
    (other,) = (name for name in facts["out_of_distribution"] if name.endswith("other.npz"))
    columns = facts["out_of_distribution"][other]
    assert set(columns) == {
        "AUROC, energy", "AUPR", "FPR@95", "AUROC, score norm", "AUROC, class probability"
    }  # fmt: skip
    assert all(0 <= value <= 1 for value in columns.values())
    assert 1 <= facts["coverage"]["test data"]["effective classes"] <= 3
    assert all(0 <= facts["classes"][name] <= 1 for name in ("accuracy", "calibration error"))
    assert facts["long_run"]["steps"] == 20
    assert facts["run"]["updates"] == 4
    names = {path.name for path in images.pictures}
    assert names >= {
        "energies.png", "samples.png", "outside.png", "drift.png", "ends.png", "chain.png",
        "training.png"
    }  # fmt: skip


def test_the_page_says_what_each_number_means_and_shows_each_picture(images):
    found = images
    page = (found.folder / "report.md").read_text()
    assert {path.name for path in found.pictures} == set(re.findall(r"!\[.*?\]\((.*?)\)", page))
    for path in found.pictures:
        assert path.read_bytes().startswith(b"\x89PNG")
    for section in found.facts.values():
        for name, value in section.items():
            for label in value if isinstance(value, dict) else [name]:
                words = re.escape(label)
                meaning = re.search(rf"^(- {words}: |\| {words} \| .* \| )(.*)$", page, re.M)
                assert len(meaning[2]) > 20
    assert all(isinstance(v, (int, float, str)) for v in numbers(found.facts))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num": 4}, "num=4"),
        ({"num_steps": 0}, "num_steps=0"),
        ({"others": ["digits"]}, r"other=digits: its examples are of shape \(8, 8, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, match, images):
    with pytest.raises(ValueError, match=match):
        runs.evaluate(images.folder.parent, **options)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"folder=.*holds no trained run; make one with `ebmx train`"
    ):
        runs.evaluate(tmp_path)


def test_a_further_evaluation_has_a_folder_of_its_own(images, monkeypatch):
    run = images.folder.parent
    before = (images.folder / "report.json").read_bytes()
    stand_in(monkeypatch, *(s for s in SECTIONS if hasattr(_evaluate, f"{s}_section")))
    monkeypatch.setattr(_evaluate, "outside_section", _evaluate.long_run_section)
    quick = functools.partial(train_classifier, num_steps=5)
    monkeypatch.setattr(ebmx.runs.report._features, "train_classifier", quick)
    monkeypatch.setattr(_evaluate, "verdict", lambda facts: "A stand-in.")
    found = runs.evaluate(run, num_steps=2, num=8)
    assert found.folder == run / "evaluation-2"
    assert (found.folder / "report.md").read_text().split("\n")[2] == f"**{found.verdict}**"
    assert (images.folder / "report.json").read_bytes() == before
