"""Children that misbehave, and what is left of them: nothing."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

import pytest
from children import Told, fakeCommand, launcherCommand, waitUntil
from VolumeRetrievalEngine.worker.messages import LineSplitter
from VolumeRetrievalLib.Processes import ProcessIDs
from VolumeRetrievalLib.Processes.EngineErrors import EngineError
from VolumeRetrievalLib.Processes.EngineProcess import EngineCommand, EngineProcess
from VolumeRetrievalLib.Processes.IndexingJob import IndexingJob
from VolumeRetrievalLib.Processes.SearchWorkerClient import SearchWorkerClient
from VolumeRetrievalLib.Values import Callbacks

ANSWER_ALL = """
hello()
for request in requests():
    say(type="result", id=request["id"], result=request["method"])
"""
CRASH = """
hello()
for request in requests():
    if request["method"] == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os.abort()
    say(type="result", id=request["id"], result=os.getpid())
"""
HANG = """
hello()
for request in requests():
    if request["method"] == "hang":
        while True:
            time.sleep(1)
    say(type="result", id=request["id"], result=os.getpid())
"""
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
hello()
while True:
    time.sleep(1)
"""


class Child:
    """A fake child and what it said."""

    def __init__(self, command):
        self.messages, self.ends = [], []
        self.process = EngineProcess(command, "test", self.messages.append, self.ends.append)
        self.process.start([])


@pytest.fixture
def start(tmp_path):
    """Starts a child that does this."""
    made = []

    def make(body, command=fakeCommand):
        made.append(Child(command(tmp_path / str(len(made)), body)))
        return made[-1]

    yield make
    for child in made:
        child.process.stop()


@pytest.fixture
def client(tmp_path):
    """Makes clients whose worker does this."""
    made = []

    def make(body, **values):
        made.append(SearchWorkerClient(lambda: fakeCommand(tmp_path, body), **values))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def ask(client, method, **params):
    told = Told()
    told.request = client.request(method, params, Callbacks(*told.arguments()))
    return told


def waitFor(told):
    waitUntil(lambda: told.isOver)
    return told


