"""Malformed requests of the protocol, with the status and the error of their answers."""

from __future__ import annotations

RAW = "application/octet-stream"
DRIVE = "0123456789abcdef" * 2
JSON = b'"session": "a", "period": 1'
MALFORMED: dict[str, tuple[str, bytes, str | None, int, str]] = {
    "no JSON": ("/reset", b"{", None, 400, "malformed"),
    "no object": ("/reset", b"[]", None, 400, "malformed"),
    "no session": ("/reset", b'{"period": 1}', None, 400, "malformed"),
    "no period": ("/reset", b'{"session": "a"}', None, 400, "malformed"),
    "no time": ("/reset", b'{"session": "a", "period": 0}', None, 400, "malformed"),
    "a period of NaN": ("/reset", b'{"session": "a", "period": NaN}', None, 400, "malformed"),
    "an unknown key": ("/reset", b'{%s, "prompt": "go"}' % JSON, None, 400, "malformed"),
    "a name with a slash": (
        "/reset",
        b'{"session": "../a", "period": 1}',
        None,
        400,
        "malformed",
    ),
    "deep JSON": ("/reset", b"[" * 60_000, None, 400, "malformed"),
    "another prompt": ("/reset", b'{%s, "instruction": "go"}' % JSON, None, 422, "unusable"),
    "no prompt": ("/reset", b"{%s}" % JSON, None, 422, "unusable"),
    "no drive": ("/step?step=1", b"", "image/png", 400, "malformed"),
    "no step": ("/step?drive=DRIVE", b"", "image/png", 400, "malformed"),
    "no number": ("/step?drive=DRIVE&step=x", b"", "image/png", 400, "malformed"),
    "two numbers": ("/step?drive=DRIVE&step=1&step=2", b"", "image/png", 400, "malformed"),
    "a picture of tomorrow": (
        "/step?drive=DRIVE&step=1&age=-1",
        b"",
        "image/png",
        400,
        "malformed",
    ),
    "an age of NaN": ("/step?drive=DRIVE&step=1&age=nan", b"", "image/png", 400, "malformed"),
    "an unknown value": ("/step?drive=DRIVE&step=1&speed=2", b"", "image/png", 400, "malformed"),
    "no such drive": (f"/step?drive={DRIVE}&step=0", b"", "image/png", 404, "no_drive"),
    "a session for a drive": ("/step?drive=robot&step=1", b"", "image/png", 400, "malformed"),
    "a step back": ("/step?drive=DRIVE&step=0", b"x", "image/png", 409, "out_of_order"),
    "a step ahead": ("/step?drive=DRIVE&step=2", b"", "image/png", 409, "out_of_order"),
    "no picture": ("/step?drive=DRIVE&step=1", b"hello", "image/jpeg", 422, "unusable"),
    "an empty body": ("/step?drive=DRIVE&step=1", b"", "image/png", 422, "unusable"),
    "another type": ("/step?drive=DRIVE&step=1", b"x", "text/plain", 415, "unknown_type"),
    "a raw picture without its size": ("/step?drive=DRIVE&step=1", b"x", RAW, 400, "malformed"),
    "too few bytes": (
        "/step?drive=DRIVE&step=1&width=2&height=2&color=rgb",
        b"x",
        RAW,
        422,
        "unusable",
    ),
    "a huge size": (
        "/step?drive=DRIVE&step=1&width=99999999&height=99999999&color=rgb",
        b"x",
        RAW,
        422,
        "unusable",
    ),
    "another place": ("/drive", b"", None, 404, "no_such_request"),
    "another method": ("/health", b"", None, 405, "no_such_request"),
}
