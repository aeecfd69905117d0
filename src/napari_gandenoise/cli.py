"""The command line: a thin door to the same jobs and configurations as Python and the widgets.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from napari_gandenoise.errors import GanDenoiseError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from napari_gandenoise.noise import AnyNoise
    from napari_gandenoise.progress import Progress, Steps
    from napari_gandenoise.simulate import SimulationConfig

__all__ = ["app", "drain_with_bar", "main"]

Config = TypeVar("Config", bound="BaseModel")
Result = TypeVar("Result")

app = typer.Typer(
    name="napari-gandenoise",
    help="Denoise electron micrographs in the latent space of a GAN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The models that can be named with --model.", no_args_is_help=True)
app.add_typer(models_app, name="models")


def main() -> None:
    """Run the command line; what the user can put right is one sentence on stderr and exit code 1."""
    try:
        app()
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}." if error.filename and error.strerror else str(error))
    except (GanDenoiseError, FloatingPointError) as error:
        _fail(str(error))


@app.command()
def denoise(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Image or movie: TIFF, OME-TIFF, PNG, JPEG.")],
    output: Annotated[Path, typer.Argument(help="Denoised float32 TIFF, in the input's units.")],
    model: Annotated[str | None, typer.Option(help="Name of a model, or path of a model file.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Pixel size in nm, if the file has none.")] = None,
    gain: Annotated[float | None, typer.Option(help="Input units per electron.")] = None,
    offset: Annotated[float | None, typer.Option(help="Input units without any electron.")] = None,
    read_noise: Annotated[float | None, typer.Option(help="Read noise, standard deviation in input units.")] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Gaussian noise instead: standard deviation in input units.")
    ] = None,
    white: Annotated[float | None, typer.Option(help="Value of white, for models of photographs.")] = None,
    preset: Annotated[str | None, typer.Option(help="fast, balanced, thorough or paper.")] = None,
    objective: Annotated[str | None, typer.Option(help="likelihood, or squared: no noise level needed.")] = None,
    clipping: Annotated[
        str | None, typer.Option(help="Latents beyond a uniform prior's bounds: projected, stochastic or none.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same result.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    sharpness: Annotated[
        bool | None, typer.Option("--sharpness/--no-sharpness", help="Add the model's sharpness attribute.")
    ] = None,
    residual_step: Annotated[
        bool | None, typer.Option("--residual-step/--no-residual-step", help="Add back what the counts prove.")
    ] = None,
    fit_map: Annotated[Path | None, typer.Option(help="Also write the fit map to this TIFF.")] = None,
    uncertainty: Annotated[Path | None, typer.Option(help="Also write the standard error to this TIFF.")] = None,
    replicates: Annotated[
        int | None, typer.Option(help="Repetitions that the uncertainty is estimated from: 8 with --uncertainty.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")] = None,
) -> None:
    """Denoise a low-dose micrograph or movie.

    Without --gain, --offset and --read-noise (a camera) or --sigma the noise is calibrated from the image; once one
    number of a camera is given, the others are 1, 0 and 0.
    """
    _check_outputs(source, [path for path in (output, fit_map, uncertainty) if path is not None], overwrite)

    from napari_gandenoise.denoising import REPLICATES, DenoiseConfig, denoise_steps
    from napari_gandenoise.io import read_micrograph, write_tiff

    settings = _config(
        DenoiseConfig,
        config,
        model=model,
        pixel_size_nm=pixel_size,
        noise=_noise(gain, offset, read_noise, sigma),
        white=white,
        preset=preset,
        objective=objective,
        clipping=clipping,
        seed=seed,
        device=device,
        sharpness=sharpness,
        residual_step=residual_step,
        replicates=replicates,
    )
    if uncertainty is not None and not settings.replicates:
        settings = settings.model_copy(update={"replicates": REPLICATES})
    result = drain_with_bar(denoise_steps(read_micrograph(source, lazy=True), settings))
    written = (
        (output, result.rate, result.axes),
        (fit_map, result.fit_map, None),
        (uncertainty, result.uncertainty, None),
    )
    for path, pixels, axes in written:
        if path is not None and pixels is not None:
            size = result.pixel_size_nm
            write_tiff(path, pixels, pixel_size_nm=size, axes=axes, provenance=result.report, overwrite=overwrite)
    for warning in result.report["warnings"]:
        typer.echo(f"napari-gandenoise: {warning}", err=True)
    typer.echo(f"{output}: {result.summary()}")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Image: TIFF, OME-TIFF, PNG, JPEG.")],
    output: Annotated[Path, typer.Argument(help="Restored float32 TIFF, in the input's units.")],
    task: Annotated[str | None, typer.Option(help="inpaint, colorize, super-resolve, denoise or dequantize.")] = None,
    mask: Annotated[
        Path | None, typer.Option(help="inpaint: image of the input's size; what is not 0 is missing.")
    ] = None,
    factor: Annotated[int | None, typer.Option(help="super-resolve: 2 or 4 times as many pixels a side.")] = None,
    levels: Annotated[int | None, typer.Option(help="dequantize: levels of each channel of the input.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model, or path of a model file.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Pixel size in nm, if the file has none.")] = None,
    white: Annotated[float | None, typer.Option(help="Value of white, for models of photographs.")] = None,
    norm: Annotated[float | None, typer.Option(help="Power of the data term, 1 to 2.")] = None,
    realism: Annotated[float | None, typer.Option(help="Weight of the discriminator's word.")] = None,
    prior: Annotated[float | None, typer.Option(help="Weight of the latents' negative log prior.")] = None,
    restarts: Annotated[int | None, typer.Option(help="Starts of each tile.")] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps of each tile.")] = None,
    poisson_blending: Annotated[
        bool | None,
        typer.Option("--poisson-blending/--no-poisson-blending", help="inpaint: continue what is around the hole."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same result.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    drawn: Annotated[Path | None, typer.Option(help="Also write what the generator drew to this TIFF.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")] = None,
) -> None:
    """Fill holes, add colours, pixels or grey levels, take noise away.

    Models of photographs do all of it, models of micrographs inpaint and denoise.
    """
    _check_outputs(source, [path for path in (output, drawn) if path is not None], overwrite)

    from napari_gandenoise.io import read_micrograph, write_tiff
    from napari_gandenoise.restoration import RestoreConfig, restore_steps

    settings = _config(
        RestoreConfig,
        config,
        task=task,
        factor=factor,
        levels=levels,
        model=model,
        pixel_size_nm=pixel_size,
        white=white,
        norm=norm,
        realism=realism,
        prior=prior,
        restarts=restarts,
        steps=steps,
        poisson_blending=poisson_blending,
        seed=seed,
        device=device,
    )
    result = drain_with_bar(restore_steps(read_micrograph(source, lazy=True), settings, mask=mask))
    for path, pixels in ((output, result.image), (drawn, result.drawn)):
        if path is not None:
            write_tiff(
                path,
                pixels,
                pixel_size_nm=result.pixel_size_nm,
                axes=result.axes,
                provenance=result.report,
                overwrite=overwrite,
            )
    for warning in result.report["warnings"]:
        typer.echo(f"napari-gandenoise: {warning}", err=True)
    typer.echo(f"{output}: {result.summary()}")


@app.command()
def simulate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[CONFIG] OUTPUT",
            help="YAML file, which may be left out, and what to write: a Zarr group for a set, a TIFF for one image.",
        ),
    ],
    structures: Annotated[int | None, typer.Option(help="Number of atomic structures.")] = None,
    images_per_structure: Annotated[int | None, typer.Option(help="Imaging conditions for each structure.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Pixel size in nm, 0.004 to 0.04.")] = None,
    shape: Annotated[int | None, typer.Option(help="Side of the square images in pixels.")] = None,
    seed: Annotated[int | None, typer.Option(help="Structure i depends on (seed, i) alone.")] = None,
    dose: Annotated[float | None, typer.Option(help="One image: electrons per pixel in vacuum; 4 by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="One image: replace existing files.")] = False,
) -> None:
    """Simulate clean HRTEM images of nanoparticles, to train on or to test with.

    Options override the YAML file.  An unfinished set of the same settings is continued.  An OUTPUT that ends in .tif
    gets one micrograph as electron counts, with its truth beside it in OUTPUT-truth.tif.
    """
    if len(paths) > 2:
        raise GanDenoiseError("Give at most a config and an output: napari-gandenoise simulate [CONFIG] OUTPUT.")
    *given, output = paths

    from napari_gandenoise.simulate import SimulationConfig, missing_extra, simulate_steps

    if missing := missing_extra():
        raise GanDenoiseError(missing)

    settings = _config(
        SimulationConfig,
        given[0] if given else None,
        structures=structures,
        images_per_structure=images_per_structure,
        pixel_size_nm=pixel_size,
        shape=shape,
        seed=seed,
    )
    if output.suffix.lower() in (".tif", ".tiff"):
        _simulate_one(settings, output, dose, overwrite)
        return
    if dose is not None or overwrite:
        raise GanDenoiseError("A set holds clean images and is continued, so --dose and --overwrite are for one .tif.")
    path = drain_with_bar(simulate_steps(settings, output))
    images = settings.structures * settings.images_per_structure
    typer.echo(
        f"{path}: {images} images of {settings.structures} structures, vacuum 1, {settings.pixel_size_nm} nm/pixel"
    )


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML file of a training run.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")
    ] = False,
    events: Annotated[
        bool,
        typer.Option("--events", help="For programs: events as JSON lines; reads pause, resume, stop from stdin."),
    ] = False,
) -> None:
    """Train a latent GAN.

    Ctrl-C writes a checkpoint and ends with exit code 130; --resume goes on from there.
    """
    from napari_gandenoise.training import TrainConfig, train_steps
    from napari_gandenoise.training.distributed import Ranks
    from napari_gandenoise.training.protocol import serve

    settings = _config(TrainConfig, config)
    with _stop_on_signals() as (stop, received):
        steps = train_steps(settings, resume, stop)
        if events:
            path = serve(steps, stop, settings.output, sys.stdin, sys.stdout)
        else:
            path = drain_with_bar(_with_notes(steps))
    finished = path == settings.output / f"{settings.name}.safetensors"
    if Ranks.from_environment().first:
        if finished:
            typer.echo(f"{path}: trained; use it with napari-gandenoise denoise --model {path}", err=events)
        else:
            typer.echo(f"{path}: stopped here; go on with napari-gandenoise train {config} --resume", err=True)
    if received and not finished:
        raise typer.Exit(128 + received[0])


@app.command()
def sharpness(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")],
    output: Annotated[
        Path | None, typer.Option(help="Model file to write; by default MODEL-sharp.safetensors.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Generated images; 400 by default.")] = None,
    levels: Annotated[
        str | None, typer.Option(help="Noise levels relative to the range from black to white, such as 0.1,0.5,1.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="As for denoise, and so are the next two.")] = None,
    objective: Annotated[str | None, typer.Option(help="likelihood or squared.")] = None,
    clipping: Annotated[str | None, typer.Option(help="projected, stochastic or none.")] = None,
    saturated: Annotated[
        bool | None, typer.Option("--saturated/--unlimited", help="Noise is cut off at black and white, as in 8 bits.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the images and their noise.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")] = None,
) -> None:
    """Measure a model's sharpness attribute: by how much latents recovered from noise miss the true ones.

    The model is written to a new file, for denoise --sharpness; recover there as it was measured here.
    """
    from napari_gandenoise.inversion.sharpness import SharpnessConfig, sharpness_steps
    from napari_gandenoise.models import load_model, new_model_file, save_model

    settings = _config(
        SharpnessConfig,
        config,
        images=images,
        levels=None if levels is None else levels.split(","),
        preset=preset,
        objective=objective,
        clipping=clipping,
        saturated=saturated,
        seed=seed,
    )
    given = load_model(model)
    path = new_model_file(
        output or Path(f"{model.removesuffix('.safetensors')}-sharp.safetensors"), overwrite=overwrite
    )
    measured = drain_with_bar(sharpness_steps(given, settings))
    save_model(path, measured)
    typer.echo(
        f"{path}: {given.name} with the sharpness attribute of {settings.images} images at {len(settings.levels)} "
        f"noise levels; use it with napari-gandenoise denoise --model {path} --sharpness"
    )


@models_app.command("list")
def list_() -> None:
    """List the models that come with the package, and your own."""
    from napari_gandenoise.models import list_models

    for card in list_models():
        typer.echo(f"{card.name}  {card.sampling}  {card.size_bytes / 1e6:.1f} MB  {card.description}".rstrip())


@models_app.command()
def show(name: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")]) -> None:
    """Show a model's card: domain, pixel size, figures, hash."""
    from dataclasses import asdict

    import yaml

    from napari_gandenoise.models import load_model, model_card

    card = asdict(model_card(load_model(name)))
    typer.echo(yaml.safe_dump(card, sort_keys=False, allow_unicode=True), nl=False)


