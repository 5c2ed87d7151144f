import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from fedsieve import registry

build = registry.load("models", "resnet18").build


def gradients(net, images):
    """Gradients of all parameters for some loss, by name."""
    net(images).square().sum().backward()
    return {name: p.grad for name, p in net.named_parameters()}


@pytest.mark.parametrize("side", [20, 28, 32, 64, 65])
def test_it_computes_and_learns_what_torchvisions_does_at_every_size(side):
    ours, theirs = build((3, side, side), 10), resnet18(num_classes=10)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
    found, wanted = gradients(ours, images).values(), gradients(theirs, images).values()
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * max(1, b.abs().max().item()))


def test_at_28_pixels_the_last_layers_use_only_taps_that_meet_pixels():
    net = build((1, 28, 28), 10)
    kernels = [
        k for k in gradients(net, torch.randn(4, 1, 28, 28)).values() if k.shape[2:] == (3, 3)
    ]
    met = {k.shape[:2]: (k.abs().sum((0, 1)) > 0).sum().item() for k in kernels}
    assert met[512, 512] == 1  # the middle of a single pixel's surroundings
    assert met[512, 256] == 4  # two by two pixels, seen once
    assert met[256, 256] == 9


def test_it_has_torchvisions_parameters_for_one_channel():
    net = build((1, 28, 28), 14)
    stem = nn.Conv2d(1, 64, 7, bias=False)
    theirs = resnet18(num_classes=14)
    more = sum(p.numel() for p in theirs.conv1.parameters()) - stem.weight.numel()
    assert sum(p.numel() for p in net.parameters()) == (
        sum(p.numel() for p in theirs.parameters()) - more
    )
