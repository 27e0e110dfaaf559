"""Samplers: Markov chains whose steps are driven by an energy."""

from .._arguments import check_public as _check_public
from ._base import AbstractSampler as AbstractSampler
from ._base import StepInfo as StepInfo
from ._blackjax import BlackJAX as BlackJAX
from ._blackjax_kernels import HMC as HMC
from ._blackjax_kernels import MALA as MALA
from ._blackjax_kernels import MCLMC as MCLMC
from ._blackjax_kernels import NUTS as NUTS
from ._blackjax_kernels import Barker as Barker
from ._combined import Cycle as Cycle
from ._combined import Independence as Independence
from ._combined import Mixture as Mixture
from ._langevin import Langevin as Langevin
from ._langevin import displacement_budget as displacement_budget
from ._noise_levels import AbstractPredictor as AbstractPredictor
from ._noise_levels import Ancestral as Ancestral
from ._noise_levels import ProbabilityFlow as ProbabilityFlow
from ._noise_levels import sample_levels as sample_levels
from ._preconditioned import AbstractPreconditioner as AbstractPreconditioner
from ._preconditioned import PreconditionedLangevin as PreconditionedLangevin
from ._preconditioned import RMSProp as RMSProp
from ._reflected import Reflected as Reflected
from ._replica_exchange import ReplicaExchange as ReplicaExchange
from ._run import run as run
from ._run_replicas import run_replicas as run_replicas
from ._sample import RESULTS as RESULTS
from ._sample import Samples as Samples
from ._sample import sample as sample
from ._save_policies import AbstractSave as AbstractSave
from ._save_policies import Last as Last
from ._save_policies import Moments as Moments
from ._save_policies import Trace as Trace
from ._save_policies import save_position_and_energy as save_position_and_energy
from ._schedules import Annealed as Annealed
from ._underdamped import UnderdampedLangevin as UnderdampedLangevin
from ._warmup import warmup as warmup
from .discrete._block_gibbs import BlockGibbs as BlockGibbs
from .discrete._gibbs import Gibbs as Gibbs
from .discrete._gibbs_with_gradients import GibbsWithGradients as GibbsWithGradients
from .discrete._langevin import DMALA as DMALA
from .discrete._langevin import DULA as DULA

_check_public(globals(), but=("StepInfo", "Samples"))
