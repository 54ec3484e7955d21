"""Which model an archive is of: every file that decides, by its content."""

import json
from collections.abc import Mapping

from gbar.sim.problem import Problem

FILES = "files"  # of what an archive says: JSON, name -> hash of the content, of the model's files
OTHER_MODEL = "put it back as it was, or name another with --archive"


def said_of(problem: Problem) -> dict[str, str]:
    """What an archive of a problem says of it: identity, name, and every file that decides with a hash."""
    return {"identity": problem.identity(), "problem": problem.name, FILES: json.dumps(problem.manifest())}


def why_another(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Why an archive's rows are not a problem's, in words; empty where they are.

    Args:
        then: what the archive says of the problem it was made with.
        now: `said_of` the problem.

    Raises:
        ValueError: the archive says it in other words.
    """
    if then.get("identity") == now["identity"]:
        return ""
    if FILES not in then:
        return (
            "it was made by an earlier gbar, which simulated otherwise and looked at some of the model's files alone; "
            "it stays as it is: name another with --archive"
        )
    before, after = manifest_in(then[FILES]), manifest_in(now[FILES])
    if gone := sorted(before.keys() - after.keys()):
        return f"{gone[0]} is gone: {OTHER_MODEL}"
    if changed := sorted(name for name in before if before[name] != after[name]):
        return f"{changed[0]} has changed: {OTHER_MODEL}"
    if new := sorted(after.keys() - before.keys()):
        return (
            f"{new[0]} is new: move it out of the model's folder if the model does not read it (what the model writes "
            "is named in [model] outputs), or name another with --archive"
        )
    return (
        f"a place, a protocol or a setting has changed ({then.get('problem')}, {then.get('identity')}; this is "
        f"{now['problem']}, {now['identity']}): name another with --archive"
    )


def manifest_in(text: str) -> dict[str, str]:
    """What meta keeps of files. Raises ValueError where it is no such thing."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it does not say which files it was made with")
    return found
