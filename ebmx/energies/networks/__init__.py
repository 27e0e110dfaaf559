"""Networks as energies."""

from ._convnet import ConvNet as ConvNet
from ._convnet import ConvNetwork as ConvNetwork
from ._convolution import Convolution as Convolution
from ._mlp import MLP as MLP
from ._mlp import MLPNetwork as MLPNetwork
from ._presets import cifar10 as cifar10
from ._presets import deep as deep
from ._presets import mnist as mnist
from ._presets import uva_mnist as uva_mnist
from ._resnet import BatchNormResNet as BatchNormResNet
from ._resnet import ResNet as ResNet
from ._resnet import ResNetwork as ResNetwork
from ._resnet import resnet as resnet
from ._spectral_norm import SpectralNorm as SpectralNorm
