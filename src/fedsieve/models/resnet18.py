"""ResNet18, FDSD's network for ChestMNIST."""

from collections import OrderedDict

from torch import nn
from torchvision.models import resnet18


def build(in_shape: tuple[int, int, int], n_classes: int) -> nn.Sequential:
    """Build torchvision's ResNet18, untrained, as ``extractor`` and ``predictor``.

    Layers: conv1 (the stem with its pooling), layer1 to layer4, penultimate (512 pooled values).

    Source: FDSD, section IV-A; He et al., CVPR 2016.
    ASSUME: the ImageNet stem (7x7, stride 2, max-pool) also at 28x28, with as many input
    channels as the images have. A 3x3 stem costs fourteen times as much per image.
    """
    net = resnet18(num_classes=n_classes)
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
