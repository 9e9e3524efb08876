"""Baselines on the stored features, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from mobile_vla.config.windows import Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.evaluation import feature_baselines
from mobile_vla.evaluation.feature_baselines import (
    WindowVectors,
    nearest_neighbours,
    ridge,
    vectors_of,
)
from mobile_vla.features.store import FeatureStore
from support.synthetic_datasets import make_dataset, names

C, A, D = 3, 2, 6


def drawn(count: int, seed: int, cut_short: bool = False) -> WindowVectors:
    """Return windows whose actions follow from features and side, with some noise."""
    rng = np.random.default_rng(seed)
    vectors = (rng.normal(size=(count, D)) * np.arange(1, D + 1) + 5).astype(np.float32)
    side = rng.integers(1, 3, count)
    weights = np.random.default_rng(99).normal(size=(D, C * A))
    chunks = (vectors @ weights).reshape(count, C, A) + side[:, None, None] * 3.0
    mask = np.ones((count, C), dtype=bool)
    if cut_short:
        mask[rng.random(count) < 0.3, 2] = False
    noisy = chunks + rng.normal(0, 0.5, chunks.shape)
    return WindowVectors(vectors, side, noisy.astype(np.float32), mask)


def inputs(own: WindowVectors, scaler: StandardScaler, side: float) -> np.ndarray:
    return np.hstack([scaler.transform(own.vectors.astype(np.float64)), side * np.eye(3)[own.side]])


@pytest.fixture(params=[False, True], ids=["whole chunks", "masked steps"])
def three(request) -> tuple[WindowVectors, WindowVectors, WindowVectors]:
    return drawn(150, 0, request.param), drawn(40, 1, request.param), drawn(30, 2)


def test_ridge_agrees_with_scikit_learn(three) -> None:
    train, val, scored = three
    scaler = StandardScaler().fit(train.vectors.astype(np.float64))
    found, penalty = ridge(train, val, scored, [0.3])
    assert penalty == 0.3
    for step in range(C):
        has = train.mask[:, step]
        # scikit-learn sums where we average
        model = Ridge(alpha=0.3 * has.sum()).fit(
            inputs(train, scaler, 1)[has], train.chunks[has, step]
        )
        assert found[:, step] == pytest.approx(model.predict(inputs(scored, scaler, 1)), abs=1e-4)


def test_nearest_neighbours_agree_with_scikit_learn(three) -> None:
    train, val, scored = three
    scaler = StandardScaler().fit(train.vectors.astype(np.float64))
    found, k = nearest_neighbours(train, val, scored, [5])
    assert k == 5
    model = KNeighborsRegressor(5).fit(
        inputs(train, scaler, (D / 2) ** 0.5), train.chunks.reshape(len(train), -1)
    )
    near = model.kneighbors(inputs(scored, scaler, (D / 2) ** 0.5), return_distance=False)
    for window, those in enumerate(near):
        for step in range(C):
            own = those[train.mask[those, step]]
            assert found[window, step] == pytest.approx(
                train.chunks[own, step].mean(axis=0), abs=1e-5
            )


def test_the_choice_is_the_best_on_validation(three) -> None:
    train, val, scored = three

    def errors(fit, options) -> list[float]:
        each = [fit(train, train, val, [option])[0] for option in options]
        return [float(np.abs(said - val.chunks)[val.mask].mean()) for said in each]

    for fit, options in ((nearest_neighbours, [1, 4, 150]), (ridge, [1e-3, 1.0, 1e3])):
        assert fit(train, val, scored, options)[1] == options[int(np.argmin(errors(fit, options)))]


def test_more_neighbours_than_windows_are_all_of_them() -> None:
    train, scored = drawn(3, 0), drawn(4, 1)
    found, k = nearest_neighbours(train, drawn(2, 2), scored, [8, 16])
    assert k == 3
    assert found[0] == pytest.approx(train.chunks.mean(axis=0), abs=1e-5)


def test_blocks_change_nothing(monkeypatch, three) -> None:
    train, val, scored = three
    whole = nearest_neighbours(train, val, scored, [1, 3, 9])[0]
    fitted = ridge(train, val, scored, [0.1, 1.0])[0]
    monkeypatch.setattr(feature_baselines, "QUERIES", 7)
    monkeypatch.setattr(feature_baselines, "CANDIDATES", 11)
    assert np.array_equal(nearest_neighbours(train, val, scored, [1, 3, 9])[0], whole)
    assert np.allclose(ridge(train, val, scored, [0.1, 1.0])[0], fitted, atol=1e-5)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    train, val, scored = (drawn(n, seed) for seed, n in enumerate((60, 20, 10)))
    constant = [
        WindowVectors(
            np.hstack([own.vectors, np.full((len(own), 1), 0.1, np.float32)]),
            own.side,
            own.chunks,
            own.mask,
        )
        for own in (train, val, scored)
    ]
    for fit, options in ((nearest_neighbours, [3]), (ridge, [0.1])):
        found, expected = fit(*constant, options)[0], fit(train, val, scored, options)[0]
        assert found == pytest.approx(expected, abs=1e-4)


def test_a_windows_vector_is_the_mean_over_the_tokens_of_its_last_frame(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(feature_baselines, "BLOCK", 3)
    dataset = make_dataset(tmp_path, dict(zip(names(2), (6, 7), strict=True)))
    table = make_windows(dataset, [0, 1], Windows(window=2, chunk=2))
    features = np.random.default_rng(0).normal(size=(dataset.rows, 4, 5)).astype(np.float32)
    found = vectors_of(dataset, table, FeatureStore(features, "float32"), dataset.actions[:, :2])
    assert found.vectors == pytest.approx(features[table.frames[:, -1]].mean(axis=1), abs=1e-6)
    assert [feature_baselines.SIDES[side] for side in found.side] == [
        dataset.episodes[index].scenario["side"] for index in table.episode
    ]
    assert np.array_equal(found.chunks, dataset.actions[table.targets][..., :2])
