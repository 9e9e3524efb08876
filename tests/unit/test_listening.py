"""Where a policy is served: the port, and who may ask there."""

import socket

import pytest

from mobile_vla.serving.listening import ListeningError, open_listener, read_token


def test_beyond_this_machine_a_token_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("MOBILE_VLA_TOKEN", raising=False)
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        assert read_token(host, None) is None
    for host in ("0.0.0.0", "::", "192.168.1.7", "robot.local"):
        with pytest.raises(ListeningError, match="expected a token"):
            read_token(host, None)
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    assert read_token("0.0.0.0", file) == "0123456789abcdef"
    file.write_text("short")
    with pytest.raises(ListeningError, match="at least 16"):
        read_token("127.0.0.1", file)
    monkeypatch.setenv("MOBILE_VLA_TOKEN", "f" * 32)
    assert read_token("0.0.0.0", None) == "f" * 32


def test_a_taken_port_is_named():
    with open_listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListeningError, match=f"--port {port}: cannot be listened at"):
            open_listener("127.0.0.1", port)


def test_answers_do_not_wait_for_acknowledgements():
    with (
        open_listener("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
