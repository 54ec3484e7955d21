"""What an archive has taught: the same from the same rows, kept without running code, and not used when stale."""

import io
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from gbar.agent.learning.agent import Agent
from gbar.agent.learning.environment import EnvConfig
from gbar.agent.learning.planner import select_batch
from gbar.agent.learning.pretrained import Pretrained, digest, load, pretrain, save
from gbar.agent.learning.target import Target, worst, z_scores
from tests.synthetic import AGENT, MEAN, SD, response

CONFIG = AGENT.pretrain
HIDDEN = np.array([[0.7, 0.3, 0.5]])
TARGET = Target(response(HIDDEN)[0], SD)
STAMP = {"problem": "abc", "parameters": [["a"], ["b"], ["c"]], "features": list("wxyz"), "settings": repr(CONFIG)}
ROWS = 256


@pytest.fixture(scope="module")
def u() -> np.ndarray:
    return np.random.default_rng(0).random((ROWS, 3))


@pytest.fixture(scope="module")
def pretrained(u: np.ndarray) -> Pretrained:
    return pretrain(u, response(u), Target(MEAN, SD), 1.0, CONFIG, EnvConfig())


@pytest.fixture
def kept(pretrained: Pretrained, tmp_path: Path) -> Path:
    file = tmp_path / "archive.sqlite.mind.npz"
    save(file, pretrained, STAMP)
    return file


def test_the_same_rows_teach_the_same(u: np.ndarray, pretrained: Pretrained) -> None:
    again = pretrain(u, response(u), Target(MEAN, SD), 1.0, CONFIG, EnvConfig())
    assert digest(again) == digest(pretrained)
    fewer = pretrain(u[:-1], response(u[:-1]), Target(MEAN, SD), 1.0, CONFIG, EnvConfig())
    assert digest(fewer) != digest(pretrained)


def test_there_and_back(pretrained: Pretrained, kept: Path) -> None:
    found, reason = load(kept, STAMP, ROWS, CONFIG)
    assert reason == ""
    assert found is not None
    assert digest(found) == digest(pretrained)
    assert (found.rows, found.solved) == (pretrained.rows, pretrained.solved)
    assert jax.tree.structure(found) == jax.tree.structure(pretrained)


@pytest.mark.parametrize("what", ["problem", "parameters", "features", "settings"])
def test_what_it_depends_on(kept: Path, what: str) -> None:
    found, reason = load(kept, {**STAMP, what: "changed"}, ROWS, CONFIG)
    assert found is None
    assert what in reason


@pytest.mark.parametrize(
    ("rows", "used"), [(ROWS, True), (ROWS * 3 // 2, True), (ROWS * 3 // 2 + 1, False), (9, False)]
)
def test_learned_anew_when_the_archive_has_grown_by_half(kept: Path, rows: int, used: bool) -> None:
    found, reason = load(kept, STAMP, rows, CONFIG)
    assert (found is not None) == used
    assert (str(ROWS) in reason) != used


@pytest.mark.parametrize("damage", ["cut", "garbage", "shape", "nan", "pickle", "missing", "empty"])
def test_a_damaged_file_is_passed_over(kept: Path, damage: str) -> None:
    content = kept.read_bytes()
    with np.load(kept, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    some = next(name for name in arrays if name != "header")
    match damage:
        case "cut":
            kept.write_bytes(content[: len(content) // 2])
        case "garbage":
            kept.write_bytes(b"garbage")
        case "empty":
            kept.write_bytes(b"")
        case "missing":
            kept.unlink()
        case _:
            changed = {"shape": np.zeros(3), "nan": np.full_like(arrays[some], np.nan), "pickle": np.array({}, object)}
            held_again = io.BytesIO()
            np.savez(held_again, **{**arrays, some: changed[damage]})
            kept.write_bytes(held_again.getvalue())
    found, reason = load(kept, STAMP, ROWS, CONFIG)
    assert found is None
    assert reason


def test_the_header_is_plain_json(kept: Path) -> None:
    with np.load(kept, allow_pickle=False) as held:
        header = json.loads(held["header"].tobytes())
    assert header["rows"] == ROWS
    assert header["features"] == list("wxyz")


def test_a_first_batch_without_learning_anything_new(u: np.ndarray, pretrained: Pretrained) -> None:
    """Far better than the best of what was simulated, and the second is better still."""
    features = response(u)
    agent = Agent(jax.random.key(0), 3, TARGET, 1.0, 1024, AGENT, pretrained)
    best = [float(worst(z_scores(features, TARGET)).min())]
    for _ in range(2):
        agent.update_surrogate(u, features)
        proposals = agent.plan(u, features)
        chosen = select_batch(np.random.default_rng(0), proposals, 8, 1.0, u[:0], u, 0.15)
        u, features = (
            np.concatenate([u, proposals.u[chosen]]),
            np.concatenate([features, response(proposals.u[chosen])]),
        )
        best.append(float(worst(z_scores(features, TARGET)).min()))
    assert best[1] < best[0] / 2
    assert best[2] <= best[1]
    assert best[2] <= 1.0


def test_too_few_whole_cells_to_practise_on(u: np.ndarray) -> None:
    """A feature that is never defined leaves the policy as it was made, and nothing fails."""
    features = response(u)
    features[:, 3] = np.nan
    found = pretrain(u, features, Target(MEAN, SD), 1.0, CONFIG, EnvConfig())
    assert found.solved == 0.0
    assert np.isfinite(found.error).all()
