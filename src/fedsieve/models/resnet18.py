"""ResNet18, FDSD's network for ChestMNIST."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

BATCH_NORM = True
"""Batches of one sample are refused before the first job."""

LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4", "penultimate")
"""Layers that it has; features of others are refused before the first job."""


class Conv(nn.Conv2d):
    """A convolution that leaves out the taps of its kernel which meet nothing but padding.

    The last layers see one or four pixels where images are small: eight of nine taps, or five,
    then multiply zeros, and a step of training takes a fifth longer.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve [samples, channels, height, width] as ``nn.Conv2d`` does."""
        down, across = (
            _only_window(
                maps.shape[2 + i], self.kernel_size[i], int(self.padding[i]), self.stride[i]
            )
            for i in range(2)
        )
        if down is None or across is None:
            return super().forward(maps)
        (rows, top), (columns, left) = down, across
        return F.conv2d(maps[:, :, rows, columns], self.weight[:, :, top, left], self.bias)


def build(in_shape: tuple[int, int, int], n_classes: int) -> nn.Sequential:
    """Build torchvision's ResNet18, untrained, as ``extractor`` and ``predictor``.

    Layers: conv1 (the stem with its pooling), layer1 to layer4, penultimate (512 pooled values).

    Source: FDSD, section IV-A; He et al., CVPR 2016.
    ASSUME: the ImageNet stem (7x7, stride 2, max-pool) also at 28x28, with as many input
    channels as the images have. A 3x3 stem costs fourteen times as much per image.
    """
    net = resnet18(num_classes=n_classes)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.__class__ = Conv  # torchvision takes another norm, but no other convolution
    if in_shape[0] != 3:
        net.conv1 = nn.Conv2d(in_shape[0], 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    extractor = OrderedDict(
        conv1=nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool),
        layer1=net.layer1,
        layer2=net.layer2,
        layer3=net.layer3,
        layer4=net.layer4,
        penultimate=nn.Sequential(net.avgpool, nn.Flatten()),
    )
    return nn.Sequential(
        OrderedDict(extractor=nn.Sequential(extractor), predictor=nn.Sequential(net.fc))
    )


def _only_window(size: int, width: int, margin: int, stride: int) -> tuple[slice, slice] | None:
    """Pixels and taps that meet along an axis in a convolution's only window, if it has one."""
    if size + 2 * margin - width >= stride:
        return None
    return slice(0, width - margin), slice(margin, margin + size)
