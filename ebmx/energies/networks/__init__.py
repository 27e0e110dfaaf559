"""Networks: energies, or features for energies."""

from ._convnet import ConvNet as ConvNet
from ._convolution import Convolution as Convolution
from ._mlp import MLP as MLP
from ._presets import deep as deep
from ._presets import mnist as mnist
from ._resnet import BatchNormResNet as BatchNormResNet
from ._resnet import ResNet as ResNet
from ._spectral_norm import SpectralNorm as SpectralNorm
