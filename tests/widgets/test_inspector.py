"""Questions in the background: only the latest answer counts."""

from __future__ import annotations

import threading

import pytest

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.widgets.running.inspector import Inspector


@pytest.fixture
def inspector(qtbot):
    inspector = Inspector(patience_ms=20)
    yield inspector
    qtbot.waitUntil(lambda: not inspector.busy)


def test_only_the_last_of_quick_questions_is_answered(qtbot, inspector):
    asked = []
    with qtbot.waitSignal(inspector.answered) as answered:
        for number in range(5):
            inspector.ask(lambda number=number: asked.append(number) or number)
    assert answered.args[0].value == 4
    assert asked == [4]


def test_an_answer_that_came_too_late_is_dropped(qtbot, inspector):
    begun, go_on, answers = threading.Event(), threading.Event(), []
    inspector.answered.connect(lambda answer: answers.append(answer.value))

    def slow():
        begun.set()
        go_on.wait(5)
        return "old"

    inspector.ask(slow)
    qtbot.waitUntil(begun.is_set)
    inspector.ask(lambda: "new")
    qtbot.wait(60)
    go_on.set()
    qtbot.waitUntil(lambda: not inspector.busy)
    assert answers == ["new"]


def test_forgotten_questions_have_no_answer(qtbot, inspector):
    answers = []
    inspector.answered.connect(answers.append)
    inspector.ask(lambda: 1)
    inspector.forget()
    qtbot.wait(60)
    assert answers == []


@pytest.mark.parametrize(
    ("error", "sentence"), [(GanDenoiseError("Too small."), "Too small."), (RuntimeError("x"), "RuntimeError")]
)
def test_errors_are_answers(qtbot, inspector, error, sentence):
    def question():
        raise error

    with qtbot.waitSignal(inspector.answered) as answered:
        inspector.ask(question)
    assert sentence in answered.args[0].refusal
    assert answered.args[0].value is None
