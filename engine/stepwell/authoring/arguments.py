"""What may stand in `arguments`, and what becomes of it: one symbolic word of a command line each.

"--out"                                text
a PipelineData or an input binding     the path it has in the step; it must be in inputs or outputs
a PipelineParameter                    its value
numbers, True, None, a path            their text
"$AZUREML_DATAREFERENCE_x"             inside a text: the path of the step's own input or output x
a list or a dict                       TypeError, as in the SDK
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stepwell.authoring.data import InputPortBinding, Output, OutputPortBinding, PipelineData
from stepwell.authoring.parameters import PipelineParameter, is_text_of_parameter
from stepwell.core.spec import Argument

_REFERENCE = re.compile(r"\$(?:AZUREML_DATAREFERENCE_(\w+)|\{AZUREML_DATAREFERENCE_(\w+)\})")


class Ports(NamedTuple):
    """The inputs and outputs of the step that the arguments are for."""

    inputs: Sequence[InputPortBinding] = ()
    outputs: Sequence[Output] = ()

    def word(self, data: Output | InputPortBinding) -> Argument:
        """Return the path of `data` as a word. Raises ValueError for data that the step does not declare.

        Of an input given under another name, or in another mode, than in `inputs`, the one in
        `inputs` is meant.
        """
        wanted = data
        if isinstance(wanted, InputPortBinding):
            for port in self.inputs:
                if port.same_as(wanted):
                    return Argument(input=port.name)
            data = wanted.bind_object
        elif any(data is output for output in self.outputs):
            return Argument(output=data.name)
        for port in self.inputs:
            if port.bind_object is data:
                return Argument(input=port.name)
        raise ValueError(
            f"{data.name!r} is used in the arguments, but is neither in the inputs nor in the outputs of the step"
        )

    def reference(self, name: str) -> Argument | None:
        """Return the path of the port that is called `name`; None where there is none."""
        if any(output.name == name for output in self.outputs):
            return Argument(output=name)
        if any(port.name == name for port in self.inputs):
            return Argument(input=name)
        return next((Argument(input=port.name) for port in self.inputs if port.bind_object.name == name), None)


def words(arguments: Sequence[object] | None, ports: Ports) -> tuple[Argument, ...]:
    """Return the words of a command line. Raises TypeError and ValueError for what cannot be one."""
    if arguments is None:
        return ()
    if not isinstance(arguments, (list, tuple)) and (
        isinstance(arguments, (str, bytes)) or not isinstance(arguments, Sequence)
    ):
        raise TypeError(f"arguments must be a list, not {type(arguments).__name__}")
    return tuple([word(item, ports) for item in arguments])


def word(item: object, ports: Ports) -> Argument:
    """Return one word of a command line."""
    if isinstance(item, str):
        return text(item, ports)
    if isinstance(item, (PipelineData, InputPortBinding, OutputPortBinding)):
        return ports.word(item)
    if isinstance(item, PipelineParameter):
        return item.argument
    if item is None or isinstance(item, (bool, int, float)):
        return Argument(text=str(item))
    if isinstance(item, os.PathLike):
        return Argument(text=os.fsdecode(item))
    from numbers import Number  # numpy's scalars are numbers too

    if isinstance(item, Number):
        return Argument(text=str(item))
    raise TypeError(
        f"an argument cannot be a {type(item).__name__}: {item!r}; give texts, numbers, data or parameters one by one"
    )


def text(item: str, ports: Ports) -> Argument:
    """Return a text with the references to data in it put in its place."""
    if "$" not in item:
        return Argument(text=_plain(item))
    parts = split(item, ports)
    return parts[0] if len(parts) == 1 else Argument(parts=tuple(parts))


def split(item: str, ports: Ports) -> list[Argument]:
    """Return a text as its pieces: plain text, and the paths of data that it refers to."""
    found: list[Argument] = []
    done = 0
    for match in _REFERENCE.finditer(_plain(item)):
        path = ports.reference(match[1] or match[2])
        if path is not None:
            if match.start() > done:
                found.append(Argument(text=item[done : match.start()]))
            found.append(path)
            done = match.end()
    if done < len(item) or not found:
        found.append(Argument(text=item[done:]))
    return found


def params(given: Mapping[str, object] | None, ports: Ports) -> dict[str, Argument]:
    """Return the values of `params`, which become the variables `AML_PARAMETER_<name>`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"params must be a dict, not {type(given).__name__}")
    for name in given:
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r} cannot be the name of an entry of params")
    return {name: word(value, ports) for name, value in given.items()}


def _plain(item: str) -> str:
    if is_text_of_parameter(item):
        raise ValueError(
            f"the argument {item!r} holds the text of a PipelineParameter, not its value;"
            " give the parameter as an item of its own"
        )
    return item
