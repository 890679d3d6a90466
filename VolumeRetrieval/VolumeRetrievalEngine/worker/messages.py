"""Messages between processes: one JSON object on each line (PROTOCOL.md)."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from .. import __version__
from ..progress import Step

PROTOCOL_VERSION = 1

#: A line longer than this is not waited for: a child that writes without end must not fill the memory.
MAXIMUM_LINE_BYTES = 256 << 20

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """One line. JSON escapes newlines; NaN is not JSON, and a defect that should be seen here."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass") + b"\n"


def decode(line: bytes) -> Message | None:
    """The message of a line; None for anything that is no JSON object."""
    try:
        message = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


class LineSplitter:
    """Whole lines out of chunks of bytes, however these are cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, without their newline."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAXIMUM_LINE_BYTES:
            self._rest = b""
        return [line for line in lines if line.strip()]

    @property
    def unfinished(self) -> bytes:
        """What came since the last newline."""
        return self._rest


class MessageWriter:
    """Writes messages whole, from any thread."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._lock = threading.Lock()

    @classmethod
    def on_standard_output(cls) -> MessageWriter:
        """Takes standard output for messages; whatever else prints there from now on goes to standard error."""
        stream = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(stream)

    def write(self, message: Message) -> None:
        """Send one message. BrokenPipeError if nobody listens any more."""
        with self._lock:
            self._stream.write(encode(message))
            self._stream.flush()

    def hello(self) -> None:
        """Say who speaks."""
        self.write({"type": "hello", "protocol": PROTOCOL_VERSION, "version": __version__, "pid": os.getpid()})

    def progress(self, step: Step, request: int | None = None) -> None:
        """Say where some work stands."""
        self.write({"type": "progress", **_identified(request), **asdict(step)})

    def result(self, value: Any, request: int | None = None) -> None:
        self.write({"type": "result", **_identified(request), "result": value})

    def error(self, error: BaseException, request: int | None = None) -> None:
        text = str(error) or type(error).__name__
        self.write({"type": "error", **_identified(request), "error": {"type": type(error).__name__, "text": text}})


def read_messages(stream: BinaryIO) -> Iterator[Message | None]:
    """The messages of a stream until it ends; None for each line that is no message."""
    splitter = LineSplitter()
    while chunk := _available(stream):
        for line in splitter.feed(chunk):
            yield decode(line)


def _available(stream: BinaryIO) -> bytes:
    """What is there, as soon as anything is; b"" at the end."""
    return stream.read1(1 << 16) if hasattr(stream, "read1") else stream.readline()


def _identified(request: int | None) -> Message:
    return {} if request is None else {"id": request}
