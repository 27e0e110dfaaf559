"""The work of `gpu.py` in PyTorch, written by hand, and in torchebm as `_peer_worker.py` has it.

In single precision large products are in TensorFloat-32 where the device has it, as those of JAX
are; half precision is that of autocast. `torch.compile` compiles the energy.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from _gpu_work import RESTARTS, Chain, Program, Work
from _peer_worker import torch_parts, torchebm_workloads

torch: Any = import_module("torch")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.set_float32_matmul_precision("high")
torch.backends.cudnn.benchmark = True

Energy = Callable[[Any], Any]  # from a batch to energies
FEWER = 10  # the count of a repetition of JAX over one of PyTorch
TORCHEBM_STEPS = 60  # of its updates, in `_peer_worker.py`


class Residual(torch.nn.Module):
    """`skip(x) + conv(silu(conv(silu(x))))`."""

    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        nn = torch.nn
        self.branch = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(before, channels, 3, stride, 1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
        )
        same = stride == 1 and before == channels
        self.skip = nn.Identity() if same else nn.Conv2d(before, channels, 1, stride)

    def forward(self, x: Any) -> Any:
        return self.skip(x) + self.branch(x)


class ResidualNetwork(torch.nn.Module):
    """The network of `ebmx.energies.ResNet`, on images with channels first."""

    def __init__(self, in_channels: int, channels: tuple[int, ...], num_blocks: int):
        super().__init__()
        nn, blocks, before = torch.nn, [], channels[0]
        for width in channels:
            blocks.append(Residual(before, width, 2))
            blocks += [Residual(width, width, 1) for _ in range(num_blocks - 1)]
            before = width
        stem = nn.Conv2d(in_channels, channels[0], 3, 1, 1)
        self.features = nn.Sequential(stem, *blocks, nn.SiLU())
        self.last = nn.Linear(before, 1)

    def forward(self, x: Any) -> Any:
        return self.last(self.features(x).float().sum((2, 3))).squeeze(-1)


def libraries(work: Work) -> dict[str, Callable[[], Program]]:
    """What can be built for a row, by column; building may fail."""
    if work.network == "unet":
        return {}
    builds = {
        "torch": lambda: program(work, compile_it=False),
        "torch.compile": lambda: program(work, compile_it=True),
    }
    same_steps = work.num_updates == 0 or work.chain.num_steps == TORCHEBM_STEPS
    if find_spec("torchebm") and same_steps and work.dtype == "float32":
        builds["torchebm"] = lambda: torchebm(work)
    return builds


def torchebm(work: Work) -> Program:
    """The workload of the same name; MALA is HMC with one leapfrog step."""
    with DEVICE:
        builders = torchebm_workloads()
        if work.name not in builders:
            raise NotImplementedError("torchebm does not have this workload")
        run = builders[work.name]()
    count = repetition(work)
    return Program(synchronised(lambda: run(count)), count)


def program(work: Work, compile_it: bool) -> Program:
    """Chains, or updates of PCD, that go on from call to call."""
    with DEVICE:
        network, optim = network_of(work)
        x = start(work)
        buffer = uniform((work.capacity, *x.shape[1:])) if work.num_updates else None
    energy = in_half(network) if work.dtype == "bfloat16" else network
    if compile_it:
        energy = torch.compile(energy)
    count = repetition(work)
    if buffer is None:
        freeze(network, True)
        chain = work.chain._replace(num_steps=count)
        return Program(synchronised(lambda: run(energy, chain, x)), count)
    update = lambda: pcd(energy, network, optim, buffer, x, work.chain)  # noqa: E731
    return Program(synchronised(lambda: [update() for _ in range(count)]), count)


def repetition(work: Work) -> int:
    """How many updates or steps a repetition has, which takes longer than one of JAX."""
    return max(1, (work.num_updates or work.chain.num_steps) // FEWER)


def synchronised(work: Callable[[], Any]) -> Callable[[], None]:
    """The work, waited for."""

    def run() -> None:
        work()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    return run


def network_of(work: Work) -> tuple[Any, Any]:
    """The energy of a batch, and an optimiser of a network."""
    if work.network == "double well":
        return (lambda x: (x.square() - 1).square().sum(-1)), None
    if work.network == "resnet":
        network = ResidualNetwork(work.shape[-1], work.channels, work.num_blocks)
        return network.to(memory_format=torch.channels_last), None
    uva, mlp, adam, _ = torch_parts(torch)
    network = {"uva": uva, "mlp": mlp}[work.network]
    return network, adam(network)


def start(work: Work) -> Any:
    """Where chains alone begin, and the data of an update."""
    if len(work.shape) == 1:
        shape = (work.num_chains, *work.shape)
        return uniform(shape) if work.num_updates else torch.randn(shape)
    height, width, channels = work.shape
    x = uniform((work.num_chains, channels, height, width))
    return x.to(memory_format=torch.channels_last)


def uniform(shape: tuple[int, ...], device: Any = None) -> Any:
    """Numbers in [-1, 1]."""
    return 2 * torch.rand(shape, device=device) - 1


def in_half(network: Any) -> Energy:
    """The network under autocast."""

    def energy(x: Any) -> Any:
        with torch.autocast(DEVICE.type, torch.bfloat16):
            return network(x).float()

    return energy


def freeze(network: Any, frozen: bool) -> None:
    """Whether gradients of the parameters are left out."""
    for parameter in getattr(network, "parameters", list)():
        parameter.requires_grad_(not frozen)


def value_and_gradient(energy: Energy, x: Any) -> tuple[Any, Any]:
    """Energies, and their gradients in `x`."""
    x = x.detach().requires_grad_()
    values = energy(x)
    (gradient,) = torch.autograd.grad(values.sum(), x)
    return values.detach(), gradient


def run(energy: Energy, chain: Chain, x: Any) -> Any:
    """Move a batch of chains."""
    return (mala if chain.adjusted else langevin)(energy, chain, x)


def langevin(energy: Energy, chain: Chain, x: Any) -> Any:
    """Overdamped Langevin dynamics."""
    for _ in range(chain.num_steps):
        gradient = value_and_gradient(energy, x)[1]
        if chain.grad_clip is not None:
            gradient = gradient.clamp(-chain.grad_clip, chain.grad_clip)
        x = x - 0.5 * chain.step_size * gradient + chain.noise * torch.randn_like(x)
        if chain.bounds is not None:
            x = x.clamp(*chain.bounds)
    return x


def mala(energy: Energy, chain: Chain, x: Any) -> Any:
    """The Metropolis-adjusted Langevin algorithm, on vectors; one gradient a step."""

    def log_density(there: Any, x: Any, gradient: Any) -> Any:
        distance = there - x + 0.5 * chain.step_size * gradient
        return -distance.square().sum(-1) / (2 * chain.step_size)

    value, gradient = value_and_gradient(energy, x)
    for _ in range(chain.num_steps):
        new = x - 0.5 * chain.step_size * gradient + chain.noise * torch.randn_like(x)
        new_value, new_gradient = value_and_gradient(energy, new)
        log_ratio = value - new_value
        log_ratio += log_density(x, new, new_gradient) - log_density(new, x, gradient)
        accepted = torch.rand_like(value).log() < log_ratio
        rows = accepted[:, None]
        x, gradient = torch.where(rows, new, x), torch.where(rows, new_gradient, gradient)
        value = torch.where(accepted, new_value, value)
    return x


def pcd(energy: Energy, network: Any, optim: Any, buffer: Any, batch: Any, chain: Chain) -> None:
    """An update of persistent contrastive divergence."""
    num, device = len(batch), batch.device
    index = torch.randint(len(buffer), (num,), device=device)
    restarted = torch.rand((num,) + (1,) * (batch.ndim - 1), device=device) < RESTARTS
    x = torch.where(restarted, uniform(batch.shape, device), buffer[index])
    freeze(network, True)
    x = run(energy, chain, x)
    buffer[index] = x
    freeze(network, False)
    loss = energy(batch).mean() - energy(x).mean()
    optim.zero_grad()
    loss.backward()
    optim.step()
