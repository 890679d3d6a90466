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
from ..errors import MessageTooLongError, VolumeRetrievalError
from ..progress import Progress

PROTOCOL_VERSION = 2

#: No message is longer, and no longer line is waited for: a child that writes without end must not fill the memory.
#: The longest in use, an answer with 500 matches of long series, has some 10 MB.
MAXIMUM_LINE_BYTES = 128 << 20

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

    def __init__(self, maximum_bytes: int = MAXIMUM_LINE_BYTES) -> None:
        self._maximum_bytes = maximum_bytes
        self._pieces: list[bytes] = []
        self._length = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, without their newline.

        Raises:
            MessageTooLongError: a line is longer than the maximum. What came of it is forgotten, and nothing after it
                can be relied on: end the conversation.
        """
        first, *others = chunk.split(b"\n")
        self._keep(first)
        lines = []
        for piece in others:
            lines.append(self.unfinished)
            self._pieces, self._length = [], 0
            self._keep(piece)
        return [line for line in lines if line.strip()]

    @property
    def unfinished(self) -> bytes:
        """What came since the last newline."""
        return b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > self._maximum_bytes:
            self._pieces, self._length = [], 0
            raise MessageTooLongError(too_long(self._maximum_bytes))
        self._pieces.append(piece)


def too_long(maximum_bytes: int) -> str:
    """The text of the error."""
    return f"a message between processes is longer than {maximum_bytes >> 20} MB"


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
        """Send one message.

        Raises:
            MessageTooLongError: it was not sent. BrokenPipeError: nobody listens any more.
        """
        line = encode(message)
        if len(line) > MAXIMUM_LINE_BYTES:
            raise MessageTooLongError(f"{too_long(MAXIMUM_LINE_BYTES)}: ask for fewer results")
        with self._lock:
            self._stream.write(line)
            self._stream.flush()

    def hello(self) -> None:
        """Say who speaks."""
        self.write({"type": "hello", "protocol": PROTOCOL_VERSION, "version": __version__, "pid": os.getpid()})

    def progress(self, step: Progress, request: int | None = None) -> None:
        """Say where some work stands."""
        self.write({"type": "progress", **_identified(request), **asdict(step)})

    def result(self, value: Any, request: int | None = None) -> None:
        self.write({"type": "result", **_identified(request), "result": value})

    def error(self, error: BaseException, request: int | None = None) -> None:
        values: Message = {"type": type(error).__name__, "text": str(error) or type(error).__name__}
        if isinstance(error, VolumeRetrievalError):
            values |= {"text": error.text, "hint": error.hint, "fields": error.fields}
        self.write({"type": "error", **_identified(request), "error": values})


def read_messages(stream: BinaryIO) -> Iterator[Message | None]:
    """The messages of a stream until it ends; None for each line that is no message.

    Raises:
        MessageTooLongError: a line is too long to be waited for.
    """
    splitter = LineSplitter()
    while chunk := _available(stream):
        for line in splitter.feed(chunk):
            yield decode(line)


def _available(stream: BinaryIO) -> bytes:
    """What is there, as soon as anything is; b"" at the end."""
    return stream.read1(1 << 16) if hasattr(stream, "read1") else stream.readline()


def _identified(request: int | None) -> Message:
    return {} if request is None else {"id": request}
