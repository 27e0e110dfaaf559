"""Trainings on several devices are, but for rounding, those on one; each device has its part."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
import sharding_worker
from jax.sharding import PartitionSpec
from sharding_worker import (
    BATCH,
    CAPACITY,
    KEY,
    X,
    arrays,
    draw,
    labelled,
    plain,
    tempered,
    train,
    weighted,
)

from ebmx.energies import MLP, Gaussian
from ebmx.samplers import Langevin
from ebmx.training import CD, PCD, ReplayBuffer, Trainer, UInt8, fit, shard
from ebmx.training._sharding import put_batch, shapes, shardings

WORKER = Path(sharding_worker.__file__)


def start(what, folder, devices):
    command = [sys.executable, WORKER, what, folder, str(devices)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 0, errors


def read(folder, devices):
    with np.load(folder / f"{devices}.npz", allow_pickle=False) as file:
        found = dict(file)
    return found, json.loads((folder / f"{devices}.json").read_text())


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def one():
    """What comes out without a mesh, in this process."""
    whole = train(plain, None)
    others = {case.__name__: train(case, None) for case in (labelled, weighted, tempered)}
    return arrays(whole=whole, rest=whole, drawn=draw(None), **others)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """What comes out of four devices, and then of two that go on from their checkpoint."""
    folder = tmp_path_factory.mktemp("devices")
    finish(start("first", folder, 4))
    finish(start("second", folder, 2))
    return {devices: read(folder, devices) for devices in (2, 4)}


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """What comes out of two processes with two devices each, and where their checkpoints are."""
    folder, port = tmp_path_factory.mktemp("processes"), free_port()
    both = [start(f"{number},{port}", folder, 2) for number in range(2)]
    for process in both:
        finish(process)
    return *read(folder, 4), folder / "saved"


def assert_close(found, expected, names):
    compared = [name for name in found if name.rstrip("0123456789") in names]
    assert {name.rstrip("0123456789") for name in compared} == set(names)
    for name in compared:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_four_devices_train_and_sample_as_one(one, several):
    assert_close(several[4][0], one, {"whole", "labelled", "weighted", "tempered", "drawn"})


@pytest.mark.slow
def test_two_devices_train_as_one_and_go_on_from_what_four_have_saved(one, several):
    assert_close(several[2][0], one, {"whole", "rest"})


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on_from_what_they_have_saved(one, processes):
    assert_close(processes[0], one, {"whole", "rest"})
    assert processes[1]["bytes"] == [CAPACITY * 2 * 4 // 4] * 2


@pytest.mark.slow
def test_one_device_goes_on_from_what_two_processes_have_saved(one, processes):
    rest = train(plain, None, processes[2], go_on=True)
    assert_close(arrays(rest=rest), one, {"rest"})


@pytest.mark.slow
def test_each_device_has_its_part_of_the_buffer(several):
    whole = CAPACITY * 2 * 4
    assert several[4][1]["bytes"] == [whole // 4] * 4
    assert several[2][1]["bytes"] == [whole // 2] * 2


def elements(shapes):
    """How many numbers an operation returns, from `(f32[8,2]{1,0}, f32[])`."""
    sizes = re.findall(r"\w\d+\[([\d,]*)\]", shapes)
    assert sizes
    return sum(int(np.prod([int(d) for d in size.split(",") if d])) for size in sizes)


PARAMETERS = {
    "plain": (8 * 2 + 8) + (8 + 1),
    # once for the data, once for the chains: the conditions of both are others
    "labelled": 2 * ((4 * 2 + 4) + (4 * 4 + 4) + 3 * 5 + (4 + 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", PARAMETERS)
def test_a_step_adds_up_gradients_and_gathers_no_positions(case, several):
    found = several[4][1][case]
    assert {name for name, _ in found} == {"all-reduce", "all-gather"}
    # the hashes that tell how many chains are distinct: one number for each
    assert [shape for name, shape in found if name == "all-gather"] == [f"u32[{BATCH}]{{0}}"]
    reduced = sum(elements(shape) for name, shape in found if name == "all-reduce")
    assert PARAMETERS[case] <= reduced <= PARAMETERS[case] + 20


class FourDevices:
    """As much of a mesh as the checks look at."""

    size = 4


def go(negatives, batch=8, **options):
    trainer = Trainer(optax.sgd(0.1), negatives)
    state = trainer.init(MLP((2,), (2,), key=KEY), key=KEY)
    batches = [X[0][:batch]]
    return fit(trainer, state, batches, num_steps=1, key=KEY, progress=False, **options)


CHAINS = Langevin(0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PCD(CHAINS, capacity=10, num_shards=4), "capacity=10: .*multiple of num_shards=4"),
        (lambda: PCD(CHAINS, num_shards=0), "num_shards=0: .*at least 1"),
        (lambda: PCD(CHAINS, num_shards=2.0), r"num_shards=2\.0: .*integer"),
        (
            lambda: go(PCD(CHAINS, capacity=30, num_shards=3)),
            "num_shards=3: .*divides the batch size, 8",
        ),
        (
            lambda: ReplayBuffer(np.zeros((7, 2)), np.zeros(7, int), num_shards=2),
            "num_shards=2: the buffer holds 7",
        ),
        (
            lambda: ReplayBuffer(
                jax.numpy.zeros((8, 2)), jax.numpy.zeros(8, int), num_shards=2
            ).draw(3, key=KEY),
            "num=3: each of the num_shards=2",
        ),
        (lambda: go(CD(CHAINS), mesh=3), "mesh=3: .*jax.make_mesh"),
        (
            lambda: sharding_worker.sample(
                MLP((2,), key=KEY), CHAINS, X[0], num_samples=1, key=KEY, mesh="all"
            ),
            "mesh=all: .*jax.make_mesh",
        ),
    ],
)
def test_what_does_not_divide_is_refused(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


@pytest.mark.slow
def test_devices_that_do_not_divide_are_refused(tmp_path):
    code = f"""
