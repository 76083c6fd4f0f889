"""The parts of a running daemon, made once and handed to whoever needs them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stepwell.content.artifacts import ObjectStore
from stepwell.core.allocator import Machine
from stepwell.extend.registry import StepTypes
from stepwell.paths import Home
from stepwell.runtime.attempts import Attempts
from stepwell.runtime.feed import Feed
from stepwell.runtime.launch import Launcher
from stepwell.runtime.preparation import Preparation
from stepwell.store.database import Database
from stepwell.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Context:
    home: Home
    database: Database
    writer: Writer
    feed: Feed
    store: ObjectStore
    types: StepTypes
    preparation: Preparation
    attempts: Attempts
    launcher: Launcher
    workers: ThreadPoolExecutor
    machine: Machine
