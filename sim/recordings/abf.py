"""Axon's ABF files to sweeps, and the current that their protocol commands where no channel recorded it."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gbar.sim.errors import GbarError
from gbar.sim.recordings.library import library
from gbar.sim.recordings.reading import Reading, pair
from gbar.sim.recordings.sweep import CURRENT, Channel, Raw, Unusable, unit_name

SECOND_INTERVAL, HOLDING = 126, 1394  # bytes in the header of version 1
LIST_ENABLE, LIST_PARAMETER, LIST_VALUES, LIST_REPEAT = 3360, 3368, 3376, 4400  # and of its user lists, one a command
LIST_LENGTH = 256
STEP, RAMP = "Step", "Ramp"
# What a list of the user's varies, by number: eleven things of the whole protocol, then five of each epoch. Newer
# versions of Clampex have 50 epochs and number on from there.
LEVELS = {epochs: range(11 + epochs, 11 + 2 * epochs) for epochs in (10, 50)}
LEAD = 64  # Clampex holds for this part of a sweep before the first epoch


def read_abf(file: Path, cell: str, reading: Reading) -> list[Raw | Unusable]:
    """The sweeps of a file of version 1 or 2."""
    block = library("neo.io").AxonIO(filename=str(file)).read_block(signal_group_mode="split-all")
    _check_rate(file)
    several = len(block.segments) > 1
    commands: list[Channel] | None = None
    found: list[Raw | Unusable] = []
    for number, segment in enumerate(block.segments):
        name = f"{file}, sweep {number}" if several else str(file)
        try:
            voltage, current = pair([_channel(signal) for signal in segment.analogsignals], name, reading)
            if voltage is not None and current is None:
                commands = _commands(file, voltage.interval, reading) if commands is None else commands
                current = commands[number] if number < len(commands) else None
        except GbarError as error:
            found.append(Unusable(cell, f"{'' if str(file) in str(error) else f'{name}: '}{error}"))
            continue
        if voltage is not None:
            found.append(Raw(cell, name, voltage, current))
        elif current is not None:  # the rig clamped the voltage
            found.append(Raw(cell, name, current, None, "voltage"))
    return found


def _check_rate(file: Path) -> None:
    """Version 1 could sample the second half of a sweep at another rate than the first."""
    with file.open("rb") as stream:
        header = stream.read(SECOND_INTERVAL + 4)
    if header[:4] == b"ABF " and len(header) == SECOND_INTERVAL + 4:
        first, second = struct.unpack_from("<2f", header, SECOND_INTERVAL - 4)
        if second > 0 and second != first:
            raise GbarError(f"{file}: the samples are not evenly spaced: {first:g} and then {second:g} µs apart")


def _channel(signal: Any) -> Channel:
    interval = 1e3 / float(signal.sampling_rate.rescale("Hz"))
    values = np.asarray(signal.magnitude)[:, 0]
    return Channel(str(signal.name), values, signal.units.dimensionality.string, interval)


def _commands(file: Path, interval: float, reading: Reading) -> list[Channel]:
    """The commanded current of every sweep, from the file's table of epochs; none where it commands none.

    Args:
        file: the file.
        interval: ms between samples.
        reading: which command, where there are several.

    Raises:
        GbarError: the protocol varies something by a list, or by a kind of epoch, whose course is not known here.
    """
    abf = library("pyabf").ABF(str(file), loadData=False)
    names, units = _outputs(abf)
    amplifier = [k for k, unit in enumerate(units) if unit_name(unit) in CURRENT]
    chosen = [k for k in amplifier if reading.chose(names[k])] or amplifier
    dac = next((k for k in chosen if _source(abf, k)), None)
    if dac is None:
        return []
    if _source(abf, dac) == 1:
        waves = _epochs(file, abf, dac)
    else:
        waves = [_played(file, abf, dac, number) for number in abf.sweepList]
    found = [Channel("command", wave, units[dac], interval) for wave in waves]
    return found if any(np.ptp(channel.values) > 0 for channel in found) else []


def _outputs(abf: Any) -> tuple[list[str], list[str]]:
    """Names and units of all commands. pyABF keeps as many as there are recorded channels."""
    if abf.abfVersion["major"] == 1:
        return [*map(str, abf.dacNames)], [*map(str, abf.dacUnits)]
    strings, section = abf._stringsSection._indexedStrings, abf._dacSection
    return [strings[k] for k in section.lDACChannelNameIndex], [strings[k] for k in section.lDACChannelUnitsIndex]


def _source(abf: Any, dac: int) -> int:
    """Where a command comes from: 0 nowhere, 1 the table of epochs, 2 a file."""
    header = abf._headerV1 if abf.abfVersion["major"] == 1 else abf._dacSection
    known = dac < len(header.nWaveformEnable) and header.nWaveformEnable[dac]
    return int(header.nWaveformSource[dac]) if known else 0


def _played(file: Path, abf: Any, dac: int, number: int) -> np.ndarray:
    wave = library("pyabf.stimulus").Stimulus(abf, dac).stimulusWaveform(number)
    if not np.isfinite(wave).all():
        raise GbarError(f"{file}: its command was played from a file that is not there: record the current, or add it")
    return np.asarray(wave, float)


def _epochs(file: Path, abf: Any, dac: int) -> list[np.ndarray]:
    """The command of each sweep [T], from the table of epochs and the user's list."""
    table = library("pyabf.waveform").EpochTable(abf, dac)
    varied, values = _user_list(file, abf, dac)
    levels = {k: number.start for number in LEVELS.values() for k in number}
    if values and varied not in levels:
        raise GbarError(f"{file}: its user list varies parameter {varied} of the protocol: expected an epoch's level")
    listed = varied - levels[varied] if values else -1  # the epoch whose level the list holds
    waves, before = [], _holding(file, abf, dac)
    samples = int(abf.sweepPointCount)
    for number in abf.sweepList:
        level = before
        wave, at = np.full(samples, level), samples // LEAD
        for epoch in table.epochs:
            previous, level = level, float(epoch.level + epoch.levelDelta * number)
            if epoch.epochNumber == listed:
                level = values[min(number, len(values) - 1)]
            stop = min(at + int(epoch.duration + epoch.durationDelta * number), samples)
            if epoch.epochTypeStr not in {STEP, RAMP} and stop > at:
                raise GbarError(f"{file}: its command has an epoch of type {epoch.epochTypeStr}: expected steps")
            wave[at:stop] = level if epoch.epochTypeStr == STEP else np.linspace(previous, level, stop - at)
            at = stop
        wave[at:] = level if table.returnToHold else _holding(file, abf, dac)
        before = float(wave[-1])
        waves.append(wave)
    return waves


