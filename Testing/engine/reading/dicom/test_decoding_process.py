"""A decoder that dies, hangs or refuses costs the file that made it, and nothing else."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from engine.dicom_files import slice_data_set, stored_values, write
from VolumeRetrievalEngine.reading.dicom import decoding_process
from VolumeRetrievalEngine.reading.dicom.decoding_process import DecoderDiedError, DecodingProcess

#: Stands in for the process: a file's name says what it does with it. It starts at once, for it imports nothing.
FAKE = """
import json, os, sys, time
out = sys.stdout.buffer
out.write(b"ready\\n"); out.flush()
for line in sys.stdin.buffer:
    name = os.path.basename(json.loads(line))
    if name == "crash":
        os.kill(os.getpid(), 9)
    if name == "hang":
        time.sleep(600)
    if name == "half":
        out.write(json.dumps({"shape": [2, 3], "type": "<i2"}).encode() + b"\\n123"); out.flush(); os._exit(1)
    if name == "nonsense":
        out.write(b"what?\\n")
    elif name == "refuse":
        out.write(json.dumps({"error": "RuntimeError"}).encode() + b"\\n")
    else:
        out.write(json.dumps({"shape": [2, 3], "type": "<i2"}).encode() + b"\\n" + bytes(range(12)))
    out.flush()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_whatever_one_file_does_to_the_process_the_next_is_decoded():
    expected = np.arange(12, dtype=np.uint8).view("<i2").reshape(2, 3)
    process = DecodingProcess([sys.executable, "-c", FAKE])
    try:
        for name in ("crash", "half", "nonsense", "crash", "crash"):
            with pytest.raises(DecoderDiedError):
                process.pixels(Path(name))
            np.testing.assert_array_equal(process.pixels(Path("good")), expected)
        with pytest.raises(RuntimeError, match="RuntimeError"):
            process.pixels(Path("refuse"))
        np.testing.assert_array_equal(process.pixels(Path("good")), expected)
    finally:
        process.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_decoder_that_does_not_come_back_is_ended():
    process = DecodingProcess([sys.executable, "-c", FAKE])
    process.pixels(Path("good"))
    process._patience = 0.05
    try:
        with pytest.raises(DecoderDiedError):
            process.pixels(Path("hang"))
    finally:
        process.close()


@pytest.mark.parametrize("command", [["/there/is/no/such/python"], [sys.executable, "-c", "pass"], [""]])
def test_where_no_process_can_be_started_it_is_decoded_here(tmp_path: Path, command: list[str]):
    path = write(tmp_path / "x.dcm", slice_data_set(stored_values()[0]))
    pixels = DecodingProcess(command).pixels(path)
    np.testing.assert_array_equal(pixels.reshape(pixels.shape[-2:]), stored_values()[0])


def test_the_real_process_gives_what_is_decoded_here(tmp_path: Path):
    path = write(tmp_path / "x.dcm", slice_data_set(stored_values()[0]))
    process = DecodingProcess()
    try:
        np.testing.assert_array_equal(process.pixels(path), decoding_process.decoded(path))
        if sys.platform != "win32":  # which tells processes without a console nothing
            started = process._process
            for number in (signal.SIGINT, signal.SIGTERM):  # of Ctrl-C and shutdowns: the volume in work is finished
                started.send_signal(number)
                np.testing.assert_array_equal(process.pixels(path), decoding_process.decoded(path))
            assert process._process is started
        (tmp_path / "no.dcm").write_text("x")
        with pytest.raises(RuntimeError) as caught:
            process.pixels(tmp_path / "no.dcm")
        assert not isinstance(caught.value, DecoderDiedError)
        assert process._process is not None
    finally:
        process.close()
