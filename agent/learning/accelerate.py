"""JAX settings of a run."""

import os

import jax
from jax import monitoring

from gbar.sim.errors import GbarError
from gbar.sim.files import cache_folder


class Compiling:
    """Seconds that JAX has spent compiling in this process."""

    seconds = 0.0


def _count(event: str, duration_secs: float, **_: str | int) -> None:
    if event.startswith("/jax/core/compile/") and not event.endswith("trace_duration"):  # traces nest
        Compiling.seconds += duration_secs


monitoring.register_event_duration_secs_listener(_count)


def configure() -> None:
    """Keep compiled functions between runs, in the folder where built mechanisms are kept.

    Raises:
        GbarError: JAX_PLATFORMS asks for a device that is not there. Better now than after the first simulations.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's own remarks are no business of a modeller's
    folder = cache_folder() / "jax"
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    try:
        jax.devices()
    except RuntimeError as error:
        wanted = os.environ.get("JAX_PLATFORMS", "")
        raise GbarError(
            f"JAX cannot start on JAX_PLATFORMS='{wanted}': {str(error).splitlines()[0]}: unset it to use what is "
            "there, or for a GPU: pip install 'gbar[cuda]'"
        ) from None
