"""Checkpoints and history on disk."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.history import History
from napari_gandenoise.writing import written_whole


@pytest.fixture
def parts():
    """A network in channels_last and its optimiser after a step."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 3, 6, 6)).square().sum().backward()
    adam.step()
    return {"network": network, "adam": adam}


def test_only_the_latest_are_kept(parts, tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (5, 40, 300):
        checkpoints.save(parts, {}, step)
    assert [path.name for path in checkpoints.paths()] == [
        "checkpoint-00000040.safetensors", "checkpoint-00000300.safetensors",
    ]  # fmt: skip


def test_states_come_back_with_their_memory_layout(parts, tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    draws = torch.Generator().manual_seed(7)
    checkpoints.save(parts, {"draws/0": draws.get_state()}, 3)
    expected = {key: value.clone() for key, value in parts["network"].state_dict().items()}
    weight = parts["network"][0].weight
    moment = parts["adam"].state[weight]["exp_avg"].clone()
    with torch.no_grad():
        for value in parts["network"].parameters():
            value.zero_()
    parts["adam"].state.clear()
    step, random, damaged = checkpoints.load(parts)
    assert (step, damaged) == (3, [])
    assert all(torch.equal(value, expected[key]) for key, value in parts["network"].state_dict().items())
    assert torch.equal(parts["adam"].state[weight]["exp_avg"], moment)
    assert parts["adam"].state[weight]["exp_avg"].stride() == weight.stride()
    again = torch.Generator()
    again.set_state(random["draws/0"])
    assert torch.equal(torch.rand(3, generator=again), torch.rand(3, generator=draws))


def test_an_empty_folder_is_step_0(parts, tmp_path):
    assert Checkpoints(tmp_path, keep=1).load(parts) == (0, {}, [])


def test_nan_is_not_written(parts, tmp_path):
    parts["network"][0].weight.data[0] = torch.nan
    with pytest.raises(FloatingPointError):
        Checkpoints(tmp_path, keep=1).save(parts, {}, 3)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with written_whole(path) as temporary:
            temporary.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(GanDenoiseError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["evidence", "a, b", 'c"d']), st.floats(allow_nan=False, allow_infinity=False)),
        max_size=8,
    ),
    st.integers(0, 9),
)
def test_history_comes_back_to_the_last_bit(tmp_path_factory, rows, last):
    path = tmp_path_factory.mktemp("history") / "history.csv"
    history = History(path)
    for step, values in enumerate(rows, 1):
        history.add(step, values)
    history.save()
    again = History(path)
    again.load(last)
    assert again.rows == history.rows[:last]


def test_a_history_that_is_none_is_named(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,evidence\none,two\n")
    with pytest.raises(GanDenoiseError, match="no history of a run"):
        History(path).load(5)
