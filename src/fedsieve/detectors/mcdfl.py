"""MCDFL: ban clients whose labels a generator finds wrong (Jiang, Zhang and Chen, 2023).

The server trains a generator of features per class from the global model's predictor; a client's
data quality is how often the global model, given its images, says what the generator's features
of their labels make it say. 2-means over all clients' quality tells the malicious from the benign.
"""

from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import softmax
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from fedsieve.errors import InputError, check_count, check_single_label
from fedsieve.ranges import OneOf, Positive, Range, Size
from fedsieve.records import Message, Screening, View
from fedsieve.two_means import split_line
from fedsieve.vectors import Layout, State, Trained, seeded

SINGLE_LABEL = True
"""It counts samples by their one label."""

SCORE = "data quality"
"""What its scores are; they are drawn."""

GENERATOR = "generator."

STEPS, BATCH = 20, 32
"""Of training the generator in a round: section V-B."""

Steps = Annotated[int, Range(least=0, most=1_000_000)]


def init(
    n_clients: int,
    layout: Layout,
    *,
    rng: np.random.Generator,
    hidden: Size = 128,
    personal_heads: bool = True,
    generator_steps: Steps = STEPS,
    generator_batch: Size = BATCH,
) -> State:
    """Start with an untrained generator, and no client with a predictor of its own.

    Args:
        hidden: Width of the generator's hidden layer, from 1 to 8192; 128 for Fashion-MNIST, 512
            for CIFAR-10 (Tables IV and VI).
        personal_heads: Whether each client keeps its own predictor (section IV-C).
        generator_steps: As for ``learn``, as is ``generator_batch``: checked here, before training.

    Raises:
        InputError: where the predictor is no fully connected layer.
    """
    check_count("mcdfl: hidden", hidden, 1)
    check_count("mcdfl: generator_steps", generator_steps, 0)
    check_count("mcdfl: generator_batch", generator_batch, 1)
    shapes = dict(zip(layout.names, layout.shapes, strict=True))
    heads = [s for k, s in shapes.items() if k.startswith("predictor.") and len(s) == 2]
    if len(heads) != 1:
        raise InputError(
            f"detector mcdfl needs a model whose predictor has one fully connected layer; this "
            f"one has {len(heads)}"
        )
    n_classes, n_features = heads[0]
    net = seeded(lambda: generator(n_classes, hidden, n_features), int(rng.integers(2**63)))
    head = layout.compared("output_layer")
    state = {f"{GENERATOR}{name}": tensor.clone() for name, tensor in net.state_dict().items()}
    state |= {
        "features": features(net, torch.eye(n_classes)),
        "rounds": torch.zeros((), dtype=torch.int64),
    }
    if personal_heads:
        state |= {
            "head": torch.tensor([head.start, head.stop]),
            "own_heads": torch.zeros(n_clients, head.stop - head.start),
            "own_has": torch.zeros(n_clients, dtype=torch.bool),
        }
    return state


def generator(n_classes: int, hidden: int, n_features: int) -> nn.Sequential:
    """Build the network from a class, one-hot, to features.

    Source: MCDFL, appendix A, Tables IV and VI.
    ASSUME: ReLU, and no noise beside the class: so a class has one vector of features, and the
    generator for Fashion-MNIST has the 203,680 numbers, 0.8 MB, of Table I.
    """
    return nn.Sequential(nn.Linear(n_classes, hidden), nn.ReLU(), nn.Linear(hidden, n_features))


def features(
    net: nn.Sequential, classes: Float[Tensor, "classes classes"]
) -> Float[Tensor, "classes features"]:
    """What a generator makes of each class, one-hot."""
    with torch.no_grad():
        return net(classes)


def broadcast(model: nn.Module, state: State) -> Message:
    """The generator, and what the global predictor says of the features it makes of each class.

    ``taught`` [classes] is the inner part of eq. 8. A client would find it out itself, from the
    generator; it is the same for all.
    """
    sent = {k: tensor.cpu().numpy() for k, tensor in state.items() if k.startswith(GENERATOR)}
    taught = model.get_submodule("predictor")(state["features"]).argmax(1).cpu().numpy()
    return {"taught": taught, **sent}


