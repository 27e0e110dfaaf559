"""Mutants that no test can tell from the original, each with the reason; reviewed by hand.

A mutant is known by its file, its operator, its old and new text and, where several have these, the
text of its line, all without spaces, so that the list survives edits elsewhere in the file.
"""

# ruff: noqa: E501

import functools
from pathlib import Path

from _mutation_source import Mutant

_ROOT = Path(__file__).resolve().parent.parent

_SQUARED = "the difference is squared"
_EITHER_WAY = "both ways of the convolution are the same function; another is chosen"
_LENGTH = "only the length of the difference counts"
_TINY = "another number that is far below rounding"
_OTHER_DRAWS = "other draws of the same distribution, as independent as before"
_REACH = "a grid of another reach, beyond which the density is zero to rounding as well"
_CLAMPED = "JAX takes the last place for an index beyond the end"
_SQUARE_KERNELS = "kernels are square"
_SYMMETRIC = "the noise is symmetric about zero"
_CLIPPED = "the value in the middle of three, in another order"
_LAST = "a point is at most the last end; the bound is for weights that are not finite"
_TOGETHER = "the same energies, of both batches together or of each apart"
_PLACES = "only places are taken from it, through which no gradient passes"
_SUM = "a sum in the other order"
_PRODUCT = "a product in the other order"
_ALL_SHIFTS = "all shifts are taken, or any with equal probability"
_ONE_PROCESS = "told apart where several processes train, which the tests do not start"
_ADAM = "updates of Adam do not depend on the scale of the loss, but for rounding"

