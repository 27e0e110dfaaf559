"""The command line: how arrays of a file are taken, what is drawn of them, and where runs go."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import call
from PIL import Image

import ebmx
from ebmx.data import _load
from ebmx.runs import _plan, _run
from ebmx.runs._facts import checksum

RNG = np.random.default_rng(0)
SMALL = [
    *("--steps", "2", "--data.batch_size", "8", "--negatives", "ShortRun"),
    *("--negatives.num_steps", "2", "--energy", "MLP", "--energy.hidden_dims", "[4]"),
    *("--sampler", "Langevin", "--sampler.step_size", "0.1"),
]


@pytest.fixture
def taken(monkeypatch, tmp_path):
    """A function that calls `ebmx train` on examples and returns the data it would train on."""

    def take(x, *options, code=0, **arrays):
        found = []

        def load_alone(config, *, dataset, **_):
            found.append(_plan.plan(config, dataset).dataset)
            raise SystemExit(0)

        np.savez(tmp_path / "d.npz", x=x, **arrays)
        monkeypatch.setattr(ebmx.runs, "train", load_alone)
        assert call("train", tmp_path / "d.npz", "--steps", "1", *options) == code
        return found[0] if found else None

    return take


def test_the_summary_is_printed_before_training(taken, capsys):
    taken(RNG.integers(0, 2, (10, 6, 5), np.uint8))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "8 training and 2 test examples, images of 6×5×1, in [0, 1], no labels" in printed.err
    taken(RNG.uniform(size=(10, 40, 3)))
    assert "series of 40×3, each of 3 channels standardised" in capsys.readouterr().err
    taken(RNG.uniform(size=(10, 3)), "--quiet")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shape", [(10, 6, 5), (10, 40, 3), (10, 3)])
def test_a_file_is_loaded_once(shape, taken, tmp_path, monkeypatch):
    read, names = _load._read, []
    monkeypatch.setattr(_load, "_read", lambda name, *more: names.append(name) or read(name, *more))
    data = taken(RNG.uniform(size=shape))
    assert names == [str(tmp_path / "d.npz")]
    # and as the recipe has it
    want = ebmx.data.load(tmp_path / "d.npz", standardise=len(data.shape) < 3)
    assert checksum(data) == checksum(want)


WRONG = ["standardise=3", "test_fraction=ab", "layout=[]", "layout=x", "label=a", "image_size=8"]


@pytest.mark.parametrize("option", [*WRONG, "label=3", "image_size=ab", "image_size=[3]"])
def test_an_option_of_the_data_that_does_not_fit(option, taken, capsys):
    taken(RNG.uniform(size=(10, 3)), f"--data.{option}", code=2)
    assert option.partition("=")[0] in capsys.readouterr().err


def test_zeros_and_ones_become_the_ends(taken):
    assert np.unique(taken(RNG.integers(0, 2, (10, 6, 5), np.uint8)).train).tolist() == [-1, 1]


def test_channels_first_are_told_or_given(taken, capsys):
    x = RNG.uniform(size=(10, 3, 6, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert taken(x).shape == (6, 5, 3)
    assert (
        "ebmx: examples of shape (10, 3, 6, 5) are interpreted as images" in capsys.readouterr().err
    )
    assert taken(x, "--data.layout", "channels-first").shape == (6, 5, 3)
    assert "ebmx: " not in capsys.readouterr().err
    assert taken(x, "--data.layout", "images").shape == (3, 6, 5)
    taken(x, "--data.layout", "series", code=2)
    assert "layout='series': it does not fit an array of shape" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["one-hot", "negative", "halves"])
def test_labels_end_it_before_training(name, tmp_path, capsys):
    y = np.arange(40) % 3
    labels = {"one-hot": np.eye(3)[y], "negative": y - 1, "halves": y + 0.5}[name]
    np.savez(tmp_path / "d.npz", x=RNG.normal(size=(40, 2)), y=labels)
    assert call("train", tmp_path / "d.npz", "--out", tmp_path / "run", *SMALL) == 2
    assert capsys.readouterr().err.startswith("ebmx: labels")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["floats", "column"])
def test_labels_that_are_whole_are_taken(kind, taken):
    y = np.arange(40) % 3
    labels = {"floats": y.astype(float), "column": y[:, None]}[kind]
    data = taken(RNG.normal(size=(40, 2)), y=labels)
    both = np.concatenate([data.train_labels, data.test_labels])
    assert (both.dtype.kind, np.bincount(both).tolist()) == ("i", [14, 13, 13])


@pytest.mark.parametrize("words", [["{}"], ["--data", "{}"], ["--data={}"], ["--data.name", "{}"]])
def test_the_data_are_named_with_an_option_or_without(words, planned, tmp_path):
    np.save(tmp_path / "x.npy", RNG.uniform(size=(10, 3)))
    data, config = planned(*(word.format(tmp_path / "x.npy") for word in words))
    assert (data.shape, config["data"]["name"]) == ((3,), str(tmp_path / "x.npy"))


def test_the_data_are_named_once(capsys):
    assert call("train", "a.csv", "--data", "b.csv") == 2
    assert capsys.readouterr().err == "ebmx: --data=b.csv: a.csv is given, too\n"
    assert call("train", "--resume", "nowhere", "--data", "b.csv") == 2
    assert capsys.readouterr().err.startswith("ebmx: --data: --resume goes with --steps")


@pytest.fixture
def planned(monkeypatch):
    """A function that calls `ebmx train` and returns the data and the config it would train."""

    def plan(*arguments, code=0):
        found = []

        def plan_alone(config, *, dataset, **_):
            found.extend((_plan.plan(config, dataset).dataset, config))
            raise SystemExit(0)

        monkeypatch.setattr(ebmx.runs, "train", plan_alone)
        assert call("train", *arguments, "--steps", "1") == code
        return found

    return plan


def test_a_table_of_csv_has_the_recipe_of_tables_and_its_names(planned, tmp_path, capsys):
    rows = [f"{a},{b},{kind}" for (a, b), kind in zip(RNG.normal(size=(20, 2)), "uv" * 10)]  # noqa: B905
    (tmp_path / "t.csv").write_text("\n".join(["size,mass,kind", *rows]))
    options = ["--data", tmp_path / "t.csv", "--data.label", "kind"]
    data, config = planned(*options)
    assert config["energy"] == ebmx.config.recipe("table")["energy"]
    assert config["data"]["label"] == "kind"
    words = "each of 2 columns standardised (size, mass; labels: kind), labels 0 to 1 (u, v)"
    assert words in capsys.readouterr().err
    assert (data.columns, data.classes) == (("size", "mass"), ("u", "v"))
    # a run is resumed with the same data
    assert checksum(_run.load_data(config)) == checksum(data)
    planned("--data", tmp_path / "t.csv", code=2)
    assert "column='kind': it holds no numbers, such as 'u'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "recipe"), [((9, 7), "digits"), ((30, 21), "mnist_5k"), ((16, 100), "mnist_5k")]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_a_folder_have_a_recipe_of_images(size, recipe, channels, planned, tmp_path):
    for i in range(6):
        image = RNG.integers(0, 256, (*size, channels), np.uint8)
        Image.fromarray(image.squeeze(-1) if channels == 1 else image).save(tmp_path / f"{i}.png")
    data, config = planned("--data", tmp_path)
    assert data.shape == (*size, channels)
    assert config["energy"] == ebmx.config.recipe(recipe)["energy"]
    assert planned(tmp_path, "--data.image_size", "[9, 8]")[0].shape == (9, 8, channels)
    assert planned(tmp_path, "--data.image-size", "8")[0].shape == (8, 8, channels)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a table whose columns differ by a factor of a million, one of them constant."""
    folder = tmp_path_factory.mktemp("table")
    x = np.array([1e-3, 0.0, 1e6]) * RNG.uniform(size=(50, 3)) + np.array([0.0, 0.1, 1e9])
    np.savez(folder / "d.npz", x=x)
    # a name that, read as a pattern, is that of other folders
    out = folder / "run [0-9]*?"
    assert call("train", folder / "d.npz", "--out", out, "--quiet", *SMALL) == 0
    return out, x


