"""``python -m napari_gandenoise.cli``."""

from napari_gandenoise.cli import main

main()
