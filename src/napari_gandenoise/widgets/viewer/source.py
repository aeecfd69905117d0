"""What of a layer is denoised: cut it out of the layer, and put results back where they came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_layer
from napari_gandenoise.micrograph import Micrograph, kept_axes
from napari_gandenoise.widgets.viewer.coordinates import carry_over

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = [
    "OWN",
    "LayerData",
    "RegionKind",
    "Source",
    "cut",
    "follow_view",
    "found_pixel_size",
    "is_before",
    "shown_frame",
    "whole",
]

OWN = "napari-gandenoise"  # in the metadata of layers that a result has brought
RegionKind = Literal["whole", "viewport", "rectangle"]
LayerData = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True)
class Source:
    """A part of a layer.

    Attributes
    ----------
    micrograph : Micrograph
        The pixels of that part.
    layer : napari.layers.Image
        Where it was cut from.
    box : tuple of slice
        Which part, ``(Y, X)`` or ``(T, Y, X)`` in pixels of the layer, whose other axes are of length 1.
    single_frame : bool
        Whether one frame was taken out of a movie, so that ``micrograph`` has an axis less than the layer.
    """

    micrograph: Micrograph
    layer: Image
    box: tuple[slice, ...]
    single_frame: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing was cut off."""
        shape = _pixels(self.layer).shape
        return not self.single_frame and self.box == _full_box([shape[axis] for axis in _axes(self.layer)])

    def place(self, layer_data: LayerData, finer: int = 1) -> LayerData:
        """Give layer data made from this part the position, units and orientation of the layer.

        Parameters
        ----------
        layer_data : tuple
            Data, keyword arguments and type of a layer, as `DenoiseResult.to_layers` returns them.
        finer : int
            Pixels of the data along the side of one of the layer's.

        Returns
        -------
        tuple
            The same with the layer's scale, units, rotation and shear, shifted to where the part lies.
        """
        data, options, kind = layer_data
        if isinstance(data, list):  # shapes, each with its corners
            data = [self._in_layer(corners) for corners in data]
        elif self.single_frame:
            data = data[np.newaxis]
        if kind == "image":
            for axis in sorted(set(range(self.layer.ndim)) - set(_axes(self.layer))):
                data = np.expand_dims(data, axis)
        return data, {**options, **self.placement(finer)}, kind

    def place_several(self, layer_data: LayerData, finer: int = 1) -> LayerData:
        """Place images of this part, one after the other along a first axis that the layer does not have."""
        data, options, kind = layer_data
        first, placed, _ = self.place((data[0], options, kind), finer)
        own = {name: placed.pop(name) for name in ("scale", "translate", "rotate", "shear")}
        both = placed["affine"].compose(Affine(**own)) if isinstance(placed["affine"], Affine) else Affine(**own)
        placed |= {
            "affine": both.expand_dims([0]),
            "units": ("pixel", *placed["units"]),
            "axis_labels": ("sample", *placed["axis_labels"]),
        }
        return np.reshape(data, (len(data), *first.shape)), placed, kind

    def _in_layer(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give points ``(N, axes of the part)`` as many coordinates as the layer has axes."""
        axes = _axes(self.layer)
        found = np.zeros((len(points), self.layer.ndim))
        found[:, axes[len(axes) - points.shape[1] :]] = points
        return found

    def placement(self, finer: float = 1) -> dict[str, Any]:
        """Return the transform of a layer that shows this part: keyword arguments of napari layers.

        Parameters
        ----------
        finer : float
            Pixels of that layer along the side of one of this one's, less than 1 for a coarser one; their outer edges
            coincide.
        """
        layer = self.layer
        placed = {"scale": np.array(layer.scale), "rotate": layer.rotate, "shear": layer.shear}
        axes, corner = _axes(layer), np.zeros(layer.ndim)
        corner[axes] = [part.start for part in self.box]
        # The first of several pixels within one has its centre half of one, less half of its own, before that one's.
        corner[axes[-2:]] += (1 / finer - 1) / 2
        translate = Affine(translate=layer.translate, **placed)(corner)
        placed["scale"][axes[-2:]] /= finer
        return {
            **placed,
            "translate": translate,
            "affine": layer.affine,
            "units": layer.units,
            "axis_labels": layer.axis_labels,
        }


def found_pixel_size(layer: Image) -> tuple[float | None, str]:
    """Say which pixel size a layer has, in nm, and where that is known from or why it is not known."""
    try:
        size = read_layer(layer).pixel_size_nm
    except GanDenoiseError as error:
        return None, str(error)
    if size is None:
        return None, "Neither the layer nor its file has a unit of length: type it if you know it."
    return size, "from the layer" if Micrograph.of(layer).pixel_size_nm is not None else "from the file"


def is_before(layer: Layer) -> bool:
    """Whether a layer only shows an image that another layer holds, beside what has become of it."""
    return bool(layer.metadata.get(OWN, {}).get("before"))


def whole(layer: Image) -> Source:
    """Take the whole layer.

    Raises
    ------
    GanDenoiseError
        If the layer holds something else than an image or a movie.
    """
    micrograph = read_layer(layer)
    sides = micrograph.pixels.shape[:2] if micrograph.rgb else micrograph.pixels.shape
    return Source(micrograph, layer, _full_box(sides))


def cut(viewer: ViewerModel, layer: Image, region: RegionKind, *, current_frame: bool) -> Source:
    """Cut the chosen region out of a layer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layer, the rectangle and the current frame are.
    layer : napari.layers.Image
        An image or a movie.
    region : {"whole", "viewport", "rectangle"}
        What to cut out: everything, what the canvas shows, or the selected (else the last) rectangle
        of a Shapes layer.
    current_frame : bool
        Take only the frame that the viewer shows.

    Raises
    ------
    GanDenoiseError
        If there is no rectangle, or the region lies outside the image.
    """
    source = whole(layer)
    rows_columns = source.box[-2:]
    if region == "viewport":
        rows_columns = _clip(_seen(layer), source)
    elif region == "rectangle":
        rows_columns = _clip(_rectangle(viewer, layer), source)
    pixels = source.micrograph.pixels
    if not source.micrograph.is_stack:
        micrograph = replace(source.micrograph, pixels=pixels[rows_columns])
        return Source(micrograph, layer, rows_columns)
    if not current_frame:
        box = (source.box[0], *rows_columns)
        return Source(replace(source.micrograph, pixels=pixels[box]), layer, box)
    frame = _current_frame(viewer, layer, source.micrograph.frames)
    micrograph = replace(source.micrograph, pixels=pixels[frame][rows_columns])
    return Source(micrograph, layer, (slice(frame, frame + 1), *rows_columns), single_frame=True)


def shown_frame(viewer: ViewerModel, source: Source) -> int:
    """Return the number of the frame that the viewer shows; 0 of what is no movie."""
    micrograph = source.micrograph
    return _current_frame(viewer, source.layer, micrograph.frames) if micrograph.is_stack else 0


def follow_view(viewer: ViewerModel, moved: Callable[[Any], None]) -> None:
    """Call a method with the event when the canvas shows another part of the image or another frame."""
    viewer.scene.camera.events.connect(moved)
    viewer.dims.events.point.connect(moved)


def _pixels(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _axes(layer: Image) -> list[int]:
    """Return the axes of a layer that are those of its image or movie."""
    return [axis for axis in kept_axes(_pixels(layer).shape, rgb=bool(layer.rgb)) if axis < layer.ndim]


def _full_box(shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(0, int(side)) for side in shape)


def _clip(corners: np.ndarray[Any, Any], source: Source) -> tuple[slice, ...]:
    """Turn corner points ``(N, 2)``, counted in pixel edges, into slices inside the image."""
    sides = [part.stop for part in source.box[-2:]]
    low = np.clip(np.rint(corners.min(axis=0)).astype(int), 0, sides)
    high = np.clip(np.rint(corners.max(axis=0)).astype(int), 0, sides)
    if np.any(high <= low):
        raise GanDenoiseError("The region holds no pixel of the image; move it or choose the whole image.")
    return tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))


def _seen(layer: Image) -> np.ndarray[Any, Any]:
    plane = _axes(layer)[-2:]
    corners = np.asarray(layer.corner_pixels, float)[:, plane]
    if layer.multiscale:
        corners = corners * layer.downsample_factors[layer.data_level][plane]
    # napari gives the last visible pixel, a box ends after it.
    return np.asarray(corners + np.array([[0, 0], [1, 1]]))


def _rectangle(viewer: ViewerModel, layer: Image) -> np.ndarray[Any, Any]:
    shapes = _shapes_layer(viewer)
    if shapes is None:
        raise GanDenoiseError("There is no rectangle: draw one in a Shapes layer, or choose another region.")
    chosen = max(shapes.selected_data) if shapes.selected_data else len(shapes.data) - 1
    # napari puts the centre of the first pixel at 0, so its edge is at -0.5.
    return carry_over(shapes.data[chosen], shapes, layer)[:, _axes(layer)[-2:]] + 0.5


def _shapes_layer(viewer: ViewerModel) -> Any:
    """Find the Shapes layer that is meant: a selected one, else the topmost, if it holds any shape."""
    from napari.layers import Shapes

    def drawn(layers: Sequence[Layer]) -> list[Layer]:
        shapes = [layer for layer in layers if isinstance(layer, Shapes) and len(layer.data)]
        return [layer for layer in shapes if OWN not in layer.metadata]

    candidates = drawn(list(viewer.layers)) + drawn(list(viewer.layers.selection))
    return candidates[-1] if candidates else None


def _current_frame(viewer: ViewerModel, layer: Image, frames: int) -> int:
    position = layer.world_to_data(viewer.dims.point)[_axes(layer)[0]]
    return int(np.clip(np.rint(position), 0, frames - 1))