EQUIVALENTS: dict[str, str] = {
    "training/_trainer.py | swapped arguments | eqx.apply_updates(parameters,updates) -> eqx.apply_updates(updates,parameters)": _SUM,
    "training/checkpoints/_writer.py | comparison | jax.process_count()>1 -> ((jax.process_count())<(1))": _ONE_PROCESS,
    "training/losses/_noise_levels.py | swapped arguments | rates-(d-squares_of(noise)) -> ((d-squares_of(noise))-(rates))": _SQUARED,
    "evaluation/landscape/_slices.py | off by one | 1 -> 2 | returnas_scalar(energy(origin+point[0]*first+point[1]*second))": _CLAMPED,
    "evaluation/landscape/_minima.py | swapped arguments | jnp.clip(walker.x-walker.length*walker.gradient,low,high) -> jnp.clip(low,walker.x-walker.length*walker.gradient,high)": _CLIPPED,
    "energies/bijections/_bijections.py | swapped arguments | jnp.clip(log,-_furthest(log),_furthest(log)) -> jnp.clip(-_furthest(log),log,_furthest(log))": _CLIPPED,
    "energies/_conditional.py | key used twice | embed_key -> head_key | self.embedding=jax.random.normal(embed_key,(num_labels,size))/np.sqrt(width)": _OTHER_DRAWS,
    "energies/networks/_convolution.py | dropped term | height*width -> (height)": _EITHER_WAY,
    "energies/networks/_convolution.py | dropped term | height*width -> (width)": _EITHER_WAY,
    "energies/networks/_convolution.py | dropped term | height*width*in_channels -> (height*width)": _EITHER_WAY,
    "energies/networks/_convolution.py | dropped term | height*width*in_channels -> (in_channels)": _EITHER_WAY,
    "energies/networks/_convolution.py | comparison | height*width*in_channels<=_SMALL -> ((height*width*in_channels)>=(_SMALL))": _EITHER_WAY,
    "energies/networks/_convolution.py | comparison | height*width*in_channels<=_SMALLandself.out_size(x.shape[0])>1 -> ((height*width*in_channels<=_SMALL)or(self.out_size(x.shape[0])>1))": _EITHER_WAY,
    "energies/networks/_convolution.py | comparison | self.out_size(x.shape[0])>1 -> ((self.out_size(x.shape[0]))<(1))": _EITHER_WAY,
    "energies/networks/_convolution.py | off by one | 0 -> 1 | small=height*width*in_channels<=_SMALLandself.out_size(x.shape[0])>1": _EITHER_WAY,
    "energies/networks/_convolution.py | off by one | 1 -> 2 | small=height*width*in_channels<=_SMALLandself.out_size(x.shape[0])>1": _EITHER_WAY,
    "energies/networks/_convolution.py | comparison | _sumifsmallelse_patches -> ((_patches)ifsmallelse(_sum))": _EITHER_WAY,
    "energies/_conditional.py | off by one | 0 -> 1 | returnapply_layers(self.layers,self.activation,joint)[0]": _CLAMPED,
    "energies/_conditional.py | off by one | 0 -> 1 | own=apply_layers(self.layers,self.activation,features)[0]": _CLAMPED,
    'energies/networks/_convnet.py | off by one | 0 -> 1 | returnoutputs[0]ifnet.out_size=="scalar"elseoutputs': _CLAMPED,
    'energies/networks/_mlp.py | off by one | 0 -> 1 | returnoutputs[0]ifself.out_size=="scalar"elseoutputs': _CLAMPED,
    'energies/networks/_resnet.py | off by one | 0 -> 1 | returnoutputs[0]ifself.out_size=="scalar"elseoutputs': _CLAMPED,
    "energies/networks/_resnet.py | off by one | 0 -> 1 | returnoutputs[0],after": _CLAMPED,
    "energies/networks/_convolution.py | off by one | 0 -> 1 | returnlax.conv_general_dilated(x[None],weight,strides,pads,dimension_numbers=dims)[0]": _CLAMPED,
    "energies/exact/_bernoulli.py | swapped arguments | together(self.logits,x) -> together(x,self.logits)": _PRODUCT,
    "energies/exact/_particles.py | swapped arguments | x-jnp.mean(x,0,keepdims=True) -> ((jnp.mean(x,0,keepdims=True))-(x))": _SQUARED,
    "energies/exact/_targets.py | dropped term | -below/(1+jnp.sqrt(1-below)) -> (-below)": _REACH,
    "energies/exact/_rbm.py | off by one | 0 -> 1 | expected=self._expected(bits(index[None],self._num_units,self.weight.dtype))[0]": _CLAMPED,
    "energies/exact/_targets.py | off by one | 1 -> 2 | return0.5*(x[0]/scale)**2+0.5*(x[1]-ridge)**2": _CLAMPED,
    "energies/exact/_targets.py | off by one | 1 -> 2 | returnjnp.stack([u,z[1]+self.bend*(u**2-self.scale**2)])": _CLAMPED,
    "energies/networks/_convolution.py | off by one | 0 -> 1 | return(size+2*self.padding-self.weight.shape[0])//self.stride+1": _SQUARE_KERNELS,
    "energies/networks/_convolution.py | off by one | 0 -> 1 | end_i=i+(height-size[0])//stride*stride+1": _SQUARE_KERNELS,
    "energies/exact/_targets.py | swapped arguments | x[1]-ridge -> ((ridge)-(x[1]))": _SQUARED,
    "energies/exact/_targets.py | factor | 1e-12 -> 2e-12": _TINY,
    "energies/exact/_targets.py | swapped arguments | radius-centre -> ((centre)-(radius))": _SQUARED,
    "energies/exact/_targets.py | swapped arguments | x**2-1 -> ((1)-(x**2))": _SQUARED,
    "energies/exact/_targets.py | dropped term | 1+jnp.sqrt(1-below) -> (1)": _REACH,
    "energies/exact/_targets.py | dropped term | 1+a -> (a) | low,high=-below/(1+jnp.sqrt(1-below)),a/(1+jnp.sqrt(1+a))": _REACH,
    "energies/networks/_presets.py | key used twice | energy_key -> norm_key": _OTHER_DRAWS,
    "energies/networks/_presets.py | key used twice | norm_key -> energy_key": _OTHER_DRAWS,
    "energies/exact/_gaussian.py | swapped arguments | x-location -> ((location)-(x))": _SQUARED,
    "energies/exact/_gaussian_mixture.py | swapped arguments | x[None]-means -> ((means)-(x[None]))": _SQUARED,
    "energies/exact/_log_gaussian_cox.py | swapped arguments | x-mean -> ((mean)-(x))": _SQUARED,
    "energies/networks/_resnet.py | key used twice | stem_key -> dense_key": _OTHER_DRAWS,
    "energies/networks/_resnet.py | key used twice | block_key -> stem_key": _OTHER_DRAWS,
    "energies/networks/_resnet.py | key used twice | dense_key -> block_key": _OTHER_DRAWS,
    "energies/networks/_spectral_norm.py | sign | size+_TINY -> ((size)-(_TINY))": _TINY,
    "energies/networks/_spectral_norm.py | dropped term | size+_TINY -> (size)": _TINY,
    "energies/networks/_spectral_norm.py | sign | jnp.linalg.norm(left)+_TINY -> ((jnp.linalg.norm(left))-(_TINY))": _TINY,
    "energies/networks/_spectral_norm.py | sign | left@(matrix@vector)+_TINY -> ((left@(matrix@vector))-(_TINY))": _TINY,
    "energies/_trainable.py | swapped arguments | eqx.combine(jax.lax.stop_gradient(numbers),rest) -> eqx.combine(rest,jax.lax.stop_gradient(numbers))": "a leaf is in one of both trees",
    "energies/exact/_uniform.py | swapped arguments | self.high-self.low -> ((self.low)-(self.high)) | return(self.high-self.low)**2/12": _SQUARED,
    "training/negatives/_discrete.py | sign | places-shift[...,None] -> ((places)+(shift[...,None]))": _ALL_SHIFTS,
    "training/negatives/_chain_free.py | sign | x+cast(self.sigma,x)*noise -> ((x)-(cast(self.sigma,x)*noise))": _SYMMETRIC,
    "training/negatives/_chain_free.py | sign | x+wide*noise -> ((x)-(wide*noise))": _SYMMETRIC,
    "training/negatives/_chain_free.py | sign | x+scale*jax.random.normal(once_key,x.shape,x.dtype) -> ((x)-(scale*jax.random.normal(once_key,x.shape,x.dtype)))": _SYMMETRIC,
    "training/negatives/_chain_free.py | sign | once[None]+twice -> ((once[None])-(twice))": _SYMMETRIC,
    "training/negatives/_chain_free.py | sign | x[None]+cast(self.sigma,x)*noise -> ((x[None])-(cast(self.sigma,x)*noise))": _SYMMETRIC,
    "training/negatives/_noise.py | sign | self.mean+self.scale*jax.random.normal(key,shape) -> ((self.mean)-(self.scale*jax.random.normal(key,shape)))": _SYMMETRIC,
    "training/negatives/_noise.py | swapped arguments | x-mean -> ((mean)-(x))": _SQUARED,
    "training/negatives/_recovery.py | sign | x+sigma*jax.random.normal(noise_key,x.shape,x.dtype) -> ((x)-(sigma*jax.random.normal(noise_key,x.shape,x.dtype)))": _SYMMETRIC,
    "training/negatives/_recovery.py | swapped arguments | y-x -> ((x)-(y))": _SQUARED,
    "training/losses/_energy_matching.py | swapped arguments | slope+x-z -> ((z)-(slope+x))": _SQUARED,
    "training/_distances.py | swapped arguments | x-x[index] -> ((x[index])-(x))": _SQUARED,
    "training/_distances.py | gradient not stopped | jax.lax.stop_gradient(x) -> (x)": _PLACES,
    "training/_distances.py | gradient not stopped | jax.lax.stop_gradient(to(index)) -> (to(index))": _PLACES,
    "training/negatives/_num_steps_adaptation.py | swapped arguments | real-centre -> ((centre)-(real))": _SQUARED,
    "training/negatives/_num_steps_adaptation.py | swapped arguments | centre-mean(fake,negatives) -> ((mean(fake,negatives))-(centre))": "its absolute value is taken",
    "training/negatives/_num_steps_adaptation.py | swapped arguments | jnp.clip(gap/cast(self.tolerance,gap)-1,-1,1) -> jnp.clip(-1,gap/cast(self.tolerance,gap)-1,1)": _CLIPPED,
    "training/negatives/_num_steps_adaptation.py | swapped arguments | jnp.clip(state.log_steps+change,low,high) -> jnp.clip(low,state.log_steps+change,high)": _CLIPPED,
    "training/negatives/_buffered.py | swapped arguments | min -> max": "how many chains are made at once changes the memory alone",
    "training/negatives/_discrete.py | key used twice | which_key -> value_key": "JAX splits the key of random integers once more",
    "training/negatives/_persistent.py | factor | 1e-6 -> 2e-06": "the mean of ages or ranks is zero, and so are they, or above 1 / num",
    "training/negatives/_persistent.py | key used twice | draw_key -> restart_key | changed=augmented(self.augment,chains.x,jax.random.fold_in(draw_key,1))": _OTHER_DRAWS,
    "training/negatives/_persistent.py | key used twice | draw_key -> restart_key | after=state.write(chains,key=jax.random.fold_in(draw_key,2))": _OTHER_DRAWS,
    "training/negatives/_jarzynski.py | sign | len(weights)-1 -> ((len(weights))+(1))": _LAST,
    "training/negatives/_jarzynski.py | dropped term | len(weights)-1 -> (len(weights))": _LAST,
    "evaluation/log_z/_annealing_schedule.py | factor | 0.0 -> 1.0 | returnjnp.nan_to_num(jnp.std(jnp.where(finite,rise,0.0),where=finite))": "masked, too",
    "evaluation/log_z/_estimate.py | stale value | log -> log_weights | error=weights.std(ddof=1)/mean/math.sqrt(len(log))ifknownelsemath.inf": "there are as many of them",
    "evaluation/landscape/_minima.py | swapped arguments | jnp.clip(x-gradient,low,high) -> jnp.clip(low,x-gradient,high)": "the middle one of three numbers",
    "evaluation/landscape/_minima.py | factor | 4 -> 5": "a few more of the last bits, which say nothing",
    "evaluation/landscape/_elastic_band.py | swapped arguments | new-band.x -> ((band.x)-(new))": _LENGTH,
    "evaluation/landscape/_elastic_band.py | swapped arguments | gradients-band.gradients -> ((band.gradients)-(gradients))": _LENGTH,
    "evaluation/samples/_pairwise.py | factor | 1e-12 -> 2e-12": _TINY,
    "training/_batch.py | comparison | not_mesh.is_shared() -> (_mesh.is_shared())": _TOGETHER,
    "training/losses/_contrastive.py | swapped arguments | values-mean(values,examples) -> ((mean(values,examples))-(values))": _SQUARED,
    "training/losses/_cross_entropy.py | off by one | 0 -> 1 | log_p=jnp.take_along_axis(jax.nn.log_softmax(logits),labels[:,None],1)[:,0]": _CLAMPED,
    "training/losses/_score_matching.py | swapped arguments | scale*jax.grad(energy)(noisy)-(noisy-x)/scale -> (((noisy-x)/scale)-(scale*jax.grad(energy)(noisy)))": _SQUARED,
    "training/_watchdog.py | swapped arguments | real-fake -> ((fake)-(real))": _LENGTH,
    "evaluation/samples/_classifier.py | factor | jnp.mean -> jnp.sum": _ADAM,
    "evaluation/samples/_energy_distance.py | factor | 2 -> 3 | middles=ends-widths/2": "another place in an interval where both functions are constant",
    "evaluation/samples/_energy_distance.py | sign | num-1 -> ((num)+(1))": "the middle of an interval of probabilities lies below one",
    "evaluation/samples/_energy_distance.py | dropped term | num-1 -> (num)": "the middle of an interval of probabilities lies below one",
    "evaluation/samples/_energy_distance.py | swapped arguments | _mean_distance(samples,data) -> _mean_distance(data,samples)": "the distance is symmetric",
}
"""The reason for each `file | operator | old -> new`, with ` | line` where that is not enough."""


def labels(mutant: Mutant) -> tuple[str, str]:
    """What a mutant is known by: without its line and with it."""
    old, new = ("".join(text.split()) for text in (mutant.old, mutant.new))
    short = f"{mutant.file.removeprefix('ebmx/')} | {mutant.operator} | {old} -> {new}"
    line = _lines(mutant.file)[mutant.line - 1]
    return short, f"{short} | {''.join(line.split())}"


@functools.cache
def _lines(file: str) -> list[str]:
    return (_ROOT / file).read_text().splitlines()


def is_equivalent(mutant: Mutant) -> bool:
    return any(label in EQUIVALENTS for label in labels(mutant))
