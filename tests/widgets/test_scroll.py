"""A panel that scrolls: never narrower than what it holds."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_gandenoise.widgets.layout.scroll import scrolled


def test_a_panel_widens_with_its_content(qtbot):
    panel, part = QWidget(), QWidget()
    qtbot.addWidget(panel)
    scrolled(panel, part)
    panel.show()
    qtbot.waitExposed(panel)
    narrow = panel.minimumSizeHint().width()
    part.setMinimumWidth(narrow + 200)
    qtbot.waitUntil(lambda: panel.minimumSizeHint().width() >= narrow + 200, timeout=2000)
