"""The run of a script that was started by hand: it prints what it would have logged.

As in the SDK it has no experiment, parent, input_datasets, tags or get_metrics: asking for one is
an AttributeError, so that a script finds out on its author's machine what it needs a run for.
"""

from __future__ import annotations

import uuid
from typing import Any, Dict, List, Optional


class _OfflineRun:
    """What `Run.get_context()` returns outside a run."""

    def __init__(self, parent_logger: Any = None, run_id: Optional[str] = None, **kwargs: Any) -> None:
        self._id = run_id or f"OfflineRun_{uuid.uuid4()}"

    @property
    def id(self) -> str:
        return self._id

    @property
    def identity(self) -> str:
        return self._id

    def __enter__(self) -> _OfflineRun:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def log(self, name: str, value: Any, description: str = "", step: Optional[int] = None) -> None:
        _say(f"Attempted to log scalar metric {name}:", value)

    def log_list(self, name: str, value: List[Any], description: str = "") -> None:
        _say(f"Attempted to log list metric {name}:", value)

    def log_row(self, name: str, description: Optional[str] = None, **kwargs: Any) -> None:
        _say(f"Attempted to log row metric {name}:", kwargs)

    def log_table(self, name: str, value: Dict[str, Any], description: str = "") -> None:
        _say(f"Attempted to log table metric {name}:", value)

    def log_image(self, name: str, path: Optional[str] = None, plot: Any = None, description: str = "") -> None:
        _say(f"Attempted to log image metric {name}:", path if path is not None else plot)

    def log_confusion_matrix(self, name: str, value: Any, description: Optional[str] = None) -> None:
        _say(f"Attempted to log confusion matrix metric {name}:", value)

    def log_accuracy_table(self, name: str, value: Any, description: Optional[str] = None) -> None:
        _say(f"Attempted to log accuracy table metric {name}:", value)

    def log_residuals(self, name: str, value: Any, description: Optional[str] = None) -> None:
        _say(f"Attempted to log residuals metric {name}:", value)

    def log_predictions(self, name: str, value: Any, description: Optional[str] = None) -> None:
        _say(f"Attempted to log predictions metric {name}:", value)

    def tag(self, key: str, value: Optional[str] = None) -> None:
        _say(f"Attempted to add tag {key} with value {value}")

    def set_tags(self, tags: Dict[str, Any]) -> None:
        for key, value in tags.items():
            self.tag(key, value)

    def add_properties(self, properties: Dict[str, Any]) -> None:
        for key, value in properties.items():
            _say(f"Attempted to add property {key} with value {value}")

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: Optional[str] = None) -> None:
        _say(f"Attempted to upload file {name} from {path_or_stream}")

    def upload_files(self, names: List[str], paths: List[str], *args: Any, **kwargs: Any) -> None:
        for name, path in zip(names, paths):  # noqa: B905  `strict` came with Python 3.10
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: str, datastore_name: Optional[str] = None) -> None:
        _say(f"Attempted to upload folder {name} from {path}")

    def child_run(self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Any = None) -> _OfflineRun:
        return _OfflineRun(run_id=run_id)

    def cancel(self) -> None:
        _say("Attempted to cancel the run")

    def fail(self, error_details: Any = None, error_code: Optional[str] = None) -> None:
        _say("Attempted to fail the run")

    def complete(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to complete."""

    def flush(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is held back."""


def _say(*lines: Any) -> None:
    for line in lines:
        print(line)
