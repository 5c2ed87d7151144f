import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import MODEL, N_CLIENTS, SANITIZER

from fedsieve import blocks

SIZES = [2, 3, N_CLIENTS]

PASSING_ON = '''"""Clients that write into the broadcast, and send all that they are told."""

import numpy as np

EXCHANGES = 2


def client(view, broadcast, memory, *, rng):
    told = {f"told.{name}": array.copy() for name, array in broadcast.items()}
    known = {f"known.{name}": array for name, array in memory.items()}
    for array in broadcast.values():
        array += 1 + view.client
    means = {layer: features.mean(axis=0) for layer, features in view.layers.items()}
    return told | {"draw": rng.random(3)}, known | means


def server(messages, state):
    return {"sum": np.sum([m["draw"] for m in messages], axis=0)}, {}


def keep(view, broadcast, memory):
    broadcast["sum"] += 1 + view.client
    return np.full(len(view.labels), broadcast["sum"][0] < 1 + view.client + N_CLIENTS)
'''.replace("N_CLIENTS", str(N_CLIENTS))
"""A plug-in that tells the next client of its process all it can."""


@given(st.integers(1, 2000))
def test_blocks_hold_every_client_once_and_differ_by_one_at_most(n):
    found = blocks.split(n)
    sizes = [len(block) for block in found]
    assert [client for block in found for client in block] == list(range(n))
    assert max(sizes) <= blocks.LARGEST
    assert max(sizes) - min(sizes) <= 1


def test_there_are_as_few_blocks_as_can_be():
    assert blocks.split(10) == [range(10)]
    assert blocks.split(50) == [range(50)]
    assert blocks.split(51) == [range(25), range(25, 51)]
    assert len(blocks.split(1000)) == 20


def test_the_name_of_a_rule_on_a_block_leads_back_to_the_rule():
    assert blocks.name("features", range(5, 10), 20) == "features_5_to_9_of_20"
    assert blocks.base("features_5_to_9_of_20") == "features"
    assert blocks.base("sanitize_server") == "sanitize_server"


def groups(size):
    return [range(at, min(at + size, N_CLIENTS)) for at in range(0, N_CLIENTS, size)]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def extracted(scenario, stage):
    """Function that writes the clients' views of two layers by jobs of so many clients."""
    inputs = {name: scenario / f"{name}.npz" for name in ("data", "clients", "poisoning")}
    inputs |= {"encoder": scenario / "encoder.safetensors", "model": MODEL}

    def extract(folder, size):
        folder.mkdir()
        for layer in ("conv2", "raw"):
            for block in groups(size):
                views = [folder / f"{layer}-{client}.npz" for client in block]
                stage("features")(**inputs, layer=layer, client=[*block], view=views)
        return folder

    return extract


@pytest.fixture
def sanitized(stage):
    """Function that runs a sanitizer of two exchanges at most by jobs of so many clients."""

    def run(views, folder, size, sanitizer, layers, exchanges):
        folder.mkdir()

        def files(kind, clients=range(N_CLIENTS)):
            return [folder / f"{kind}{client}.npz" for client in clients]

        def own(block):
            seen = [views / f"{layer}-{client}.npz" for client in block for layer in layers]
            return {"view": seen, "layers": layers, "sanitizer": sanitizer, "client": [*block]}

        for exchange in range(exchanges):
            at = {"exchange": exchange, "seed": 1}
            before = exchange - 1
            for block in groups(size):
                stage("sanitize_client")(
                    **own(block),
                    **at,
                    message=files(f"message{exchange}-", block),
                    memory=files(f"memory{exchange}-", block),
                    broadcast=[folder / f"broadcast{before}.npz"] * (exchange > 0),
                    remembered=files(f"memory{before}-", block) if exchange else [],
                )
            stage("sanitize_server")(
                **at,
                sanitizer=sanitizer,
                messages=files(f"message{exchange}-"),
                broadcast=folder / f"broadcast{exchange}.npz",
                state=folder / f"state{exchange}.npz",
                remembered=[folder / f"state{before}.npz"] * (exchange > 0),
            )
        for block in groups(size):
            stage("keep_client")(
                **own(block),
                broadcast=folder / f"broadcast{exchange}.npz",
                memory=files(f"memory{exchange}-", block),
                keep=files("keep", block),
            )
        return content(folder)

    return run


def test_a_block_writes_the_views_of_single_clients_byte_for_byte(extracted, tmp_path):
    alone = content(extracted(tmp_path / "1", 1))
    assert len(alone) == 2 * N_CLIENTS
    for size in SIZES:
        assert content(extracted(tmp_path / str(size), size)) == alone


def test_a_block_sanitizes_as_single_clients_do_byte_for_byte(
    scenario, extracted, sanitized, tmp_path
):
    views = extracted(tmp_path / "views", 1)
    how = {"sanitizer": SANITIZER, "layers": ["conv2"], "exchanges": 1}
    alone = sanitized(views, tmp_path / "1", 1, **how)
    for size in SIZES:
        assert sanitized(views, tmp_path / str(size), size, **how) == alone
    assert alone["keep3.npz"] == (scenario / "keep3.npz").read_bytes()


def test_no_client_of_a_block_learns_what_another_did(plugin, extracted, sanitized, tmp_path):
    plugin("sanitizers", "passing_on", PASSING_ON)
    views = extracted(tmp_path / "views", 1)
    how = {"sanitizer": {"use": "passing_on"}, "layers": ["conv2", "raw"], "exchanges": 2}
    alone = sanitized(views, tmp_path / "1", 1, **how)
    for size in SIZES:
        assert sanitized(views, tmp_path / str(size), size, **how) == alone
