from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fedsieve import features, maps, registry, responses
from fedsieve.artifacts import read_data
from fedsieve.engine.models import copy_weights, initial_model
from fedsieve.stages import feature_maps as stage_module

CLEAN = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (7, 1, 8, 8), np.uint8))
OTHER = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (7, 1, 8, 8), np.uint8))
MODEL = {"use": "cnn2", "padding": 1, "hidden": 16, "channels": [4, 8]}
BACKDOOR = {"use": "backdoor", "target": 0, "size": 2}
LABELS = {"task": "digits", "partition": "iid-5", "attack": "patch", "ratio": "0.4", "seed": 1}


def network():
    """Two layers: a convolution, and a vector, then three classes."""
    torch.manual_seed(0)
    deep = nn.Sequential(nn.Flatten(), nn.Linear(5 * 36, 6))
    extractor = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 5, 3), deep=deep))
    predictor = nn.Sequential(nn.Linear(6, 3))
    return nn.Sequential(OrderedDict(extractor=extractor, predictor=predictor))


def pair_of(**layers):
    """Responses to two images: random, of these shapes."""
    rng = np.random.default_rng(2)
    return {name: rng.uniform(-1, 1, (2, *shape)) for name, shape in layers.items()}


def drawn(pair, classes):
    table = pd.DataFrame(
        {"layer": layer, "model": model, "mean": 0.5, "sd": 0.1}
        for model in maps.MODELS
        for layer in pair
    )
    return maps.feature_maps(pair, dict.fromkeys(pair, -0.25), table, classes, "title")


def test_every_layer_answers_in_full():
    found = responses.responses(network(), CLEAN)
    shapes = {name: tuple(values.shape[1:]) for name, values in found.items()}
    assert shapes == {"raw": (1, 8, 8), "conv": (5, 6, 6), "deep": (6,), "output": (3,)}
    assert list(found) == features.layers(network())


def test_output_is_what_the_network_says():
    model = network()
    np.testing.assert_allclose(
        responses.responses(model, CLEAN)["output"], features.scores(model, CLEAN), rtol=1e-6
    )


def test_correlations_are_pearsons_over_all_values_of_a_layer():
    model = network()
    ours, theirs = (responses.responses(model, images) for images in (CLEAN, OTHER))
    wanted = [
        [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(mine, other, strict=True)]
        for mine, other in zip(ours.values(), theirs.values(), strict=True)
    ]
    found = responses.correlations(model, CLEAN, OTHER)
    np.testing.assert_allclose(found, np.transpose(wanted), rtol=1e-5)


def test_an_image_is_perfectly_correlated_with_itself():
    np.testing.assert_allclose(responses.correlations(network(), CLEAN, CLEAN), 1)


def test_chunks_change_no_correlation(monkeypatch):
    whole = responses.correlations(network(), CLEAN, OTHER)
    monkeypatch.setattr(responses, "CHUNK", 3)
    np.testing.assert_allclose(responses.correlations(network(), CLEAN, OTHER), whole, rtol=1e-5)


def test_a_constant_response_is_correlated_with_nothing():
    black = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    assert responses.correlations(network(), black, CLEAN[:1])[0, 0] == 0


def test_maps_show_the_channels_that_vary_most_on_one_scale_for_both_images():
    channels = np.zeros((2, 6, 2, 2))
    channels[:, [0, 2, 3, 5], 0, 0] = [[1, 2, 3, 4], [2, 4, 6, 8]]
    first, second = maps._tiles(channels)
    # channels 0, 2, 3, 5 in a square of 2 x 2 tiles of 2 pixels and a gap of 1
    assert first.shape == (5, 5)
    corners = (slice(0, 5, 3), slice(0, 5, 3))
    np.testing.assert_array_equal(first[corners], np.full((2, 2), 0.5))
    np.testing.assert_array_equal(second[corners], np.ones((2, 2)))
    assert np.isnan(first[2]).all()


def test_fewer_channels_than_tiles_leave_tiles_blank():
    [tiles, _] = maps._tiles(np.ones((2, 1, 4, 4)) * [[[[0.0]]], [[[1.0]]]])
    assert np.isfinite(tiles[:4, :4]).all()
    assert np.isnan(tiles[5:, 5:]).all()


