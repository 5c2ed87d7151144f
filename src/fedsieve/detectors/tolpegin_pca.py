"""Tell malicious clients by two clusters among the output layer's updates (Tolpegin et al.)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from fedsieve.errors import InputError, check_count, check_share
from fedsieve.ranges import Count, OneOf, Share, Whole
from fedsieve.records import Message, Screening
from fedsieve.vectors import Layout, State, Trained

EXAMPLE = {"first_round": 1, "least_silhouette": 0.0}
"""Parameters for the contract tests, under which somebody is flagged."""

RECORDS_UPDATES = True
"""It records the updates in the plane in which it tells them apart; they are drawn."""

MANY = 200
"""Updates from which on the plane is found without all other axes."""

AUTO = "auto"

LEAST_UPDATES = 4
"""Of fewer, every split in two looks like two clusters."""

Class = Whole | Annotated[str, OneOf("auto")]

Rows = Float[np.ndarray, "updates features"]


@dataclass(frozen=True)
class Split:
    """Updates in the plane of their two main axes, as two clusters."""

    points: Float[np.ndarray, "updates 2"]
    smaller: Bool[np.ndarray, " updates"]
    """Those of the smaller cluster; nobody where both are of the same size."""
    silhouette: float


def init(n_clients: int, layout: Layout, *, source_class: Class = AUTO) -> State:
    """Remember no update yet.

    Returns:
        ``first``, where the output layer's weight starts in the flat vector; ``n_rounds`` so far;
        and of each update kept ``past_rows`` float32 [updates, classes, features],
        ``past_clients`` and ``past_rounds`` (the first is 1) int64 [updates].

    Raises:
        InputError: if no parameter that counts as the output layer is a matrix, or the model has
            no such class.
    """
    first, shape = _output_weight(layout)
    if source_class != AUTO:
        check_count("tolpegin_pca: source_class (or auto)", source_class, 0)
        if int(source_class) >= shape[0]:
            raise InputError(f"tolpegin_pca: source_class: the model has {shape[0]} classes only")
    return {
        "first": torch.tensor(first),
        "n_rounds": torch.tensor(0),
        "past_rows": torch.zeros(0, *shape),
        "past_clients": torch.zeros(0, dtype=torch.int64),
        "past_rounds": torch.zeros(0, dtype=torch.int64),
    }


def learn(
    model: nn.Module,
    trained: Trained,
    state: State,
    *,
    window: Count | None = 10,
    first_round: Count = 11,
) -> State:
    """Keep what a round's clients changed in the weights of the output layer, without the bias.

    An update that is not finite can be compared with nothing and is left out.

    Args:
        window: Last rounds, 1 or more, whose updates are kept; None for all, which takes 20 MB for
            200 rounds of 10 clients, 10 classes and 256 features.
        first_round: First one whose updates are kept, 1 or more. Before it the updates differ more
            from round to round than those of malicious clients do from the others'.

    Raises:
        InputError: unless window is None or a positive whole number, and first_round another.

    Source: Tolpegin et al., ESORICS 2020, section 4; their code leaves out 10 of 200 rounds and
    keeps all others.
    ASSUME: a window of 10 rounds, since the paper's detection takes place after training.
    """
    if window is not None:
        check_count("tolpegin_pca: window (or null)", window, 1)
    check_count("tolpegin_pca: first_round", first_round, 1)
    number = state["n_rounds"] + 1
    rows = _rows(trained, state)
    usable = rows.isfinite().all(dim=(1, 2)) & (number >= first_round)
    clients = torch.tensor(trained.cohort, dtype=torch.int64, device=rows.device)
    recent = state["past_rounds"] > (0 if window is None else number - window)
    new = {
        "past_rows": rows,
        "past_clients": clients,
        "past_rounds": number.expand(len(rows)),
    }
    kept = {name: torch.cat([state[name][recent], new[name][usable]]) for name in new}
    return {"first": state["first"], "n_rounds": number, **kept}


def flag(
    reports: list[Message],
    state: State,
    *,
    n_clients: int,
    source_class: Class = AUTO,
    least_silhouette: Share = 0.6,
    center: bool = False,
) -> Screening:
    """Flag the clients that have more than half of their updates in the smaller cluster.

    The rows of one class are standardized, projected on their two main axes and split by 2-means.
    Nobody is flagged where the clusters are not apart or of the same size, or of fewer than four
    updates, or of updates that are all alike. So is no client without an update: a flagged client
    takes no part, and is benign again when the window has passed, unless it has no end.

    Args:
        source_class: The class, 0 or more, whose images the attacker relabels, if it is known;
            ``auto`` takes the class whose clusters are farthest apart by their silhouette, at the
            cost of a decomposition per class (20 ms for 100 updates of 2,048 features, more for
            more). That may be the target class, whose rows an attack moves as well.
        least_silhouette: Of two clusters, from 0 to 1; at 0 there are always two, and of honest
            clients up to half are flagged. 2-means splits one round cloud at a silhouette of 0.3 to
            0.4, a Gaussian line at 0.56 and an even one at 0.63. Of ten rounds after the tenth,
            with 10 of 100 clients each, the best of ten classes had 0.51 at most where all were
            honest, and 0.62 at least where 5 to 40 % (Fashion-MNIST) or 20 and 40 % (CIFAR-10)
            relabeled a class; one seed each, equal shares. Where labels are spread unevenly honest
            clients form clusters too (Dirichlet 1, CIFAR-10: 0.72), and no limit helps.
        center: Subtract each round's median from its updates. It takes away what all clients of a
            round learn alike, and what malicious ones do where they are near half of a cohort.

    Returns:
        Scores: the share of a client's updates that is not in the smaller cluster; 1 where there
        is one cluster, NaN where there is no update or no split. ``found``: of each update kept
        ``points`` [updates, 2], ``clients``, ``rounds`` and ``smaller``, whatever the silhouette;
        the ``source_class`` chosen and its ``silhouette``; -1 and NaN where there is no split.

    Raises:
        InputError: unless least_silhouette is a fraction.

    Source: Tolpegin et al., ESORICS 2020, section 4.
    ASSUME: 2-means, the silhouette and the smaller cluster; there a person looks at the plot. The
    majority of a client's updates; there each is a point of its own. Ties are benign.
    """
    check_share("tolpegin_pca: least_silhouette", least_silhouette)
    rows, clients, rounds = (
        state[f"past_{kind}"].cpu().numpy() for kind in ("rows", "clients", "rounds")
    )
    classes = range(rows.shape[1]) if source_class == AUTO else [int(source_class)]
    chosen, found = farthest(_centered(rows, rounds) if center else rows, classes)
    seen = np.bincount(clients, minlength=n_clients)
    scores = np.full(n_clients, np.nan)
    if chosen >= 0:
        blamed = found.smaller & (found.silhouette >= least_silhouette)
        suspected = np.bincount(clients, weights=blamed, minlength=n_clients)
        scores[seen > 0] = 1 - suspected[seen > 0] / seen[seen > 0]
    recorded = {
        "points": found.points,
        "clients": clients,
        "rounds": rounds,
        "smaller": found.smaller,
        "source_class": np.array(chosen),
        "silhouette": np.array(found.silhouette),
    }
    return Screening(~(scores < 0.5), scores, recorded)


def farthest(
    rows: Float[np.ndarray, "updates classes features"], classes: range | list[int]
) -> tuple[int, Split]:
    """Find the class whose rows are split best, the lowest of equals; -1 if none can be split."""
    splits = {c: found for c in classes if (found := split(rows[:, c])) is not None}
    if not splits:
        n = len(rows)
        return -1, Split(np.full((n, 2), np.nan), np.zeros(n, bool), np.nan)
    best = max(splits, key=lambda c: splits[c].silhouette)
    return best, splits[best]


def split(rows: Rows) -> Split | None:
    """Split the rows in two; None if they are fewer than four, or all alike.

    Without chance: the exact decomposition, and 2-means from starts that are always the same.
    """
    if len(rows) < LEAST_UPDATES or (rows == rows[0]).all():
        return None
    scaled = StandardScaler().fit_transform(rows.astype(np.float64))
    # of several hundred updates: two axes by Lanczos, since all of them take seconds
    solver = "full" if len(rows) < MANY else "arpack"
    points = PCA(2, svd_solver=solver, random_state=0).fit_transform(scaled)
    cluster = KMeans(2, n_init=10, random_state=0).fit_predict(points)
    size = np.bincount(cluster, minlength=2)
    smaller = (cluster == size.argmin()) & (size[0] != size[1])
    return Split(points, smaller, float(silhouette_score(points, cluster)))


def _centered(
    rows: Float[np.ndarray, "updates classes features"], rounds: Int64[np.ndarray, " updates"]
) -> Float[np.ndarray, "updates classes features"]:
    medians = {number: np.median(rows[rounds == number], axis=0) for number in np.unique(rounds)}
    return rows - np.stack([medians[number] for number in rounds]) if medians else rows


def _rows(trained: Trained, state: State) -> Float[Tensor, "clients classes features"]:
    """What each client changed in the weights of the output layer."""
    first, shape = int(state["first"]), state["past_rows"].shape[1:]
    where = slice(first, first + shape.numel())
    return (trained.after[:, where] - trained.before[where]).view(-1, *shape)


def _output_weight(layout: Layout) -> tuple[int, torch.Size]:
    """Find where the last matrix of the output layer starts, and its shape."""
    compared = layout.compared("output_layer")
    matrices = [
        (where.start, shape)
        for where, shape in zip(layout.slices().values(), layout.shapes, strict=True)
        if len(shape) == 2 and compared.start <= where.start < compared.stop
    ]
    if not matrices:
        raise InputError(
            "tolpegin_pca: the model's output layer has no matrix of weights, a row per class; "
            "let its predictor end with a linear layer"
        )
    return matrices[-1]
