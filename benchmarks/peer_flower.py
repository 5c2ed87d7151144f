"""Flower's part of ``benchmarks.peers``, run by an environment that has ``flwr[simulation]``.

Usage: python -m benchmarks.peer_flower WORK [CPUS]

CPUS are those that a client takes; Flower's default where none are given. Each of Flower's
processes makes the clients' tensors once and keeps them.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from benchmarks.peer_work import LR, Work, asked, client_data, network, pixels, tell, tell_versions
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import Tensor
from torch.nn import functional as F


def endless(size: int, batch: int) -> Iterator[Tensor]:
    """Row numbers of batches, shuffled anew for every pass."""
    while True:
        yield from torch.randperm(size).split(batch)


def client_app(work: Work) -> ClientApp:
    """What a client does."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        net, seen = network(), 0
        net.load_state_dict(message.content["arrays"].to_torch_state_dict())
        images, labels = client_data(work)[int(context.node_config["partition-id"])]
        optimizer = torch.optim.SGD(net.parameters(), lr=LR)
        for rows in islice(endless(len(labels), work.batch), work.steps):
            optimizer.zero_grad()
            F.cross_entropy(net(pixels(images[rows])), labels[rows]).backward()
            optimizer.step()
            seen += len(rows)
        metrics = MetricRecord({"num-examples": len(labels), "seen": seen})
        content = RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": metrics})
        return Message(content=content, reply_to=message)

    return app


class Timed(FedAvg):
    """Federated averaging that tells of each round."""

    begun = 0.0

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average, tell, and start anew."""
        replies = list(replies)
        found = super().aggregate_train(server_round, replies)
        seen = sum(int(r.content["metrics"]["seen"]) for r in replies if r.has_content())
        tell(server_round, time.perf_counter() - self.begun, seen)
        self.begun = time.perf_counter()
        return found


def server_app(work: Work) -> ServerApp:
    """What the server does."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = Timed(
            fraction_train=work.cohort / work.clients,
            fraction_evaluate=0.0,
            min_train_nodes=work.cohort,
            min_available_nodes=work.clients,
        )
        strategy.begun = time.perf_counter()
        strategy.start(grid, ArrayRecord(network().state_dict()), num_rounds=work.rounds)

    return app


def main(work: Work, cpus: int | None) -> None:
    """Simulate."""
    resources = {"client_resources": {"num_cpus": cpus, "num_gpus": 0.0}} if cpus else None
    run_simulation(server_app(work), client_app(work), work.clients, backend_config=resources)


if __name__ == "__main__":
    tell_versions("flwr", "ray")
    main(asked(), int(sys.argv[2]) if len(sys.argv) > 2 else None)