def report(
    view: View,
    broadcast: Message,
    *,
    quality: Annotated[str, OneOf("generator", "direct")] = "generator",
    agreement: Annotated[str, OneOf("counted", "expected")] = "counted",
) -> Message:
    """Count a client's samples, and those whose image the global model assigns to their label.

    A client that lies can report any number: like the paper's, this rule trusts reports.

    Args:
        quality: ``generator`` compares with the class that the predictor sees in the generated
            features of the label (eq. 8), ``direct`` with the label itself. They are the same once
            the generator is trained.
        agreement: ``counted``, a sample agrees or does not (``Acc`` of eq. 8); ``expected``, it
            agrees by the probability that the model gives the wanted class, a reading of the
            equation's expectations.

    ASSUME: eq. 8 divides by the number of samples twice, by its expectation and before it; here
    once, so that the quality is a share and clients of different sizes compare.
    """
    if quality not in ("generator", "direct"):
        raise InputError(f"quality: {quality!r} is neither generator nor direct")
    if agreement not in ("counted", "expected"):
        raise InputError(f"agreement: {agreement!r} is neither counted nor expected")
    check_single_label("detector mcdfl", view.labels)
    logits = view.layers["logits"]
    wanted = broadcast["taught"][view.labels] if quality == "generator" else view.labels
    if agreement == "counted":
        right = (logits.argmax(axis=1) == wanted).sum()
    else:
        right = softmax(logits, axis=1)[np.arange(len(wanted)), wanted].sum()
    return {"right": np.array(right), "samples": np.array(len(wanted))}


def flag(
    reports: list[Message],
    state: State,
    *,
    malicious: Annotated[str, OneOf("lower", "smaller")] = "lower",
) -> Screening:
    """Cut the clients in two by their data quality; one part is malicious.

    Args:
        malicious: ``lower``, the part of lower quality (section IV-B), or ``smaller``, the part
            with fewer clients, the lower one where they are equal.

    A client without samples is benign, and nobody is malicious if all clients are alike.
    """
    if malicious not in ("lower", "smaller"):
        raise InputError(f"malicious: {malicious!r} is neither lower nor smaller")
    right, samples = (np.array([float(r[key]) for r in reports]) for key in ("right", "samples"))
    found = np.where(samples > 0, right / np.maximum(samples, 1), np.nan)
    upper = split_line(found)
    lower = np.isfinite(found) & ~upper
    if not upper.any():
        return Screening(np.ones(len(found), bool), found)
    bad = upper if malicious == "smaller" and upper.sum() < lower.sum() else lower
    return Screening(~bad, found)


def personal(values: Tensor, client: int, state: State) -> Tensor:
    """Put a client's own predictor, if it has trained one, on top of the global extractor.

    ASSUME: a client that takes part for the first time starts from the global predictor.
    """
    if "own_heads" not in state or not state["own_has"][client]:
        return values
    start, stop = state["head"].tolist()
    return torch.cat([values[:start], state["own_heads"][client], values[stop:]])


def local_loss(
    model: nn.Module, labels: Tensor, state: State, *, regularize: bool = True
) -> Tensor | None:
    """Let a client's predictor tell the classes of generated features, too (eq. 10).

    Args:
        regularize: Whether to add this term to its loss.

    ASSUME: labels for generated features are those of the batch, a draw from the client's own.
    Without effect in round one, when the generator is untrained.
    """
    if not regularize or state["rounds"] == 0:
        return None
    return F.cross_entropy(model.get_submodule("predictor")(state["features"][labels]), labels)


def learn(
    model: nn.Module,
    trained: Trained,
    state: State,
    *,
    rng: np.random.Generator,
    generator_steps: Steps = STEPS,
    generator_batch: Size = BATCH,
    generator_lr: Positive = 0.001,
) -> State:
    """Keep the clients' own predictors, and train the generator by the global one (eq. 7).

    Args:
        generator_steps: Steps in a round, from 0 to 1,000,000.
        generator_batch: Labels of a step, from 1 to 8192.
        generator_lr: Learning rate, above 0.

    ASSUME: Adam, fresh in each round, with labels drawn evenly; the paper gives the number of
    steps, 20, and the batch size, 32, alone (section V-B).
    """
    own = {name: tensor.clone() for name, tensor in state.items() if name.startswith("own_")}
    if own:
        start, stop = state["head"].tolist()
        own["own_heads"][trained.cohort] = trained.after[:, start:stop]
        own["own_has"][trained.cohort] = True
    net = _generator(state)
    predictor = model.get_submodule("predictor")
    frozen = {name: parameter.detach() for name, parameter in predictor.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), generator_lr)
    device = state["features"].device
    classes = torch.eye(len(state["features"]), device=device)
    for _ in range(generator_steps):
        labels = torch.from_numpy(rng.integers(len(classes), size=generator_batch)).to(
            classes.device
        )
        optimizer.zero_grad()
        said = functional_call(predictor, frozen, net(classes[labels]))
        F.cross_entropy(said, labels).backward()
        optimizer.step()
    weights = {f"{GENERATOR}{name}": p.detach() for name, p in net.named_parameters()}
    new = {"features": features(net, classes), "rounds": state["rounds"] + 1}
    return state | own | weights | new


def _generator(state: State) -> nn.Sequential:
    weights = {k.removeprefix(GENERATOR): t for k, t in state.items() if k.startswith(GENERATOR)}
    hidden, n_classes = weights["0.weight"].shape
    net = generator(n_classes, hidden, len(weights["2.weight"])).to(weights["0.weight"].device)
    net.load_state_dict(weights)
    return net
