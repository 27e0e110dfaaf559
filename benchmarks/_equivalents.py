"""Mutants that no test can tell from the original, each with the reason; reviewed by hand.

A mutant is known by its file, its operator, its old and new text and, where several have these, the
text of its line, all without spaces, so that the list survives edits elsewhere in the file.
"""

# ruff: noqa: E501

from pathlib import Path

from _operators import Mutant

_ROOT = Path(__file__).resolve().parent.parent

_SQUARED = "the difference is squared"
_EITHER_WAY = "both ways of the convolution are the same function; another is chosen"
_TINY = "another number that is far below rounding"
_OTHER_DRAWS = "other draws of the same distribution, as independent as before"
_REACH = "a grid of another reach, beyond which the density is zero to rounding as well"
_REFUSED = "a state without a stateful energy, or such an energy without one, is refused before"

EQUIVALENTS: dict[str, str] = {
    "energies/_conditional.py | key used twice | embed_key -> head_key | self.embedding=jax.random.normal(embed_key,(num_labels,size))/np.sqrt(width)": _OTHER_DRAWS,
    "energies/_convolution.py | dropped term | height*width -> (height)": _EITHER_WAY,
    "energies/_convolution.py | dropped term | height*width -> (width)": _EITHER_WAY,
    "energies/_convolution.py | dropped term | height*width*in_channels -> (height*width)": _EITHER_WAY,
    "energies/_convolution.py | dropped term | height*width*in_channels -> (in_channels)": _EITHER_WAY,
    "energies/_convolution.py | comparison | height*width*in_channels<=_SMALL -> ((height*width*in_channels)>=(_SMALL))": _EITHER_WAY,
    "energies/_convolution.py | comparison | height*width*in_channels<=_SMALLandself.out_size(x.shape[0])>1 -> ((height*width*in_channels<=_SMALL)or(self.out_size(x.shape[0])>1))": _EITHER_WAY,
    "energies/_convolution.py | comparison | self.out_size(x.shape[0])>1 -> ((self.out_size(x.shape[0]))<(1))": _EITHER_WAY,
    "energies/_convolution.py | off by one | 0 -> 1 | small=height*width*in_channels<=_SMALLandself.out_size(x.shape[0])>1": _EITHER_WAY,
    "energies/_convolution.py | off by one | 1 -> 2 | small=height*width*in_channels<=_SMALLandself.out_size(x.shape[0])>1": _EITHER_WAY,
    "energies/_convolution.py | comparison | _sumifsmallelse_patches -> ((_patches)ifsmallelse(_sum))": _EITHER_WAY,
    "energies/_curved.py | swapped arguments | x[1]-ridge -> ((ridge)-(x[1]))": _SQUARED,
    "energies/_curved.py | factor | 1e-12 -> 2e-12": _TINY,
    "energies/_curved.py | swapped arguments | radius-self.radius -> ((self.radius)-(radius))": _SQUARED,
    "energies/_curved.py | swapped arguments | x**2-1 -> ((1)-(x**2))": _SQUARED,
    "energies/_curved.py | dropped term | 1+4/jnp.sqrt(jnp.minimum(jnp.asarray(self.height),4.0)) -> (4/jnp.sqrt(jnp.minimum(jnp.asarray(self.height),4.0)))": _REACH,
    "energies/_curved.py | factor | 4 -> 5 | reach=1+4/jnp.sqrt(jnp.minimum(jnp.asarray(self.height),4.0))": _REACH,
    "energies/_curved.py | factor | 4.0 -> 8.0": _REACH,
    "energies/_curved.py | swapped arguments | grid**2-1 -> ((1)-(grid**2))": _SQUARED,
    "energies/_factories.py | key used twice | energy_key -> norm_key": _OTHER_DRAWS,
    "energies/_factories.py | key used twice | norm_key -> energy_key": _OTHER_DRAWS,
    "energies/_frozen.py | comparison | statefulandstateisnotNone -> ((stateful)or(stateisnotNone))": _REFUSED,
    "energies/_gaussian.py | swapped arguments | x-self.location -> ((self.location)-(x))": _SQUARED,
    "energies/_mixture.py | swapped arguments | x[None]-self.means -> ((self.means)-(x[None]))": _SQUARED,
    "energies/_resnet.py | key used twice | stem_key -> dense_key": _OTHER_DRAWS,
    "energies/_resnet.py | key used twice | block_key -> stem_key": _OTHER_DRAWS,
    "energies/_resnet.py | key used twice | dense_key -> block_key": _OTHER_DRAWS,
    "energies/_resnet.py | key used twice | energy_key -> norm_key": _OTHER_DRAWS,
    "energies/_resnet.py | key used twice | norm_key -> energy_key": _OTHER_DRAWS,
    "energies/_spectral.py | sign | size+_TINY -> ((size)-(_TINY))": _TINY,
    "energies/_spectral.py | dropped term | size+_TINY -> (size)": _TINY,
    "energies/_spectral.py | sign | jnp.linalg.norm(left)+_TINY -> ((jnp.linalg.norm(left))-(_TINY))": _TINY,
    "energies/_spectral.py | sign | left@(matrix@vector)+_TINY -> ((left@(matrix@vector))-(_TINY))": _TINY,
    "energies/_uniform.py | swapped arguments | self.high-self.low -> ((self.low)-(self.high)) | return(self.high-self.low)**2/12": _SQUARED,
}
"""The reason for each `file | operator | old -> new`, with ` | line` where that is not enough."""


def label(mutant: Mutant) -> str:
    old, new = ("".join(text.split()) for text in (mutant.old, mutant.new))
    return f"{mutant.file.removeprefix('ebmx/')} | {mutant.operator} | {old} -> {new}"


def is_equivalent(mutant: Mutant) -> bool:
    if label(mutant) in EQUIVALENTS:
        return True
    line = (_ROOT / mutant.file).read_text().splitlines()[mutant.line - 1]
    return f"{label(mutant)} | {''.join(line.split())}" in EQUIVALENTS
