"""Snakemake that asks SLURM every second: its own pauses grow by ten seconds each."""

import asyncio

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def a_second(executor):
    await asyncio.sleep(1)


if __name__ == "__main__":
    RemoteExecutor.sleep = a_second
    main()
