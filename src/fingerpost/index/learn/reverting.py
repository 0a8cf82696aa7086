"""Going back to the generation before, and taking back what its lesson was taught by."""

from __future__ import annotations

from fingerpost.errors import NotFoundError
from fingerpost.index.epoch import LEARNED, LESSON, mapping, parsed
from fingerpost.index.learn.given import Given, marked
from fingerpost.index.rooms import Rooms
from fingerpost.records import GIVEN, Report
from fingerpost.store.generation import ARTIFACTS, NAME, held, read_manifest
from fingerpost.store.past import AsOf
from fingerpost.store.store import Store
from fingerpost.text.counts import counted

SAME = (
    "no lesson was undone: the generation before had learned the same; "
    "`fingerpost learn --list` shows what was taught, and --forget withdraws it"
)


def rollback(rooms: Rooms) -> Report:
    """Publish the generation before this one again. The pairs of a lesson that is undone are forgotten, or
    the next lesson would teach them again.

    A fold makes a generation too: where the one before had learned the same, the report says that no lesson
    was undone. Raises NotFoundError where no generation is kept to go back to, or only a lesson that was
    taken back: a second rollback does not undo the first.
    """
    known = known_pairs(rooms.store)
    kept = held(rooms.path)[1:]
    if kept:
        moment = AsOf.parse(f"gen-{kept[0].generation}")
        with Store.open(rooms.path, verify="sizes", as_of=moment) as store:
            if known_pairs(store) > known:
                raise NotFoundError(
                    "E_NOT_FOUND",
                    f"only generation {kept[0].generation} is kept, of the lesson that was taken back",
                    cure="nothing to roll back to; `fingerpost learn` with its pairs teaches it again",
                )
    learned = _learned(rooms)
    number = rooms.store.rollback()
    same = _learned(rooms) == learned
    before = known_pairs(rooms.store)
    gone = rooms.store.forget_pairs(before, GIVEN) if before < known else 0
    forgotten = [f"{counted(gone, 'pair')} forgotten"] if gone else []
    return Report({}, (), ("rolled back", *forgotten, *([SAME] if same else [])), number)


def _learned(rooms: Rooms) -> dict[str, object]:
    """Sizes and digests of all that the published generation has learned."""
    files = read_manifest(rooms.path / NAME).files
    names = {name: f"{ARTIFACTS}{name}" for name in LEARNED}
    return {name: files[file] for name, file in names.items() if file in files}


def keep_pairs(rooms: Rooms, given: Given) -> None:
    """Keep pairs for lessons to come, as newer than all that the published lesson knew: by that a rollback
    tells which to forget.
    """
    pairs = marked(rooms.store.snapshot(), given).pairs
    rooms.store.add_pairs(pairs, after=known_pairs(rooms.store))


def known_pairs(store: Store) -> int:
    """The number of the last pair that the published lesson knew; 0 without one."""
    lesson = store.desk.artifact(LESSON)
    return 0 if lesson is None else parsed(LESSON, lesson, lambda body: int(mapping(body)["pairs"]))
