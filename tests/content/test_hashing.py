from __future__ import annotations

import os
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from stepwell.content.hashing import PIECE, SMALL, hash_bytes, hash_file, hash_handle

SIZES = (0, 1, SMALL - 1, SMALL, SMALL + 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 12_345)


@pytest.mark.parametrize("size", SIZES)
def test_the_digest_of_a_file_is_that_of_its_bytes_whatever_its_size(tmp_path: Path, size: int) -> None:
    data = (b"stepwell" * (size // 8 + 1))[:size]
    path = tmp_path / "file"
    path.write_bytes(data)

    assert hash_file(path) == blake3(data).hexdigest() == hash_bytes(data)


@given(st.integers(0, 3 * SMALL), st.integers(0, 3 * SMALL))
def test_a_wrong_hint_of_the_size_never_matters(size: int, hint: int) -> None:
    reader = os.memfd_create("hint")
    try:
        os.write(reader, b"x" * size)
        os.lseek(reader, 0, os.SEEK_SET)

        assert hash_handle(reader, hint) == blake3(b"x" * size).hexdigest()
    finally:
        os.close(reader)


def test_a_file_that_is_truncated_while_it_is_hashed_does_not_kill_us(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (2 * PIECE))
    handle = os.open(path, os.O_RDWR)

    def cut(count: int) -> None:
        os.ftruncate(handle, 10)

    try:
        digest = hash_handle(handle, 2 * PIECE, cut)
    finally:
        os.close(handle)

    assert digest == blake3(b"x" * PIECE).hexdigest()


@pytest.mark.parametrize("size", SIZES)
def test_every_byte_that_is_read_is_told(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    told: list[int] = []

    with path.open("rb") as file:
        hash_handle(file.fileno(), size, told.append)

    assert sum(told) == size


def test_hashing_a_huge_file_can_be_ended_between_two_reads(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 200 * 10**9)

    def stop(count: int) -> None:
        raise InterruptedError

    with path.open("rb") as file, pytest.raises(InterruptedError):
        hash_handle(file.fileno(), 200 * 10**9, stop)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hash_file(tmp_path / "none")
