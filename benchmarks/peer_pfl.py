"""pfl-research's part of ``benchmarks.peers``, run by an environment that has ``pfl[pytorch]``.

Usage: python -m benchmarks.peer_pfl WORK

Clients' tensors stay in memory and keep their batches, the fastest of pfl's data sets. pfl ends a
client's training with its data; here it goes on with another pass until all steps are done. Of
batch normalization pfl averages weights but not statistics.
"""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from benchmarks.peer_work import LR, Work, asked, client_data, network, pixels, tell, tell_versions
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn
from torch.nn import functional as F


class Network(nn.Module):
    """The network with the loss that pfl asks of a model."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()
        self.seen = 0

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of a batch."""
        self.seen += len(images)
        return F.cross_entropy(self.net(pixels(images)), labels)

    def metrics(self, *_batch: Tensor) -> dict[str, Any]:
        """Nothing: pfl wants the method, and no evaluation calls it."""
        raise NotImplementedError


class Endless(PyTorchTensorDataset):
    """A client's data, pass after pass."""

    def iter(self, batch_size: int | None) -> Iterator[list[Tensor]]:
        """Batches, of which pfl takes as many as it has steps."""
        while True:
            yield from super().iter(batch_size)


class Unevaluated(FederatedAveraging):
    """Federated averaging that does not evaluate in the first round either."""

    def get_next_central_contexts(self, *given: Any, **named: Any) -> tuple[Any, Any, Any]:
        """What is to do next, without evaluation."""
        contexts, model, metrics = super().get_next_central_contexts(*given, **named)
        plain = contexts and tuple(dataclasses.replace(c, do_evaluation=False) for c in contexts)
        return plain, model, metrics


class Clock(TrainingProcessCallback):
    """Tells of each round."""

    def on_train_begin(self, **_given: Any) -> Metrics:
        """Start."""
        self.begun = time.perf_counter()
        return Metrics()

    def after_central_iteration(
        self, _metrics: Metrics, model: PyTorchModel, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        """Tell, and start anew."""
        network = model.pytorch_model
        tell(central_iteration + 1, time.perf_counter() - self.begun, network.seen)
        network.seen, self.begun = 0, time.perf_counter()
        return False, Metrics()


def main(work: Work) -> None:
    """Train."""
    np.random.seed(0)  # noqa: NPY002 - from which pfl draws, alike in all its processes
    torch.manual_seed(0)
    net = Network()
    model = PyTorchModel(net, torch.optim.SGD, torch.optim.SGD(net.parameters(), lr=1.0))
    users = [Endless(tensors) for tensors in client_data(work)]
    sampler = get_user_sampler("minimize_reuse", range(work.clients))
    data = FederatedDataset(users.__getitem__, sampler)
    Unevaluated().run(
        NNAlgorithmParams(
            central_num_iterations=work.rounds,
            evaluation_frequency=work.rounds,
            train_cohort_size=work.cohort,
            val_cohort_size=None,
        ),
        SimulatedBackend(data, data, postprocessors=[WeightByDatapoints()]),
        model,
        NNTrainHyperParams(
            local_num_epochs=None,
            local_learning_rate=LR,
            local_batch_size=work.batch,
            local_num_steps=work.steps,
        ),
        callbacks=[Clock()],
    )


if __name__ == "__main__":
    tell_versions("pfl")
    main(asked())
