"""The values of a figure's marks as ``<title>`` elements: browsers show them where one points."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from mobile_vla.reporting.drawing.drawn import BETWEEN, MARK, MARKS

SVG = "http://www.w3.org/2000/svg"
NAMES = {"": SVG, "xlink": "http://www.w3.org/1999/xlink"}


def with_values(text: str) -> str:
    """Return an SVG in which marks carry their values, instead of ids that hold them."""
    if MARK[:-1] not in text:
        return text
    for prefix, uri in NAMES.items():
        ET.register_namespace(prefix, uri)
    root = ET.fromstring(text)
    for element in list(root.iter()):
        name = element.get("id", "")
        if name.startswith(MARK):
            _say(element, name.removeprefix(MARK))
        elif name.startswith(MARKS):
            said = name.removeprefix(MARKS).split(BETWEEN)
            # A marker outside the axes is not drawn; then none can be told from the others.
            places = list(element.iter(f"{{{SVG}}}use"))
            if len(places) == len(said):
                for place, value in zip(places, said, strict=True):
                    _say(place, value)
        else:
            continue
        element.attrib.pop("id")
    return ET.tostring(root, encoding="unicode") + "\n"


def _say(element: ET.Element, value: str) -> None:
    element.set("class", "mark")
    title = ET.Element(f"{{{SVG}}}title")
    title.text = value
    element.insert(0, title)
