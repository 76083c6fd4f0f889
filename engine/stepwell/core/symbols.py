"""Arguments as text that is equal exactly when they are: how a command line enters a manifest.

    Argument(text="--out")    --out                    \\ { } in a text are written \\\\ \\{ \\}
    Argument(param="epochs")  {param:epochs}
    Argument(input="clean")   {input:clean}
    Argument(output="model")  {output:model}
    Argument(parts=(...))     its parts, one after the other

No path and no parameter value is in it: those differ between two homes, or count on their own.
"""

from __future__ import annotations

import re

from stepwell.core.spec import Argument

_SPECIAL = re.compile(r"[\\{}]")
_ESCAPED = re.compile(r"\\([\\{}])")


def symbol(argument: Argument) -> str:
    """Return the text that stands for `argument`; `""` for an empty one."""
    if argument.text is not None:
        return _escaped(argument.text)
    if argument.param is not None:
        return f"{{param:{_escaped(argument.param)}}}"
    if argument.input is not None:
        return f"{{input:{_escaped(argument.input)}}}"
    if argument.output is not None:
        return f"{{output:{_escaped(argument.output)}}}"
    return "".join(map(symbol, argument.parts))


def readable(symbols: str) -> str:
    """Return a symbol as its author wrote it, with nothing escaped."""
    return _ESCAPED.sub(r"\1", symbols)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)
