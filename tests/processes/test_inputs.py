"""What a step may do to what it is given: nothing, and if it does, nobody else is harmed."""

from __future__ import annotations

from dataclasses import replace

from support.live import Live, shell
from support.waiting import wait_until


def test_a_step_that_writes_to_its_input_is_told_and_not_reused(live: Live) -> None:
    make = shell("make", "mkdir $out_x && echo good > $out_x/file", writes=["x"])
    spoil = shell("spoil", "chmod -R u+w $in_x; echo bad >> $in_x/file", reads={"x": ("make", "x")})
    first = live.run(make, spoil)

    second = live.run(make, shell("reads", "cat $in_x/file", reads={"x": ("make", "x")}))

    assert first["status"] == "Finished"
    assert any("it wrote to its input 'x'" in text for text in first["warnings"]), first["warnings"]
    assert live.log(second["run"], "reads") == "good\n"
    assert live.plan(make, spoil)["spoil"]["verdict"] == "run"


def test_a_downloaded_input_is_a_copy_of_the_steps_own(live: Live) -> None:
    make = shell("make", "mkdir $out_x && echo good > $out_x/file", writes=["x"])
    spoil = shell("spoil", "echo bad > $in_x/file", reads={"x": ("make", "x")})
    spoil = replace(spoil, inputs=tuple(replace(port, mode="download") for port in spoil.inputs))

    run = live.run(make, spoil)

    assert run["status"] == "Finished"
    assert run["warnings"] == []
    assert live.run(make, spoil)["reused"] == 2


def test_what_was_stored_is_marked_as_on_the_disk_before_long(live: Live) -> None:
    import sqlite3
    from contextlib import closing

    live.run(shell("make", "echo x > $out_x", writes=["x"]))

    def unsynced() -> int:
        with closing(sqlite3.connect(live.home.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM object WHERE synced = 0").fetchone()[0])

    wait_until(lambda: unsynced() == 0, within_s=15, every_s=0.2)


def test_after_another_boot_what_was_not_synced_is_hashed_before_it_is_trusted(live: Live) -> None:
    import sqlite3
    from contextlib import closing

    make = shell("make", "echo precious > $out_x", writes=["x"])
    live.run(make)
    live.client.post("/v1/stop", {})
    wait_until(lambda: not live.home.socket.exists(), within_s=10)
    (live.home.root / "boot_id").write_text("another boot")
    with closing(sqlite3.connect(live.home.database)) as connection:
        connection.execute("UPDATE object SET synced = 0")
        connection.commit()
        digests = [row[0] for row in connection.execute("SELECT digest FROM object")]
    for digest in digests:
        path = live.home.store / digest[:2] / digest[2:]
        if b"precious" in path.read_bytes() and b"stepwell" not in path.read_bytes():
            seen = path.stat()
            path.chmod(0o600)
            path.write_bytes(b"torn!!!!\n")
            import os

            os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    with Live(live.home) as again:
        run = again.run(make)

    assert run["ran"] == 1
    assert "is gone" in run["steps"][0]["reason"]
