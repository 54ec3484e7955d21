"""What a recording and a feature of it are called outside their protocol."""

from typing import NamedTuple

from gbar.sim.problem.kinds import MAIN


class ResponseKey(NamedTuple):
    """A recording under a protocol, or one feature of it.

    As text: "protocol" or "protocol:recording", and with a feature "protocol.feature" or "protocol:recording.feature".
    """

    protocol: str
    recording: str = MAIN
    feature: str = ""

    @classmethod
    def parse(cls, text: str) -> "ResponseKey":
        """What `str` wrote: no name of a protocol or a recording has a dot or a colon in it."""
        response, _, feature = text.partition(".")
        protocol, _, recording = response.partition(":")
        return cls(protocol, recording or MAIN, feature)

    @property
    def response(self) -> str:
        """The recording alone, as tables of measurements have it."""
        return self.protocol if self.recording == MAIN else f"{self.protocol}:{self.recording}"

    def of(self, feature: str) -> str:
        """The key of one of its features."""
        return f"{self.response}.{feature}"

    def __str__(self) -> str:
        return self.of(self.feature) if self.feature else self.response