import jax
jax.config.update("jax_num_cpu_devices", 4)
import sys
sys.path.insert(0, {str(WORKER.parent)!r})
import numpy as np
from ebmx.__main__ import main
from ebmx.samplers import MALA
from ebmx.training import Jarzynski
from test_sharding import CD, CHAINS, PCD, go
mesh = jax.make_mesh((4,), ("data",))
pcd, weighted = PCD(CHAINS, capacity=32, num_shards=2), Jarzynski(MALA(0.1), 1, 8, 6)
for negatives, batch in ((pcd, 8), (CD(CHAINS), 6), (weighted, 8)):
    try:
        go(negatives, batch, mesh=mesh)
    except ValueError as error:
        print(error)
print(main(["train", "digits", "--devices", "5"]))
print(main(["train", "digits", "--devices", "3", "--steps", "1", "--out", {str(tmp_path)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    shards, batch, chains, *codes = done.stdout.splitlines()
    assert re.match(r"num_shards=2: the 4 devices must divide it: .*num_shards=4", shards)
    assert re.match(r"batches.shape=\(6, 2\): .*multiple of the 4 devices", batch)
    assert chains == "num_chains=6: the 4 devices must divide num_chains and num_held_out"
    assert codes == ["2", "2"]
    first, second = [line for line in done.stderr.splitlines() if line.startswith("ebmx: ")]
    assert first.startswith("ebmx: --devices=5: ")
    assert " 4" in first
    assert re.match(r"ebmx: (num_shards=1: |batches.shape=).*the 3 devices", second)
    assert list(tmp_path.iterdir()) == []


ONE = jax.make_mesh((1,), ("data",))
PARTS, WHOLE = PartitionSpec(("data",)), PartitionSpec()


def test_what_is_put_on_a_mesh_is_what_it_was():
    state = plain()[1]
    found = shard(state, ONE)
    assert found.negatives_state.positions.sharding.mesh.size == 1
    assert found.negatives_state.num_shards == 4
    assert_close(arrays(state=found), arrays(state=state), {"state"})


def test_chains_are_in_parts_and_all_else_is_whole():
    negatives = PCD(Langevin(0.1, bounds=(-1.0, 1.0)), capacity=8, storage=UInt8(-1.0, 1.0))
    state = Trainer(optax.sgd(0.1), negatives).init(Gaussian(np.zeros(2)), key=KEY)
    for tree in (shardings(state, ONE), jax.tree.map(lambda a: a.sharding, shard(state, ONE))):
        buffer = tree.negatives_state
        assert (buffer.positions.spec, buffer.ages.spec) == (PARTS, PARTS)
        assert buffer.storage.low.spec == WHOLE
        assert (tree.energy.mean.spec, tree.ema.mean.spec, tree.step.spec) == (WHOLE, WHOLE, WHOLE)
    chains = shardings(weighted()[1], ONE).negatives_state
    for one in (chains.training, chains.held_out):
        assert {one.positions.spec, one.log_weights.spec, one.last_energies.spec} == {PARTS}
        assert (one.log_z_before.spec, one.resamplings.spec) == (WHOLE, WHOLE)
    assert chains.log_scale.spec == WHOLE
    like = shapes({"array": np.zeros((2, 3)), "empty": np.zeros((0, 2)), "number": 3}, ONE)
    assert (like["array"].shape, like["array"].dtype) == ((2, 3), np.float64)
    assert like["array"].sharding.spec == WHOLE
    assert like["empty"].shape == (0, 2)
    assert like["number"] == 3
    assert shapes(state, ONE).negatives_state.positions.sharding.spec == PARTS


def test_a_batch_on_a_mesh_has_the_dtype_that_it_has_without():
    batch = (np.arange(8.0).reshape(4, 2), np.arange(4))
    for found in (put_batch(batch, ONE), put_batch(batch, None)):
        assert [a.dtype for a in found] == [np.float32, np.int32]
        for a, b in zip(found, batch, strict=True):
            assert isinstance(a, jax.Array)
            np.testing.assert_array_equal(a, b)
    assert {a.sharding.spec for a in put_batch(batch, ONE)} == {PARTS}


@pytest.mark.medium
def test_a_mesh_of_one_device_trains_as_no_mesh():
    trainer = Trainer(optax.sgd(0.1), PCD(CHAINS, 1, capacity=8))
    state = trainer.init(Gaussian(np.zeros(2)), key=KEY)
    options = {"num_steps": 2, "key": KEY, "progress": False}
    one, one_history = fit(trainer, state, [*X[:2, :8]], mesh=ONE, **options)
    two, two_history = fit(trainer, state, [*X[:2, :8]], **options)
    assert_close(arrays(state=one), arrays(state=two), {"state"})
    np.testing.assert_allclose(one_history["loss"], two_history["loss"], rtol=1e-5)
