"""A panel that scrolls: never narrower than what it holds."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QPushButton, QWidget

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


def test_the_tabulator_goes_from_top_to_bottom_however_the_parts_were_made(qtbot):
    last, first, inner = QPushButton("last"), QLineEdit("first"), QWidget()
    ticked, second = QCheckBox("third"), QCheckBox("second")
    rows = QFormLayout(inner)
    rows.addRow("", ticked)
    rows.insertRow(0, second)
    panel = QWidget()
    qtbot.addWidget(panel)
    scrolled(panel, first, inner, pinned=last)
    panel.show()
    qtbot.waitExposed(panel)
    first.setFocus()
    met = [panel.focusWidget()]
    while met[-1] is not last:
        qtbot.keyClick(met[-1], Qt.Key.Key_Tab)
        met.append(panel.focusWidget())
    assert met == [first, second, ticked, last]
