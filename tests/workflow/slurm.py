"""A SLURM of this machine alone, with four pretended GPUs, for the time of a test; needs root."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path("/etc/slurm")
"""Where SLURM's programs look for its configuration; the plug-in unsets SLURM_CONF."""

DAEMONS = ("munged", "slurmctld", "slurmd")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
HOST = socket.gethostname().split(".")[0]
N_GPUS = 4

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={home}/munge.socket
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MinJobAge=3600
KillWait=2
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:{n_gpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def ask(*command):
    """Output of one of SLURM's commands."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=True)
    return done.stdout


def until(condition, seconds=300, process=None):
    """Wait for what must come true while a process runs, and return it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert process is None or process.poll() is None, "the process has ended"
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.2)
    return found


def why_not():
    """Why there can be no SLURM here; nothing if there can."""
    if missing := [name for name in (*DAEMONS, "sbatch") if not shutil.which(name, path=PATH)]:
        return f"no {', '.join(missing)}: install the packages slurm-wlm and munge"
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    if (HERE / "slurm.conf").exists():
        return f"this machine has a SLURM of its own, in {HERE}"
    return None


@dataclass(frozen=True)
class Job:
    """What SLURM says of a job."""

    said: dict[str, str]

    @property
    def number(self):
        return self.said["JobId"]

    @property
    def state(self):
        return self.said["JobState"]

    @property
    def rule(self):
        """The rule, or the group of rules, that it runs."""
        return re.match(r"rule_([a-z]+)", self.said["Comment"])[1]


def jobs(workspace):
    """The jobs that Snakemake has submitted from a workspace, in their order."""
    lines = ask("scontrol", "show", "job", "--oneliner").splitlines()
    said = (dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines)
    found = [Job(job) for job in said if job.get("WorkDir") == str(workspace.root)]
    return sorted(found, key=lambda job: int(job.number))


def preempt(job):
    """Stop a job and start it again, as SLURM does when others go first."""
    ask("scontrol", "requeue", job.number)
    pending = lambda: "PENDING" in ask("squeue", "-h", "-j", job.number, "-o", "%T")  # noqa: E731
    until(pending)
    # else a requeued job waits for two minutes
    ask("scontrol", "update", f"JobId={job.number}", "StartTime=now")


def time_out(job):
    """Let the job's time be over; SLURM looks for such jobs every half minute."""
    ask("scontrol", "update", f"JobId={job.number}", "EndTime=now")


@contextlib.contextmanager
def running(home):
    """Have a SLURM, whose files lie in this folder."""
    try:
        configure(home)
        with contextlib.ExitStack() as stack:
            start(home, stack)
            yield
    finally:
        for name in ("slurm.conf", "gres.conf"):
            (HERE / name).unlink(missing_ok=True)


def configure(home):
    """Write the configuration, and link it from where SLURM looks for it."""
    for name in ("state", "spool"):
        (home / name).mkdir()
    for number in range(N_GPUS):  # /dev/null under another name
        os.mknod(home / f"nvidia{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (home / "munge.key").write_bytes(secrets.token_bytes(128))
    (home / "munge.key").chmod(0o400)
    filled = CONFIGURATION.format(host=HOST, home=home, ports=free_ports(2), n_gpus=N_GPUS)
    (home / "slurm.conf").write_text(filled, encoding="utf-8")
    gpus = f"NodeName={HOST} Name=gpu File={home}/nvidia[0-{N_GPUS - 1}]\n"
    (home / "gres.conf").write_text(gpus, encoding="utf-8")
    for name in ("slurm.conf", "gres.conf"):
        (HERE / name).unlink(missing_ok=True)  # of a killed test
        (HERE / name).symlink_to(home / name)


def free_ports(number):
    """Ports that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]


def start(home, stack):
    """Start the daemons, which the stack will end, and wait until the node is ready."""
    named = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid"}
    named |= {"log-file": "munged.log", "seed-file": "munged.seed"}
    options = [f"--{option}={home / name}" for option, name in named.items()]
    try:
        daemon(stack, home, "munged", "--foreground", "--force", *options)
        until((home / "munge.socket").exists, 60)
        daemon(stack, home, "slurmctld", "-D", "-c")
        daemon(stack, home, "slurmd", "-D")
        until(lambda: "idle" in ask("sinfo", "--noheader", "--format=%T"), 60)
    except (AssertionError, subprocess.SubprocessError) as error:
        said = "\n".join(
            path.read_text(encoding="utf-8")[-2000:] for path in sorted(home.glob("*.out"))
        )
        raise RuntimeError(f"SLURM does not start:\n{said}") from error
    stack.callback(cancel_all)


def daemon(stack, home, *command):
    """Start a daemon in the foreground, and let the stack end it."""
    process = subprocess.Popen(
        [shutil.which(command[0], path=PATH), *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=stack.enter_context((home / f"{command[0]}.out").open("w", encoding="utf-8")),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    stack.callback(end, process)


def end(process):
    """End a daemon, gently if it lets."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cancel_all():
    """End all jobs, which would outlive the daemons."""
    if numbers := ask("squeue", "--noheader", "--format=%A").split():
        ask("scancel", *numbers)
        until(lambda: not ask("squeue", "--noheader"), 60)