@models_app.command()
def export(
    name: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")],
    path: Annotated[Path, typer.Argument(help="File to write, or a folder.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Copy a model file to where it can be handed on; it holds no code."""
    from napari_gandenoise.models import export_model

    typer.echo(f"{export_model(name, path, overwrite=overwrite)}: copy of the model {name}")


@models_app.command()
def verify(name: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")]) -> None:
    """Check a model: header, shapes, weights, and whether it draws; exit code 0 if it is sound."""
    from napari_gandenoise.models import load_model, verify_model

    model = load_model(name)
    verify_model(model)
    typer.echo(f"{name}: sound, SHA-256 {model.sha256}")


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"napari-gandenoise: {sentence}", err=True)
    sys.exit(1)


def drain_with_bar(steps: Steps[Result]) -> Result:
    """Drain a job with a progress bar a stage; however this ends, the job is closed."""
    from tqdm import tqdm

    from napari_gandenoise.progress import drain, relay

    stage = ""

    def show(event: Progress) -> Progress:
        nonlocal stage
        if event.stage != stage:
            stage = event.stage
            bar.reset()
            bar.set_description(stage)
        bar.total = event.total
        bar.update(event.done - bar.n)
        if event.values:
            bar.set_postfix({name: f"{value:.3g}" for name, value in event.values.items()})
        return event

    with tqdm(disable=None, leave=False) as bar, closing(relay(steps, show)) as shown:
        return drain(shown)


def _with_notes(steps: Steps[Result]) -> Steps[Result]:
    """Pass events on; what they have to say goes to stderr."""
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            if event.note:
                typer.echo(f"napari-gandenoise: {event.note}", err=True)
            yield event


@contextmanager
def _stop_on_signals() -> Iterator[tuple[Event, list[int]]]:
    """Yield an event that Ctrl-C or a request to terminate sets, and a list that then holds the signal.

    A signal that came at any moment would leave a training step half done; a second one does end the process at once.
    """
    stop, received = Event(), list[int]()

    def ask(number: int, _: object) -> None:
        stop.set()
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield stop, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _config(kind: type[Config], path: Path | None, **options: Any) -> Config:
    """Build a config from a YAML file and the options that were given."""
    from pydantic import ValidationError

    fields = {} if path is None else _read_yaml(path)
    fields |= {name: value for name, value in options.items() if value is not None}
    try:
        return kind(**fields)
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GanDenoiseError(f"{path} is not a YAML file: {' '.join(str(error).split())}.") from None
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise GanDenoiseError(f"{path} must hold a mapping of fields, like `preset: fast`.")
    return fields


def _noise(gain: float | None, offset: float | None, read_noise: float | None, sigma: float | None) -> AnyNoise | None:
    from pydantic import ValidationError

    from napari_gandenoise.noise import Gaussian, camera

    if gain is None and offset is None and read_noise is None:
        if sigma is None:
            return None
    elif sigma is not None:
        raise GanDenoiseError("Give either --sigma or the numbers of a camera (--gain, --offset, --read-noise).")
    try:
        if sigma is not None:
            return Gaussian(sigma=sigma)
        return camera(1.0 if gain is None else gain, offset or 0.0, read_noise or 0.0)
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def _simulate_one(settings: SimulationConfig, output: Path, dose: float | None, overwrite: bool) -> None:
    from napari_gandenoise.io import write_tiff
    from napari_gandenoise.simulate.micrograph import DOSE, simulate_micrograph_steps

    truth = output.with_name(f"{output.stem}-truth{output.suffix}")
    _check_outputs(None, [output, truth], overwrite)
    made = drain_with_bar(simulate_micrograph_steps(settings, DOSE if dose is None else dose))
    for path, image in ((output, made.counts), (truth, made.truth)):
        size = image.pixel_size_nm
        write_tiff(path, image.pixels, pixel_size_nm=size, provenance=made.report, overwrite=overwrite)
    typer.echo(f"{output}: {made.counts.name}, {made.report['dose']:g} electrons per pixel; the truth is in {truth}")


def _check_outputs(source: Path | None, outputs: list[Path], overwrite: bool) -> None:
    """Refuse before the work what could not be written after it."""
    for path in outputs:
        if path.suffix.lower() not in {".tif", ".tiff"}:
            raise GanDenoiseError(f"The output {path} must end in .tif or .tiff.")
        if source is not None and path.resolve() == source.resolve():
            raise GanDenoiseError(f"The output {path} is the input itself; choose another name.")
        if not path.parent.is_dir():
            raise GanDenoiseError(f"The folder {path.parent} does not exist; create it first.")
        if path.exists() and not overwrite:
            raise GanDenoiseError(f"{path} already exists; choose another name or add --overwrite.")
    if len(outputs) == 2 and outputs[0].resolve() == outputs[1].resolve():
        raise GanDenoiseError(f"Two results cannot both be {outputs[0]}: choose another name for one.")


if __name__ == "__main__":
    main()
