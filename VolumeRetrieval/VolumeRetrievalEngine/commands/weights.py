"""`weights`: which pretrained encoders there are, and their weights on this computer.

With --json, `weights list` and `weights remove` print one JSON document. `weights install` prints lines of JSON, because it
can take long: the messages of worker/PROTOCOL.md. Standard output carries nothing else.

    {"type": "hello", "protocol": 1, "version": "0.1.0", "pid": 4711}
    {"type": "progress", "event": "progress", "stage": "download", "done": BYTES, "total": BYTES (0: unknown), "item": NAME,
     "rate": BYTES PER SECOND, "remaining": SECONDS or null, "eta_s": the same}
    {"type": "result", "event": "installed", "result": {"name", "state", "path", "size_bytes", ...}}
    {"type": "error", "event": "error", "error": {"type": CLASS, "text": TEXT}, "message": TEXT}

The last line is `result` or `error`, and the exit code is that of the command: 0, 1, or 130 when it was stopped, which is
an `error` of the type "Cancelled". It stops when its standard input is a pipe and is closed, and can be killed at any
moment: what has come so far stays, and the next `install` of the name goes on from there.

`weights list --json` prints {"folder", "free_bytes", "encoders": [{"name", "title", "state", "size_bytes", "path",
"problem", "verified", "license": {"name", "url", "commercial"}, "consented", "request_url", "dimension", "input_size",
"missing", "cautions", "citation"}, ...]}. `state` is "installed", "partial" (a download that was stopped), "damaged" (then
`problem` says what to do) or "absent"; `commercial` is true, false or null (not clear); `missing` are the packages that are not
installed here.
"""
