"""MNIST: 28x28 handwritten digits, in torchvision's folder layout."""

from pathlib import Path

from torchvision.datasets import MNIST

from fedsieve.archives import read_idx
from fedsieve.records import Dataset
from fedsieve.sources import Source, gzipped, provide, verified

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Of the unpacked files, so that a data root without the ``.gz`` can be verified too."""

SOURCE = Source(
    homepage="http://yann.lecun.com/exdb/mnist/",
    license="CC BY-SA 3.0 (as stated by Keras; the authors' page names none)",
    citation=(
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to "
        "document recognition, Proceedings of the IEEE 86(11), 1998"
    ),
    files=gzipped(
        "MNIST/raw",
        [mirror for mirror in MNIST.mirrors if mirror.startswith("https:")],
        MNIST.resources,
        SHA256,
    ),
)


def fetch(root: Path) -> dict[str, str]:
    """Verify the four idx files, after downloading what is missing (11 MB)."""
    return provide(root, SOURCE)


def read(root: Path) -> tuple[Dataset, Dataset]:
    """Return 60,000 training and 10,000 test images [1, 28, 28] of the digits 0 to 9."""
    train_images, train_labels, test_images, test_labels = verified(root, SOURCE)
    classes = tuple(str(digit) for digit in range(10))
    return (
        read_idx(train_images, train_labels, classes),
        read_idx(test_images, test_labels, classes),
    )