@pytest.mark.slow
def test_samples_are_in_the_units_of_each_column(run, tmp_path):
    folder, x = run
    report = json.loads((folder / "report.json").read_text())
    assert "rows of 3, each of 3 columns standardised (1 constant)" in report["data"]
    assert call("sample", folder, "--num", "20", "--out", tmp_path / "s.npz") == 0
    samples = np.load(tmp_path / "s.npz")["x"]
    assert call("sample", folder, "--num", "20", "--out", tmp_path / "c.csv") == 0
    assert (tmp_path / "c.csv").read_text().startswith("x1,x2,x3\n")
    assert not (tmp_path / "s.png").exists()
    assert np.all(samples[:, 1] == 0.1)
    deviations = (samples - x.mean(0))[:, [0, 2]] / x.std(0)[[0, 2]]
    assert np.all(np.abs(deviations) < 10)
    assert np.all(np.ptp(deviations, axis=0) > 0.1)


@pytest.mark.slow
def test_samples_of_a_table_of_csv_have_its_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x = np.array([1.0, 1e4]) * RNG.normal(size=(60, 2)) + np.array([50.0, -1e5])
    np.savetxt("t.csv", x, delimiter=",", header='"length, in cm",weight', comments="")
    assert call("train", "--data", "t.csv", "--out", "run", *SMALL) == 0
    capsys.readouterr()
    assert call("sample", "run", "--num", "20", "--out", "samples.csv") == 0
    assert capsys.readouterr().out.splitlines()[1] == "table: samples.csv"
    samples = pd.read_csv("samples.csv")
    assert list(samples.columns) == ["length, in cm", "weight"]
    with np.load("samples.npz") as file:
        np.testing.assert_array_equal(samples.to_numpy(), file["x"])
    assert np.all(np.abs(samples.to_numpy() - x.mean(0)) < 10 * x.std(0))
    # they are data themselves
    assert ebmx.data.load("samples.csv").columns == ("length, in cm", "weight")
    assert call("sample", "run", "--num", "20", "--out", "samples.csv") == 2
    assert "--out=samples.npz: the file exists" in capsys.readouterr().err


