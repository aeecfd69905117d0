"""The model file: what is written comes back, and a file that is not sound is refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model, load_model_file, save_model
from napari_gandenoise.models.file import HEADER
from napari_gandenoise.models.networks import Discriminator


@pytest.fixture
def model_file(tiny_model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(path, tiny_model)
    return path


@pytest.fixture
def rewrite(model_file, tiny_model):
    """Change the tensors or the header of the model file."""

    def change(tensors=lambda tensors: tensors, **header):
        described = {**tiny_model.header.model_dump(mode="json"), **header}
        save_file(tensors(load_file(model_file)), model_file, metadata={HEADER: json.dumps(described)})
        return model_file

    return change


def refused(path: Path, match: str) -> None:
    with pytest.raises(GanDenoiseError, match=match) as caught:
        load_model_file(path)
    sentence = str(caught.value)
    assert path.name in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_a_model_comes_back_from_its_file(tiny_model, model_file):
    loaded = load_model_file(model_file)
    latents = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    assert loaded.header == tiny_model.header
    # Weights are stored in half precision.
    assert torch.allclose(loaded.generator(latents), tiny_model.generator(latents), atol=2e-3)
    assert loaded.sha256 == hashlib.sha256(model_file.read_bytes()).hexdigest()
    assert loaded.encoder is not None
    for given, own in zip(
        loaded.encoder(torch.ones(1, 1, 16, 16)), tiny_model.encoder(torch.ones(1, 1, 16, 16)), strict=True
    ):
        assert torch.allclose(given, own, atol=2e-2)
    assert not any(p.requires_grad for p in loaded.generator.parameters())
    assert not loaded.generator.training


def test_a_model_without_an_encoder_comes_back_without_one(tiny_model, tmp_path):
    bare = replace(tiny_model, encoder=None, header=tiny_model.header.model_copy(update={"encoder": False}))
    save_model(tmp_path / "bare.safetensors", bare)
    assert load_model_file(tmp_path / "bare.safetensors").encoder is None


@pytest.mark.parametrize("recipe", ["bce", "stable"])
def test_a_discriminator_comes_back_as_it_was_trained(tiny_model, tmp_path, recipe):
    header = tiny_model.header.model_copy(update={"discriminator": True, "training": {"recipe": recipe}})
    judge = Discriminator(header.architecture, norm=recipe == "bce").eval()
    save_model(tmp_path / "judge.safetensors", replace(tiny_model, header=header, discriminator=judge))
    loaded = load_model_file(tmp_path / "judge.safetensors").discriminator
    images = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert loaded is not None
    assert not loaded.training
    assert torch.allclose(loaded(images), judge(images), atol=2e-2)
    assert any("running_mean" in key for key in loaded.state_dict()) == (recipe == "bce")


def test_a_header_of_before_there_were_discriminators_still_loads(tiny_model, model_file):
    described = tiny_model.header.model_dump(mode="json")
    del described["discriminator"]
    save_file(load_file(model_file), model_file, metadata={HEADER: json.dumps(described)})
    assert load_model_file(model_file).discriminator is None


def test_a_discriminator_that_is_promised_but_missing(rewrite):
    refused(rewrite(discriminator=True), "does not hold the networks")


def test_saving_leaves_no_other_file_behind(model_file):
    assert list(model_file.parent.iterdir()) == [model_file]


def test_a_missing_file(tmp_path):
    refused(tmp_path / "nowhere.safetensors", "There is no model file")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file(model_file, share):
    whole = model_file.read_bytes()
    model_file.write_bytes(whole[: int(share * len(whole))])
    refused(model_file, "may be truncated")


def test_a_header_that_promises_more_bytes_than_there_are(model_file):
    model_file.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    refused(model_file, "cannot be read as a model")


def test_a_safetensors_file_of_somebody_else(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    refused(path, "not a napari-gandenoise model")


@pytest.mark.parametrize(
    ("field", "value"),
    [("format", 99), ("pixel_size_nm", -1.0), ("pixel_size_nm", "wide"), ("prior", "lognormal"), ("surprise", 1),
     ("architecture", {"size": 48}), ("architecture", {"kind": "resnet"}), ("architecture", {"kind": []})],
)  # fmt: skip
def test_a_header_that_is_not_understood(rewrite, field, value):
    refused(rewrite(**{field: value}), f"header that this version cannot use: {field}")


@pytest.mark.parametrize("name", ["../tiny", "/tmp/tiny", "..", "a\nb", "\x1b[2J"])
def test_a_name_in_a_header_is_no_path_and_moves_no_cursor(rewrite, name):
    # Folders are given, and the file that is written there is called after the model.
    refused(rewrite(name=name), "name: .*a name")


def test_a_header_that_is_not_json(model_file):
    save_file(load_file(model_file), model_file, metadata={HEADER: "{"})
    refused(model_file, "header that this version cannot use")


def test_tensors_of_other_shapes(rewrite):
    def widen(tensors):
        name = next(key for key in tensors if key.startswith("generator/layers.0"))
        return {**tensors, name: torch.zeros(7, 7)}

    refused(rewrite(widen), r"does not hold the networks that its header describes \(generator/layers\.0")


def test_tensors_that_are_missing_or_too_many(rewrite):
    refused(rewrite(lambda tensors: dict(list(tensors.items())[1:])), "does not hold the networks")
    refused(rewrite(lambda tensors: {**tensors, "extra": torch.zeros(1)}), "does not hold the networks")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers(rewrite, bad):
    def spoil(tensors):
        name = next(key for key, value in tensors.items() if value.is_floating_point())
        tensors[name].view(-1)[0] = bad
        return tensors

    refused(rewrite(spoil), "NaN or infinite weights")


@pytest.mark.slow
def test_a_header_of_giant_networks_is_refused_before_memory_is_taken(rewrite):
    """12 GB of weights: in a process that may only have 4 GB."""
    path = rewrite(architecture={"size": 256, "width": 256, "latent": 1024})
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (4 * 2**30,) * 2)\n"
        "from napari_gandenoise.models import load_model_file; from pathlib import Path\n"
        "load_model_file(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert "GanDenoiseError: tiny.safetensors does not hold the networks" in done.stderr


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize(
    "write", [pickle.dump, lambda bomb, file: torch.save(bomb, file)], ids=["pickle", "torch.save"]
)
def test_a_pickle_in_disguise_is_refused_and_never_run(tmp_path, write):
    path, touched = tmp_path / "model.safetensors", tmp_path / "touched"
    with path.open("wb") as file:
        write(Bomb(touched), file)
    refused(path, "cannot be read as a model")
    assert not touched.exists()
    # The bomb is live: only not reading it as a pickle saved us.
    if write is pickle.dump:
        pickle.loads(path.read_bytes())  # noqa: S301
        assert touched.exists()


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "folder.safetensors").mkdir()
    refused(tmp_path / "folder.safetensors", "is a folder, no file")


def test_a_pipe_in_place_of_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    refused(tmp_path / "pipe.safetensors", "is a pipe or a device")


def test_a_file_that_was_replaced_is_read_anew(tiny_model, model_file):
    first = load_model(model_file)
    assert load_model(model_file) is first
    changed = replace(tiny_model, header=tiny_model.header.model_copy(update={"name": "changed"}))
    save_model(model_file, changed)
    assert load_model(model_file).name == "changed"


def test_eight_bits_hold_weights_to_a_part_of_each_rows_largest(tiny_model, tmp_path):
    path = tmp_path / "small.safetensors"
    save_model(path, tiny_model, bits=8)
    whole, loaded = tiny_model.generator.state_dict(), load_model_file(path).generator.state_dict()
    for key, value in whole.items():
        if value.ndim > 1:
            rows = value.flatten(1)
            # Rounded to the nearest of 127 steps to either side.
            assert ((loaded[key].flatten(1) - rows).abs() <= rows.abs().amax(1, keepdim=True) / 127 * 0.501).all()
            assert not torch.equal(loaded[key], value)
        else:
            assert torch.equal(loaded[key], value)


def test_eight_bits_with_a_row_of_zeros(tiny_model, tmp_path):
    generator = deepcopy(tiny_model.generator)
    weight = next(p for p in generator.parameters() if p.ndim > 1)
    with torch.no_grad():
        weight[0] = 0
    save_model(tmp_path / "small.safetensors", replace(tiny_model, generator=generator), bits=8)
    loaded = next(p for p in load_model_file(tmp_path / "small.safetensors").generator.parameters() if p.ndim > 1)
    assert (loaded[0] == 0).all()


def test_weights_of_eight_bits_without_their_scale(rewrite, model_file, tiny_model):
    save_model(model_file, tiny_model, bits=8)
    without = {k: v for k, v in load_file(model_file).items() if k != "generator/layers.0.weight/scale"}
    refused(rewrite(lambda _: without, bits=8), r"does not hold the networks .*layers\.0\.weight/scale")
    refused(rewrite(bits=16), "does not hold the networks")


UNET = {"kind": "unet", "size": 16, "widths": [4, 4], "conditions": ["strength"]}


@pytest.mark.parametrize(
    "changed",
    [
        {"widths": [-4, 4]},
        {"widths": [4, 10**30]},
        {"widths": [2**40, 2**40]},
        {"windows": [200_000]},
        {"windows": [-4]},
        {"size": 10**9},
        {"depth": 10**9},
        {"estimator": -2, "conditions": ["estimated"]},
        {"kind": "autoencoder", "filters": [-1, 2, 3]},
        {"kind": "autoencoder", "filters": [2**40, 2**40, 2**40]},
        {"kind": "encoder-decoder", "width": 2**40},
    ],
)
def test_an_architecture_that_no_network_has(tmp_path, write_direct_model, changed):
    path = write_direct_model(tmp_path)
    described = load_model_file(path).header.model_dump(mode="json")
    architecture = {**(UNET if "kind" not in changed else {}), **changed}
    save_file(load_file(path), path, metadata={HEADER: json.dumps({**described, "architecture": architecture})})
    refused(path, "header that this version cannot use: architecture")


@pytest.mark.parametrize(
    "strength",
    ["[0.0, 1e999]", "[1e308, 1.0]", "[-1, 1]", "[NaN, 1.0]", "[0, " + "9" * 5000 + "]", '"' + "x" * 10**6 + '"'],
)
def test_numbers_of_a_header_that_are_none(tmp_path, write_direct_model, strength):
    path = write_direct_model(tmp_path)
    described = json.dumps(load_model_file(path).header.model_dump(mode="json", exclude={"strength"}))
    save_file(load_file(path), path, metadata={HEADER: described[:-1] + f', "strength": {strength}}}'})
    refused(path, "header that this version cannot use: ")


def test_a_header_with_a_million_letters_gives_a_short_sentence(rewrite):
    path = rewrite(**{"x" * 10**6: 1})
    with pytest.raises(GanDenoiseError) as caught:
        load_model_file(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F4", "I4", "U8", "BOOL", "C64", "Q7", "I16"])
def test_numbers_of_another_type(model_file, dtype):
    """Whether safetensors knows the type or not."""
    whole = model_file.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    key = next(name for name in header if name.endswith("weight"))
    header[key]["dtype"] = dtype
    changed = json.dumps(header).encode()
    model_file.write_bytes(len(changed).to_bytes(8, "little") + changed + whole[8 + length :])
    refused(model_file, "cannot be read as a model|as numbers of type")


def test_weights_that_become_infinite_when_they_are_unpacked(rewrite, model_file, tiny_model):
    save_model(model_file, tiny_model, bits=8)
    scales = [key for key in load_file(model_file) if key.endswith("/scale")]
    refused(rewrite(lambda tensors: {**tensors, scales[0]: tensors[scales[0]] * 0 + 3e38}, bits=8), "NaN or infinite")


def test_weights_that_are_too_large_for_single_precision(rewrite):
    def enlarge(tensors):
        name = next(key for key, value in tensors.items() if value.dtype == torch.float32)
        return {**tensors, name: tensors[name].double() + 1e300}

    refused(rewrite(enlarge), "NaN or infinite")


def test_weights_that_are_too_large_for_the_file_are_not_saved(tiny_model, tmp_path):
    generator = deepcopy(tiny_model.generator)
    with torch.no_grad():
        next(p for p in generator.parameters() if p.ndim > 1).fill_(1e6)
    with pytest.raises(FloatingPointError, match="too large for half precision"):
        save_model(tmp_path / "large.safetensors", replace(tiny_model, generator=generator))
    assert not list(tmp_path.iterdir())
