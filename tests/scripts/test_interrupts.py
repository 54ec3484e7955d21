"""Ctrl-C, wherever it comes: exit code 130, no traceback, never lost."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.problems import HH, ROOT

COMMAND = """
import os, signal, sys, time
from gbar.scripts.interrupts import Interrupts
Interrupts().install()
from gbar.scripts.terminal import archiving, guarded

def press():
    os.kill(os.getpid(), signal.SIGINT)

class Gone:
    def __del__(self):
        press()
        time.sleep(0.1)

def long():
    end = time.monotonic() + 20
    while time.monotonic() < end:
        time.sleep(0.01)

@guarded
def command():
    {}
    long()

import typer
typer.run(command)
"""
WHERE = {
    "in plain code": "press()",
    "in a destructor": "Gone()",
    "where everything is caught": "try: press(); long()\n    except: pass",
    "where it turns into another": "try: press(); long()\n    except KeyboardInterrupt: raise ValueError('it failed')",
    "where it becomes bad input": "try: press(); long()\n    except KeyboardInterrupt: raise OSError(5, 'no good')",
    "in an exec of text": "exec('press(); long()')",
    "twice": "try: press(); long()\n    finally: press()",
}


@pytest.mark.parametrize("where", WHERE)
def test_in_a_command(where: str) -> None:
    script = COMMAND.format(WHERE[where])
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "gbar: stopped\n")


@pytest.mark.parametrize("before", [True, False], ids=["while it starts", "when it is done"])
def test_around_a_command(before: bool) -> None:
    script = COMMAND.format("return")
    script = script.replace("import typer\n", "press()\n") if before else script + "\n"
    script = script if before else script.replace("typer.run(command)", "try: typer.run(command)\nfinally: press()")
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "gbar: stopped\n")


def test_what_is_started_with_it_switched_off_goes_on() -> None:
    """As by nohup, or by a shell in the background."""
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + COMMAND.format("press(); return")
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("after", [0.4, 0.7])
def test_the_command_itself_while_it_starts(tmp_path: Path, after: float) -> None:
    gbar = subprocess.Popen(
        [sys.executable, "-m", "gbar", "check", str(HH)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after)
    gbar.send_signal(signal.SIGINT)
    said = gbar.communicate(timeout=60)
    assert (gbar.returncode, said[1]) == (130, "gbar: stopped\n"), said


LAST = """
import os, signal, sys
from gbar.scripts.interrupts import Interrupts

class Press:
    def __init__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT):
        self.said = lambda: kill(pid, number)
    def __del__(self):
        self.said()

class Crash:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGSEGV):
        kill(pid, number)

interrupts = Interrupts()
interrupts.install()
with interrupts.last():
    {}
"""
AT_THE_END = {  # what ends with Python, and how gbar ends
    "Ctrl-C once all is said": ("sys.kept = Press(); sys.exit(3)", 3),
    "what Ctrl-C broke off": ("sys.kept = Crash(); interrupts.came = True; print('done'); sys.exit(130)", 130),
}


@pytest.mark.parametrize("what", AT_THE_END)
def test_while_python_ends(what: str) -> None:
    script, code = AT_THE_END[what]
    ran = subprocess.run(
        [sys.executable, "-c", LAST.format(script)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (code, "")
    assert ran.stdout == ("done\n" if code == 130 else "")


@pytest.mark.parametrize("script", ["check.py", "bench.py"])
def test_a_script_by_itself_before_its_command_begins(script: str) -> None:
    press = "os.kill(os.getpid(), signal.SIGINT); time.sleep(5)"
    code = (
        f"import os, runpy, signal, time, typer, typer.core\ndef press(*_, **__): {press}\n"
        f"typer.run = typer.Typer.__call__ = press\nrunpy.run_path('scripts/{script}', run_name='__main__')"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "gbar: stopped\n")