@pytest.mark.slow
def test_a_class_is_sampled_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kinds = np.array(["7", "ash", "elm"])[np.arange(60) % 3]
    pd.DataFrame({"a": RNG.normal(size=60), "kind": kinds}).to_csv("t.csv", index=False)
    network = "{kind = 'MLP', hidden_dims = [4], out_size = 4}"
    energy = ["--energy", "Conditional", "--energy.network", network]
    options = [*SMALL[:8], *energy, "--energy.num_labels", "$num_labels", *SMALL[-4:]]
    assert call("train", "t.csv", "--data.label", "kind", "--out", "run", *options) == 0
    found = []
    for label in ("elm", "2", "7", "0"):
        capsys.readouterr()
        out = f"{label}.npz"
        assert call("sample", "run", "--num", "3", "--label", label, "--out", out, "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        found.append(facts["samples_from"].split(", ")[-1])
    assert found == ["of class 2", "of class 2", "of class 0", "of class 0"]
    assert call("sample", "run", "--label", "oak") == 2
    assert "label='oak': give the number of a class or a name: 7, ash, elm" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_run_is_sampled_without_its_data_and_goes_on_only_with_the_same(run, tmp_path, capsys):
    folder, x = run
    (tmp_path / "old").mkdir()
    moved = shutil.copytree(folder, tmp_path / "new/run")
    data = folder.parent / "d.npz"
    resume = ["train", "--resume", moved, "--steps", "3", "--quiet"]
    kept = shutil.move(data, tmp_path / "kept.npz")
    try:
        assert call("sample", moved, "--num", "2", "--out", tmp_path / "s.npz") == 0
        assert call(*resume) == 2
        assert "d.npz" in capsys.readouterr().err
        # the data beside the folder, as they were
        np.savez(tmp_path / "new/d.npz", x=2 * x)
        assert call(*resume) == 2
        assert "the data have changed since" in capsys.readouterr().err
        assert [path.name for path in (moved / "checkpoints").iterdir()] == ["2"]
        shutil.copy(kept, tmp_path / "new/d.npz")
        assert call(*resume) == 0
        assert (moved / "checkpoints/3").exists()
    finally:
        shutil.move(kept, data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_columns", "picture"), [(1, None), (2, "density.png"), (4, "marginals.png")]
)
def test_a_table_has_a_picture_of_its_columns(num_columns, picture, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("moons.npz", x=RNG.normal(size=(60, num_columns)))
    options = ["--steps", "2", "--energy.energies.MLP.hidden_dims", "[4]", "--json"]
    with warnings.catch_warnings():
        # so few updates are not what is tested here
        warnings.simplefilter("ignore")
        assert call("train", "moons.npz", *options, "--negatives.num_steps", "1") == 0
    facts = json.loads(capsys.readouterr().out)
    folder = tmp_path / "runs/moons-0"
    assert facts["run"] == "runs/moons-0"
    names = [*([picture] if picture else []), "energies.png"]
    assert facts["pictures"] == [f"runs/moons-0/{name}" for name in names]
    assert sorted(path.name for path in folder.glob("*.png")) == sorted(names)


@pytest.mark.slow
def test_data_of_one_name_have_different_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "pq":
        (tmp_path / name).mkdir()
        np.savez(f"{name}/data.npz", x=RNG.normal(size=(40, 2)))
        assert call("train", f"{name}/data.npz", "--quiet", *SMALL) == 0
    configs = (ebmx.config.read_config(f"runs/data-{i}/config.toml") for i in range(2))
    assert [config["data"]["name"] for config in configs] == ["p/data.npz", "q/data.npz"]
