"""A model is code: it is loaded when the user has said so once."""

from gbar.agent.ui.pages import Form, Visit
from gbar.sim import GbarError

SAID = (
    "A model is code: loading it runs its hoc, Python and MOD files with your rights, as nrngui would. Load only what "
    "you would run."
)


def check_consent(visit: Visit, form: Form) -> None:
    """Take the user's word from a form, or from earlier. Raises GbarError where it was not given."""
    assert visit.folder is not None
    if form.get("trust"):
        visit.window.memory.trust(visit.folder)
    if not visit.trusted:
        raise GbarError(f"{SAID} Tick the box if you do.")