def _holding(file: Path, abf: Any, dac: int) -> float:
    """What is commanded between sweeps. pyABF takes the first epoch's level for it in version 1."""
    if abf.abfVersion["major"] == 1:
        return float(_header(file, HOLDING, "<4f")[dac]) if dac < 4 else 0.0
    return float(abf.holdingCommand[dac])


def _user_list(file: Path, abf: Any, dac: int) -> tuple[int, Sequence[float]]:
    """What a list varies in a command, and its value for each sweep; no values where there is no list.

    Raises:
        GbarError: there is one and it is not known whether it was used, or what is in it.
    """
    if abf.abfVersion["major"] == 1:
        if dac >= 4 or not _header(file, LIST_ENABLE, "<4h")[dac]:
            return 0, []
        varied, repeat = (_header(file, at, "<4h")[dac] for at in (LIST_PARAMETER, LIST_REPEAT))
        (text,) = _header(file, LIST_VALUES + LIST_LENGTH * dac, f"<{LIST_LENGTH}s")
        return varied, _numbers(file, text.partition(b"\0")[0].decode("latin-1"), repeat, len(abf.sweepList))
    section = abf._userListSection
    for entry in range(section._entryCount):
        at = section._byteStart + entry * section._entrySize
        number, enabled, varied, repeat, index = _header(file, at, "<4hi")
        if number != dac or not (enabled or varied):
            continue
        text = _indexed(abf, index)
        if not enabled:
            raise GbarError(f"{file}: has a user list ({text}) that may be switched off: record the current")
        return varied, _numbers(file, text, repeat, len(abf.sweepList))
    return 0, []


def _indexed(abf: Any, index: int) -> str:
    """A string of version 2 by its number; the list that pyABF found, where there is no such."""
    strings = abf._stringsSection._indexedStrings
    text = strings[index] if 0 < index < len(strings) else ""
    found = ",".join(map(str, abf.userList or []))
    return text if text and not set(text) - set("0123456789+-.eE, ;\t") else found


def _numbers(file: Path, text: str, repeat: int, sweeps: int) -> list[float]:
    try:
        values = [float(word) for word in text.replace(";", ",").split(",") if word.strip()]
    except ValueError:
        values = []
    if not values:
        raise GbarError(f"{file}: its user list '{text[:40]}' cannot be read: record the current")
    return [values[k % len(values)] for k in range(sweeps)] if repeat else values


def _header(file: Path, at: int, form: str) -> tuple[Any, ...]:
    with file.open("rb") as stream:
        stream.seek(at)
        return struct.unpack(form, stream.read(struct.calcsize(form)))
