"""A stub of ROS 2 under which the node of docs/robot.md runs, its code unchanged."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

from support.project import ROOT

STOP = (0.0, 0.0, 0.0)


class Twist:
    """A velocity; zero at first."""

    def __init__(self) -> None:
        self.linear = SimpleNamespace(x=0.0, y=0.0, z=0.0)
        self.angular = SimpleNamespace(x=0.0, y=0.0, z=0.0)


class Time:
    """A time in seconds, which the stamp of a header is as well."""

    def __init__(self, seconds: float):
        self.seconds, self.nanoseconds = seconds, int(seconds * 1e9)

    @classmethod
    def from_msg(cls, stamp: float) -> Time:
        """Return the time of a header's stamp."""
        return cls(stamp)

    def __sub__(self, other: Time) -> Time:
        return Time(self.seconds - other.seconds)


class Robot:
    """A robot whose camera and timer a test moves, and that keeps what it was told to do."""

    def __init__(self) -> None:
        self.published: list[tuple[float, float, float]] = []
        self.logged: list[str] = []
        self.see: Callable[[Any], None]
        self.tick: Callable[[], None]

    def picture(self, data: bytes = b"picture", age: float = 0.0) -> None:
        """Let the camera publish a picture that was taken ``age`` seconds ago."""
        stamp = time.monotonic() - age
        self.see(SimpleNamespace(data=data, header=SimpleNamespace(stamp=stamp)))

    def run(
        self,
        server: tuple[str, int],
        instruction: str,
        script: Callable[[Robot], None],
        **constants: Any,
    ) -> BaseException | None:
        """Run the page's code.

        Args:
            server: address of the policy's server.
            instruction: in place of the page's.
            script: what happens while the node spins.
            constants: values in place of the page's.

        Returns:
            What ended the node; None where it was the script's end.
        """
        text = (ROOT / "docs/robot.md").read_text(encoding="utf-8")
        (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
        definitions, begin, main = code.partition("signal.signal(")
        main, count = re.subn(r'Driver\(".*"\)', f"Driver({instruction!r})", begin + main)
        assert count == 1
        place: dict[str, Any] = {}
        with patch.dict(sys.modules, self._modules(script)), patch("signal.signal"):
            exec(compile(definitions, "docs/robot.md", "exec"), place)
            assert {"SERVER", *constants} <= place.keys()
            place |= {"SERVER": server, **constants}
            try:
                exec(compile(main, "docs/robot.md", "exec"), place)
            except (Exception, SystemExit) as error:
                return error
        return None

    def _modules(self, script: Callable[[Robot], None]) -> dict[str, ModuleType]:
        robot = self

        class Node:
            def __init__(self, name: str):
                pass

            def create_publisher(self, kind: type, topic: str, depth: int) -> Any:
                return SimpleNamespace(publish=robot._publish)

            def create_subscription(self, kind: Any, topic: str, see: Any, quality: Any) -> None:
                robot.see = see

            def create_timer(self, seconds: float, tick: Any) -> None:
                robot.tick = tick

            def get_clock(self) -> Any:
                return SimpleNamespace(now=lambda: Time(time.monotonic()))

            def get_logger(self) -> Any:
                return SimpleNamespace(error=robot.logged.append)

        members: dict[str, dict[str, Any]] = {
            "rclpy": {"init": lambda **options: None, "spin": lambda node: script(robot)},
            "rclpy.node": {"Node": Node},
            "rclpy.qos": {
                "QoSProfile": lambda **quality: quality,
                "ReliabilityPolicy": SimpleNamespace(BEST_EFFORT=1),
            },
            "rclpy.signals": {"SignalHandlerOptions": SimpleNamespace(NO=0)},
            "rclpy.time": {"Time": Time},
            "geometry_msgs": {},
            "geometry_msgs.msg": {"Twist": Twist},
            "sensor_msgs": {},
            "sensor_msgs.msg": {"CompressedImage": object},
        }
        modules = {}
        for name, values in members.items():
            modules[name] = ModuleType(name)
            vars(modules[name]).update(values)
        return modules

    def _publish(self, twist: Twist) -> None:
        self.published.append((twist.linear.x, twist.linear.y, twist.angular.z))
