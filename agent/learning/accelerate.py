"""JAX settings of a run."""

import os

import jax

from gbar.sim.mechanisms import cache_folder


def configure() -> None:
    """Keep compiled functions between runs, in the folder where built mechanisms are kept."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's own remarks are no business of a modeller's
    folder = cache_folder() / "jax"
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
