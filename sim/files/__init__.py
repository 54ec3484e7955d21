"""What gbar has on disk: written whole, read with one line for whatever is wrong, taken back only where it is ours."""

from gbar.sim.files.made import LONGEST, Made, as_name, check_name, resolved
from gbar.sim.files.whole import (
    as_csv,
    beside,
    cache_folder,
    check_own,
    folder_in_place,
    packed_arrays,
    read_arrays,
    read_json,
    read_toml,
    write_whole,
)

__all__ = [
    "LONGEST",
    "Made",
    "as_csv",
    "as_name",
    "beside",
    "cache_folder",
    "check_name",
    "check_own",
    "folder_in_place",
    "packed_arrays",
    "read_arrays",
    "read_json",
    "read_toml",
    "resolved",
    "write_whole",
]
