"""Snakemake that asks SLURM every second: its own pauses grow by ten seconds each.

While Snakemake asks it knows of no jobs, so that an interrupt just then cancels none. Asking every
second it would meet that often; here it cancels only between two questions.
"""

import asyncio
import threading

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

pausing = threading.Event()
cancel_known = RemoteExecutor.cancel


async def a_second(executor):
    pausing.set()
    await asyncio.sleep(1)
    pausing.clear()


def cancel(executor):
    pausing.wait(60)
    cancel_known(executor)


if __name__ == "__main__":
    RemoteExecutor.sleep = a_second
    RemoteExecutor.cancel = cancel
    main()
