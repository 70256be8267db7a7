"""Files: JSON in, and anything out so that a reader never meets half of it."""

from resdet.files.places import cache_folder, identity, places_below, walk_files
from resdet.files.reading import NPZ_DAMAGE, decoded, parse_json, read_json, read_text, regular, sha256_of
from resdet.files.writing import (
    atomic_write,
    json_ready,
    remove_unfinished,
    unfinished_folder,
    write_csv,
    write_json,
    write_text,
)

__all__ = [
    "NPZ_DAMAGE",
    "atomic_write",
    "cache_folder",
    "decoded",
    "identity",
    "json_ready",
    "parse_json",
    "places_below",
    "read_json",
    "read_text",
    "regular",
    "remove_unfinished",
    "sha256_of",
    "unfinished_folder",
    "walk_files",
    "write_csv",
    "write_json",
    "write_text",
]
