"""Jobs in the background: events, results, errors and Cancel."""

from __future__ import annotations

import threading
import time

import pytest
from qtpy.QtWidgets import QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.running.runner import Runner


@pytest.fixture
def runner(qtbot):
    runner = Runner()
    yield runner
    runner.cancel()
    qtbot.waitUntil(lambda: not runner.running)


def test_events_and_result_arrive_in_the_window_thread(qtbot, runner):
    threads, stages = [], []

    def job():
        threads.append(threading.current_thread())
        yield Progress("search", 1, 2)
        yield Progress("refine", 2, 2)
        return "result"

    runner.progressed.connect(lambda event: stages.append((event.stage, threading.current_thread())))
    with qtbot.waitSignal(runner.finished) as finished:
        runner.start(job())
    assert finished.args == ["result"]
    assert stages == [("search", threading.main_thread()), ("refine", threading.main_thread())]
    assert threads[0] is not threading.main_thread()
    assert not runner.running


def test_user_errors_come_as_their_sentence(qtbot, runner):
    def job():
        yield Progress("search", 1, 2)
        raise GanDenoiseError("The image is empty.")

    with qtbot.waitSignal(runner.failed) as failed:
        runner.start(job())
    assert failed.args == ["The image is empty."]
    assert not runner.running


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyError("lost")])
def test_bugs_end_the_job_too(qtbot, runner, error, caplog):
    def job():
        yield Progress("search", 1, 2)
        raise error

    with qtbot.waitSignal(runner.failed) as failed:
        runner.start(job())
    assert type(error).__name__ in failed.args[0]
    assert "Traceback" in caplog.text
    assert not runner.running


def test_cancel_closes_the_job_within_a_second(qtbot, runner):
    closed = threading.Event()

    def job():
        try:
            for step in range(10_000):
                time.sleep(0.01)
                yield Progress("refine", step, 10_000)
        finally:
            closed.set()

    with qtbot.waitSignal(runner.progressed):
        runner.start(job())
    with qtbot.waitSignal(runner.cancelled, timeout=1000):
        runner.cancel()
    assert closed.is_set()
    assert not runner.running


def test_cancel_during_the_last_step_is_a_cancel(qtbot, runner):
    at_end, go_on = threading.Event(), threading.Event()

    def job():
        yield Progress("refine", 1, 1)
        at_end.set()
        go_on.wait(5)
        return "result"

    runner.start(job())
    qtbot.waitUntil(at_end.is_set)
    with qtbot.waitSignal(runner.cancelled):
        runner.cancel()
        go_on.set()


def test_one_job_at_a_time(runner):
    def job():
        while True:
            time.sleep(0.01)
            yield Progress("refine", 0, 1)

    runner.start(job())
    with pytest.raises(RuntimeError, match="running already"):
        runner.start(job())


def test_a_finished_job_makes_room_at_once(qtbot, runner):
    results = []

    def job(value):
        yield Progress("refine", 1, 1)
        return value

    def again(result):
        results.append(result)
        if result == 1:
            runner.start(job(2))

    runner.finished.connect(again)
    runner.start(job(1))
    qtbot.waitUntil(lambda: results == [1, 2])


def test_closing_the_panel_cancels(qtbot):
    dock, panel = QWidget(), QWidget()
    qtbot.addWidget(dock)
    qtbot.addWidget(panel)
    runner = Runner(panel)
    panel.setParent(dock)
    closed = threading.Event()

    def job():
        try:
            for number in range(100_000):
                yield Progress("search", number, 100_000)
                time.sleep(0.001)
        finally:
            closed.set()

    with qtbot.waitSignal(runner.progressed):
        runner.start(job())
    with qtbot.waitSignal(runner.cancelled, timeout=1000):
        panel.setParent(None)  # what napari does
    assert closed.is_set()
