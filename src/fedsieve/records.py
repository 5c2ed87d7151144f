"""Frozen records that travel between functions (numpy only: light stages never import torch)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt, UInt8

from fedsieve.errors import InputError

Labels = Int64[np.ndarray, " samples"] | UInt8[np.ndarray, "samples classes"]
"""Class of each sample, or 0/1 per class where a sample may have several (multi-label)."""

Predictions = Labels | UInt[np.ndarray, " samples"]
"""Labels as a model gives them."""

DIVERGED = "diverged"
"""Name of the one array of a sanitizer's message where features are no numbers, since the network
diverged. Nothing can be told by them: the sanitizer is not asked, and every client keeps all."""

Images = UInt8[np.ndarray, "samples channels height width"]


def unpredicted(n_classes: int, n_samples: int) -> UInt[np.ndarray, " samples"]:
    """Predictions of samples that no model has predicted yet, with room for every class."""
    kind = np.min_scalar_type(n_classes)  # one value more than there are classes
    return np.full(n_samples, np.iinfo(kind).max, kind)


def is_predicted(classes: UInt[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Whether each sample was predicted: the greatest number of the type is no class."""
    return classes != np.iinfo(classes.dtype).max


@dataclass(frozen=True)
class Dataset:
    """Labelled images of one split; row index is the sample's identity everywhere."""

    images: Images
    labels: Labels
    classes: tuple[str, ...]

    @property
    def multi_label(self) -> bool:
        """Whether a sample may carry several labels at once."""
        return self.labels.ndim == 2


@dataclass(frozen=True)
class Partition:
    """Who holds which training sample."""

    client: Int64[np.ndarray, " samples"]
    n_clients: int

    def rows(self, client: int) -> Int64[np.ndarray, " rows"]:
        """Training samples of one client, ascending."""
        return np.flatnonzero(self.client == client)


@dataclass(frozen=True)
class Poisoning:
    """Ground truth of a poisoned training set: what changed, where, and to what.

    ``samples`` are rows of the training set, ascending and unique; the other arrays run along
    them. Only building the data, the oracles and the metrics may look at it.
    """

    malicious: Int64[np.ndarray, " malicious"]
    samples: Int64[np.ndarray, " poisoned"]
    kind: np.ndarray
    labels_before: Labels
    labels_after: Labels
    images: Images

    def apply(self, data: Dataset) -> Dataset:
        """Return the training set as the clients hold it."""
        images, labels = data.images.copy(), data.labels.copy()
        images[self.samples] = self.images
        labels[self.samples] = self.labels_after
        return Dataset(images, labels, data.classes)

    def mask(self, n_samples: int) -> Bool[np.ndarray, " samples"]:
        """True for every poisoned sample of the training set."""
        mask = np.zeros(n_samples, bool)
        mask[self.samples] = True
        return mask


@dataclass(frozen=True)
class Probe:
    """Test inputs that show whether an attack worked, and the class its attacker wants."""

    samples: Int64[np.ndarray, " probes"]
    images: UInt8[np.ndarray, "probes channels height width"]
    wanted: int


Message = dict[str, np.ndarray]
"""Named arrays that a sanitizer's client and server exchange, or remember."""


@dataclass(frozen=True)
class View:
    """All that a sanitizer's client step sees: one client's own samples.

    ``layers`` are their features in each layer that the config names; ``output`` is what the
    network says, a probability for each class. ``kept`` are the samples that the sanitizer's
    judgement before this one kept (None: every sample).
    """

    client: int
    layers: Mapping[str, Float[np.ndarray, "samples _"]]
    labels: Labels
    n_classes: int
    kept: Bool[np.ndarray, " samples"] | None = None

    @property
    def features(self) -> Float[np.ndarray, "samples features"]:
        """Features of the only layer, for a sanitizer that looks at one.

        Raises:
            InputError: where ``features:`` names several.
        """
        if len(self.layers) > 1:
            several = "+".join(self.layers)
            raise InputError(f"features: {several}: the sanitizer looks at one layer; name one")
        (only,) = self.layers.values()
        return only


@dataclass(frozen=True)
class Verdict:
    """What becomes of samples: kept as they are, dropped, or trained on with another label.

    ``repaired`` is that label, for dropped samples alone; -1 where there is none.
    """

    keep: Bool[np.ndarray, " samples"]
    repaired: Int64[np.ndarray, " samples"]

    @property
    def trained(self) -> Bool[np.ndarray, " samples"]:
        """True for each sample that is trained on."""
        return self.keep | (self.repaired >= 0)


def keeping(keep: Bool[np.ndarray, " samples"]) -> Verdict:
    """Verdict that repairs nothing."""
    return Verdict(keep, np.full(len(keep), -1))


@dataclass(frozen=True)
class Screening:
    """What a detector makes of all clients: whom it lets take part, and why.

    ``scores`` are the higher, the more a client is trusted; NaN where nothing is known of it.
    ``found`` is what else to record, such as what each part of a rule would have decided.
    """

    benign: Bool[np.ndarray, " clients"]
    scores: Float[np.ndarray, " clients"]
    found: Message = field(default_factory=dict)