@pytest.mark.parametrize("n_colors", [1, 3])
def test_both_images_are_shown_in_every_layer(n_colors):
    pair = pair_of(raw=(n_colors, 8, 8), conv1=(8, 4, 4), penultimate=(16,), output=(3,))
    figure = drawn(pair, ("a", "b", "c"))
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == [f"{layer}\nr = \N{MINUS SIGN}0.25" for layer in pair]
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert [len(ax.patches) for ax in figure.axes[4:8]] == [16, 16, 3, 3]
    assert [figure.axes[i].get_ylabel() for i in (0, 1)] == ["clean", "with trigger"]


def test_vectors_of_a_pair_share_their_scale_and_the_largest_output_is_marked():
    pair = pair_of(raw=(1, 4, 4), output=(3,))
    pair["output"] = np.array([[0.0, 5.0, 1.0], [9.0, 2.0, 1.0]])
    axes = drawn(pair, ("a", "b", "c")).axes[2:4]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    for ax, largest in zip(axes, (1, 0), strict=True):
        colors = [bar.get_facecolor() for bar in ax.patches]
        assert [colors.count(color) for color in colors].index(1) == largest


def test_bars_compare_the_two_models_in_every_layer():
    ax = drawn(pair_of(raw=(1, 4, 4), output=(3,)), ("a", "b", "c")).axes[-1]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["raw", "output"]
    assert [bar.get_height() for bar in ax.patches] == [0.5] * 4


@pytest.fixture
def told(stage, scenario, tmp_path, monkeypatch):
    """What the stage tells the drawing function of a poisoned model and of one that is not."""
    train, _ = read_data(scenario / "data.npz")
    files = [tmp_path / f"{name}.safetensors" for name in ("weights", "unattacked")]
    for seed, file in enumerate(files):
        save_file(copy_weights(initial_model(MODEL, train, seed)), file)
    names = ("pair", "alike", "table", "classes", "title")
    seen = {}

    def spy(*arguments):
        seen.update(zip(names, arguments, strict=True))
        return maps.feature_maps(*arguments)

    monkeypatch.setattr(stage_module, "maps", SimpleNamespace(feature_maps=spy, MODELS=maps.MODELS))
    stage("feature_maps")(
        data=scenario / "data.npz",
        weights=files[0],
        unattacked=files[1],
        attack=BACKDOOR,
        model=MODEL,
        scenario=LABELS,
        figures=[tmp_path / "a.png"],
    )
    assert (tmp_path / "a.png").stat().st_size > 1000
    return SimpleNamespace(**seen)


def correlated(scenario, seed):
    """Correlations of all test images of other classes with their patched twins."""
    train, test = read_data(scenario / "data.npz")
    probe = registry.bind("attacks", BACKDOOR, "probe")(test)["backdoor"]
    images = (torch.from_numpy(part) for part in (test.images[probe.samples], probe.images))
    return responses.correlations(initial_model(MODEL, train, seed), *images).numpy()


def test_the_image_shown_is_the_median_by_the_correlation_of_outputs(told, scenario):
    outputs = correlated(scenario, 0)[:, -1]
    assert len(outputs) < stage_module.MAX_IMAGES
    assert told.alike["output"] == pytest.approx(np.sort(outputs)[len(outputs) // 2])


def test_the_bars_are_mean_and_deviation_over_images_of_both_models(told, scenario):
    for seed, model in enumerate(maps.MODELS):
        rows = told.table[told.table["model"] == model]
        found = correlated(scenario, seed)
        np.testing.assert_allclose(rows["mean"], found.mean(axis=0))
        np.testing.assert_allclose(rows["sd"], found.std(axis=0), rtol=1e-6)
        assert rows["layer"].tolist() == ["raw", "conv1", "conv2", "penultimate", "output"]


def test_the_pair_differs_by_the_trigger_alone(told):
    clean, patched = told.pair["raw"]
    # 2 x 2 pixels, one from the edges of 8 x 8
    assert np.argwhere(clean != patched)[:, 1:].min() >= 5
    assert np.argwhere(clean != patched)[:, 1:].max() <= 6
    assert told.title.startswith("digits, iid-5, patch, 40 % malicious, seed 1, test image ")
