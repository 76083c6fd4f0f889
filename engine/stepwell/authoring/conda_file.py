"""Conda environment files: the part of YAML that they are written in, read and written.

    name: project_environment
    channels:
      - conda-forge
    dependencies:
      - python=3.11
      - numpy
      - pip:
        - requests==2.32.0
        - --extra-index-url https://packages.example/simple

Anything else that YAML can say (anchors, flow style, multi-line texts) is refused with its line:
a package that was read wrongly would be worse than a file that was not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from stepwell.errors import UsageError

_KEY = re.compile(r"([A-Za-z_][\w-]*)\s*:\s*(.*)")
_KNOWN = ("name", "channels", "dependencies", "prefix", "variables")


@dataclass(slots=True)
class CondaFile:
    """What a conda environment file says. `pip` keeps options such as `--pre` among the requirements."""

    name: str = "project_environment"
    channels: list[str] = field(default_factory=list)
    conda: list[str] = field(default_factory=list)
    pip: list[str] = field(default_factory=list)


def read(path: Path) -> CondaFile:
    """Return what the file says. Raises UsageError with file and line for what cannot be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the conda file {str(path)!r}: {error.strerror}", code="conda_file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the conda file {str(path)!r} is not UTF-8", code="conda_file") from error
    return parse(text, str(path))


def parse(text: str, where: str = "conda file") -> CondaFile:
    """Return what `text` says; `where` is what errors call it."""
    found = CondaFile()
    section = ""
    pip_indent: int | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _without_comment(raw)
        stripped = line.strip()
        if not stripped or stripped == "---":
            continue
        indent = len(line) - len(line.lstrip(" "))
        if not stripped.startswith("-"):
            section = _section(found, stripped, indent, section, f"{where}:{number}")
            pip_indent = None
            continue
        item = stripped[1:].strip() if stripped[1:2] in ("", " ") else stripped
        in_pip = pip_indent is not None and indent > pip_indent
        if section == "dependencies" and not in_pip and item in ("pip:", "pip: []"):
            pip_indent = indent
        elif section == "dependencies":
            (found.pip if in_pip else found.conda).append(_scalar(item, f"{where}:{number}"))
            pip_indent = pip_indent if in_pip else None
        elif section == "channels":
            found.channels.append(_scalar(item, f"{where}:{number}"))
        else:
            raise _not_understood(f"{where}:{number}", stripped)
    return found


def render(file: CondaFile) -> str:
    """Return the text of a file that `parse` reads back."""
    lines = [f"name: {file.name}"]
    if file.channels:
        lines += ["channels:", *(f"- {_quoted(channel)}" for channel in file.channels)]
    lines.append("dependencies:" if file.conda or file.pip else "dependencies: []")
    lines += [f"- {_quoted(package)}" for package in file.conda]
    if file.pip:
        lines += ["- pip:", *(f"  - {_quoted(package)}" for package in file.pip)]
    return "\n".join(lines) + "\n"


def _section(found: CondaFile, text: str, indent: int, section: str, where: str) -> str:
    matched = _KEY.fullmatch(text)
    if matched is None:
        raise _not_understood(where, text)
    key, value = matched.groups()
    if indent and section == "variables":
        return section
    if indent or key not in _KNOWN or (value not in ("", "[]") and key not in ("name", "prefix")):
        raise _not_understood(where, text)
    if key == "name":
        found.name = _scalar(value, where)
    return key


def _scalar(text: str, where: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if not text or text[0] in "\"'[]{}&*!|>%@`" or text.endswith(":"):
        raise _not_understood(where, text)
    return text


def _quoted(text: str) -> str:
    return f'"{text}"' if text[:1] in "[]{}&*!|>%@`\"'#" or " #" in text or text.endswith(":") else text


def _without_comment(line: str) -> str:
    if line.lstrip().startswith("#"):
        return ""
    return re.sub(r"\s+#.*$", "", line.rstrip())


def _not_understood(where: str, text: str) -> UsageError:
    return UsageError(
        f"{where}: cannot read {text!r} in a conda file",
        hint="write name, channels and dependencies as plain lists",
        code="conda_file",
    )