class TestMessages:
    def test_half_lines_are_put_together(self, start):
        child = start(
            """
            for piece in (b'{"ty', b'pe": "pro', b'gress", "done": 1}', b'\\n'):
                write(piece)
                time.sleep(0.05)
            """
        )
        waitUntil(lambda: child.ends)
        assert child.messages == [{"type": "progress", "done": 1}]

    def test_two_messages_in_one_chunk_are_two(self, start):
        child = start("""write(b'{"type": "a"}\\n{"type": "b"}\\n')""")
        waitUntil(lambda: child.ends)
        assert [one["type"] for one in child.messages] == ["a", "b"]

    def test_a_letter_that_is_cut_between_two_chunks_is_whole(self, start):
        child = start(
            """
            line = '{"type": "a", "item": "胸部 Schädel"}\\n'.encode()
            for byte in line:
                write(bytes([byte]))
                time.sleep(0.002)
            """
        )
        waitUntil(lambda: child.ends)
        assert child.messages == [{"type": "a", "item": "胸部 Schädel"}]

    def test_garbage_is_logged_without_its_content_and_passed_over(self, start, caplog):
        child = start("""write(b'\\xff\\xfe Jane^Doe\\n[1]\\n{"no": "type"}\\n'); say(type="a")""")
        waitUntil(lambda: child.ends)
        assert child.messages == [{"type": "a"}]
        assert caplog.text.count("is no message") == 3
        assert "Jane" not in caplog.text

    def test_a_line_that_is_too_long_ends_the_child_and_is_told(self, start, monkeypatch):
        monkeypatch.setattr(LineSplitter.__init__, "__defaults__", (1 << 20,))
        child = start("""
            write(b"x" * (3 << 20))
            say(type="a")
            time.sleep(60)
            """)
        waitUntil(lambda: child.ends)
        assert child.messages == [] and "longer than 1 MB" in child.ends[0]

    def test_the_last_half_line_of_a_child_that_died_is_no_message(self, start):
        child = start("""say(type="a"); write(b'{"type": "b"')""")
        waitUntil(lambda: child.ends)
        assert [one["type"] for one in child.messages] == ["a"]

    def test_what_it_says_on_standard_error_is_in_the_log_with_its_level(self, start, caplog):
        caplog.set_level(logging.INFO)
        child = start(
            """
            print("WARNING engine: Größe\\nERROR engine: bad\\nplain", end="", file=sys.stderr)
            """
        )
        waitUntil(lambda: child.ends)
        said = {one.levelname: one.getMessage() for one in caplog.records if "VolumeRetrieval, test" in one.message}
        assert "Größe" in said["WARNING"] and "bad" in said["ERROR"] and "plain" in said["INFO"]

    def test_the_exit_code_and_a_crash_are_told(self, start):
        good, bad, crashed = start("pass"), start("sys.exit(3)"), start("os.abort()")
        waitUntil(lambda: good.ends and bad.ends and crashed.ends)
        assert (good.ends, bad.ends) == ([""], ["exit code 3"])
        assert "crash" in crashed.ends[0]

    def test_a_program_that_is_not_there_is_told(self, tmp_path):
        child = Child(EngineCommand(str(tmp_path / "no such program")))
        waitUntil(lambda: child.ends)
        assert child.ends[0]

    def test_it_finds_the_engine_whatever_the_environment_says(self, start, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
        child = start("""say(type="a", path=os.environ["PYTHONPATH"])""")
        waitUntil(lambda: child.ends)
        assert child.messages[0]["path"].endswith("/somewhere/else")


class TestEnd:
    def test_closing_the_input_ends_it(self, start):
        child = start(ANSWER_ALL)
        waitUntil(lambda: len(child.process.pids) > 0)
        child.process.closeInput()
        waitUntil(lambda: child.ends)
        assert child.ends == [""]

    @pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
    def test_a_deaf_child_is_killed(self, start):
        child = start(DEAF)
        waitUntil(lambda: child.process._enginePID)
        pids = child.process.pids
        child.process.stop()
        assert not any(ProcessIDs.isRunning(pid) for pid in pids)

    @pytest.mark.skipif(sys.platform == "win32", reason="the launcher is a script")
    @pytest.mark.parametrize("body", [ANSWER_ALL, DEAF])
    def test_behind_a_launcher_both_processes_are_gone(self, start, body):
        child = start(body, launcherCommand)
        waitUntil(lambda: child.process._enginePID)
        pids = child.process.pids
        assert len(pids) == 2
        child.process.stop()
        waitUntil(lambda: not any(ProcessIDs.isRunning(pid) for pid in pids))

    @pytest.mark.skipif(sys.platform == "win32", reason="the launcher is a script")
    def test_what_a_killed_launcher_leaves_behind_is_killed(self, start):
        child = start(DEAF, launcherCommand)
        waitUntil(lambda: child.process._enginePID)
        engine = child.process._enginePID
        ProcessIDs.kill(child.process._process.pid)
        waitUntil(lambda: child.ends)
        assert ProcessIDs.isRunning(engine)
        child.process.stop()
        waitUntil(lambda: not ProcessIDs.isRunning(engine))


class TestSearchWorkerClient:
    def test_each_answer_goes_to_its_own_request(self, client):
        worker = client("""
            hello()
            waiting = []
            for request in requests():
                waiting.append(request)
                if len(waiting) == 3:
                    for one in reversed(waiting):
                        say(type="progress", id=one["id"], stage="embed", done=1, total=2)
                        say(type="result", id=one["id"], result=one["method"])
            """)
        told = [ask(worker, name) for name in "abc"]
        for one in told:
            waitFor(one)
        assert [one.results for one in told] == [["a"], ["b"], ["c"]]
        assert [(one.steps[0].done, one.steps[0].total) for one in told] == [(1, 2)] * 3

    def test_the_worker_stays_between_requests(self, client):
        worker = client(CRASH)
        assert waitFor(ask(worker, "a")).results == waitFor(ask(worker, "b")).results

    def test_nothing_is_started_before_the_first_request(self, client):
        assert not client(ANSWER_ALL).isRunning

    def test_an_error_comes_with_type_and_text(self, client):
        worker = client("""
            hello()
            for request in requests():
                say(type="error", id=request["id"], error={"type": "EmptyRegionError", "text": "no slice"})
            """)
        told = waitFor(ask(worker, "search"))
        assert (told.errors[0].type, str(told.errors[0])) == ("EmptyRegionError", "no slice")

    def test_an_error_without_a_request_is_told_to_whoever_waits(self, client):
        worker = client("""
            hello()
            next(requests())
            say(type="error", error={"type": "MessageTooLongError", "text": "too long"})
            """)
        waiting = [ask(worker, "a"), ask(worker, "b")]
        assert [str(waitFor(one).errors[0]) for one in waiting] == ["too long", "too long"]

    def test_a_crash_is_reported_and_the_next_request_starts_it_again(self, client, caplog):
        caplog.set_level(logging.INFO)
        worker = client(CRASH)
        first = waitFor(ask(worker, "a")).results[0]
        crashed, waiting = ask(worker, "crash"), ask(worker, "b")
        waitFor(waiting)
        again = waitFor(ask(worker, "c")).results[0]
        assert crashed.errors[0].type == waiting.errors[0].type == EngineError.ENDED
        assert again != first
        assert "about to crash" in caplog.text and "ended unexpectedly" in caplog.text

    def test_a_request_that_hangs_can_be_cancelled_and_the_next_one_works(self, client):
        worker = client(HANG, cancelMilliseconds=50)
        waitFor(ask(worker, "a"))
        hanging = ask(worker, "hang")
        hanging.request.cancel()
        waitFor(hanging)
        assert (hanging.cancellations, hanging.errors) == (1, [])
        assert waitFor(ask(worker, "b")).results

    def test_a_result_that_crosses_a_cancellation_is_not_told(self, client):
        worker = client(ANSWER_ALL)
        told = ask(worker, "a")
        told.request.cancel()
        waitFor(told)
        assert (told.results, told.cancellations) == ([], 1)

    def test_a_worker_that_cannot_be_started_is_an_error(self, tmp_path):
        client = SearchWorkerClient(lambda: EngineCommand(str(tmp_path / "none")))
        assert waitFor(ask(client, "a")).errors[0].type == EngineError.ENDED

    def test_a_worker_that_fails_while_it_is_started_is_one_error(self):
        # CreateProcess on Windows: errorOccurred comes before start() returns (qprocess_win.cpp).
        class NeverStarts:
            pid = 0

            def start(self, program, arguments, environment, listener):
                listener.ended("no such file")

            def kill(self):
                pass

        told = ask(SearchWorkerClient(lambda: EngineCommand("none"), NeverStarts), "a")
        assert [one.type for one in told.errors] == [EngineError.ENDED]

    def test_without_python_slicer_the_error_says_so(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        assert "PythonSlicer" in str(waitFor(ask(SearchWorkerClient(), "a")).errors[0])

    def test_stopping_cancels_what_was_asked_and_leaves_no_process(self, client):
        worker = client(HANG)
        waitFor(ask(worker, "a"))
        told = ask(worker, "hang")
        pids = worker.pids
        worker.stop()
        assert told.cancellations == 1
        assert pids and not any(ProcessIDs.isRunning(pid) for pid in pids)

    def test_other_arguments_mean_another_worker(self, client):
        worker = client("""
            hello()
            for request in requests():
                say(type="result", id=request["id"], result=sys.argv[1:])
            """)
        worker.configure(["--store", "a"])
        first = waitFor(ask(worker, "x")).results[0]
        worker.configure(["--store", "a"])
        same = worker.pids
        worker.configure(["--store", "b"])
        second = waitFor(ask(worker, "x")).results[0]
        assert (first, second) == (["serve", "--store", "a"], ["serve", "--store", "b"])
        assert set(same).isdisjoint(worker._worker.pids)

    def test_another_folder_of_weights_means_another_worker(self, tmp_path):
        folders = ["/old"]
        body = """
            hello()
            for request in requests():
                say(type="result", id=request["id"], result=os.environ["VOLUME_RETRIEVAL_WEIGHTS"])
            """
        worker = SearchWorkerClient(lambda: replace(fakeCommand(tmp_path, body), weightsFolder=folders[-1]))
        try:
            worker.configure([])
            first = waitFor(ask(worker, "x")).results[0]
            folders.append("/new")
            worker.configure([])
            assert (first, waitFor(ask(worker, "x")).results[0]) == ("/old", "/new")
        finally:
            worker.stop()


class TestIndexingJob:
    def run(self, tmp_path, body, **values):
        told = Told()
        job = IndexingJob(fakeCommand(tmp_path, body), Callbacks(*told.arguments()), **values)
        job.start(["somewhere"])
        return job, told

    def test_progress_and_result_are_told(self, tmp_path):
        job, told = self.run(
            tmp_path,
            """
            hello()
            say(type="progress", stage="index", done=1, total=4, item="/data/a", rate=2.0, remaining=1.5)
            say(type="result", result={"added": 4, "arguments": sys.argv[1:]})
            """,
        )
        waitFor(told)
        assert told.results[0]["arguments"] == ["index", "--json-progress", "somewhere"]
        assert (told.steps[0].item, told.steps[0].remaining) == ("/data/a", 1.5)
        assert not job.isRunning

    def test_an_error_comes_with_type_and_text(self, tmp_path):
        _job, told = self.run(
            tmp_path, """say(type="error", error={"type": "StoreError", "text": "busy"}); sys.exit(1)"""
        )
        assert (waitFor(told).errors[0].type, str(told.errors[0])) == ("StoreError", "busy")

    def test_a_crash_says_that_what_was_finished_is_kept(self, tmp_path):
        _job, told = self.run(tmp_path, "hello(); os.abort()")
        assert waitFor(told).errors[0].type == EngineError.ENDED
        assert "kept" in str(told.errors[0])

    def test_an_end_without_a_result_is_a_failure(self, tmp_path):
        _job, told = self.run(tmp_path, "hello()")
        assert waitFor(told).errors

    def test_cancelling_waits_for_the_volume_that_is_being_read(self, tmp_path):
        job, told = self.run(
            tmp_path,
            """
            hello()
            say(type="progress", stage="index", done=1, total=4)
            sys.stdin.buffer.read()
            say(type="result", result={"cancelled": True})
            sys.exit(130)
            """,
        )
        waitUntil(lambda: told.steps)
        job.cancel()
        assert waitFor(told).cancellations == 1
        assert (told.results, told.errors) == ([], [])

    def test_a_job_that_hangs_is_killed_after_a_while(self, tmp_path):
        job, told = self.run(tmp_path, DEAF, cancelMilliseconds=50)
        waitUntil(lambda: job._process._enginePID)
        pids = job.pids
        job.cancel()
        assert waitFor(told).cancellations == 1
        assert not any(ProcessIDs.isRunning(pid) for pid in pids)

    def test_stopping_leaves_no_process_and_is_told_once(self, tmp_path):
        job, told = self.run(tmp_path, DEAF)
        waitUntil(lambda: job._process._enginePID)
        pids = job.pids
        job.stop()
        assert told.cancellations == 1
        assert not any(ProcessIDs.isRunning(pid) for pid in pids)
