"""A real SLURM of one node, with two fake GPUs: started here, stopped here.

By hand: `python tests/helpers/cluster.py` starts it, says what to try, and stops it on Enter or Ctrl-C.

SLURM reads `/etc/slurm/slurm.conf` and nothing else: the Snakemake plugin strips all `SLURM_*` variables, also the one
that would name another file, from what its jobs start. Everything else lies in a temporary folder.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ETC = Path("/etc/slurm")
PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sbatch", "sacct")
MARK = "# Of clipfold's tests; they may replace it.\n"

# A job that is over its memory is found by polling (OverMemoryKill): that works on any machine, also where control
# groups are out of reach. What no node can give is refused at once (EnforcePartLimits). CPUs and memory are claimed,
# not real. The partition `urgent` takes its place from jobs of the others, which are queued again.
SLURM_CONF = """
ClusterName=clipfold
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation={run}/slurmctld
SlurmdSpoolDir={run}/slurmd
SlurmctldPidFile={run}/slurmctld.pid
SlurmdPidFile={run}/slurmd.pid
SlurmctldLogFile={run}/slurmctld.log
SlurmdLogFile={run}/slurmd.log
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=5,bf_interval=5,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
EnforcePartLimits=ALL
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MinJobAge=300
KillWait=30
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes={host} Default=YES MaxTime=1440 State=UP PriorityTier=1
PartitionName=gpu Nodes={host} MaxTime=1440 State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=1440 State=UP PriorityTier=9
"""

GRES_CONF = "AutoDetect=off\nNodeName={host} Name=gpu File={run}/gpu[0-1]\n"

SLURMDBD_CONF = """
AuthType=auth/munge
DbdAddr=127.0.0.1
DbdHost={host}
SlurmUser=root
LogFile={run}/slurmdbd.log
PidFile={run}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
CommunicationParameters=NoInAddrAny
"""


def missing() -> str:
    """Why no SLURM can be started here; nothing if one can."""
    if os.geteuid():
        return "starting SLURM takes root"
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    if lacking:
        return f"no {', '.join(lacking)}: apt-get install slurm-wlm munge slurmdbd mariadb-server"
    conf = ETC / "slurm.conf"
    if conf.exists() and not conf.read_text().startswith(MARK):
        return f"{conf} is of another SLURM, which is left alone"
    return ""


class Cluster:
    """The running SLURM."""

    def __init__(self) -> None:
        self.run = Path(tempfile.mkdtemp(prefix="clipfold-slurm-"))
        self.run.chmod(0o755)
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> "Cluster":
        host = socket.gethostname().partition(".")[0]
        for folder in ("slurmctld", "slurmd"):
            (self.run / folder).mkdir(mode=0o755)
        for number in range(2):  # a count alone is refused; any device file will do
            os.mknod(self.run / f"gpu{number}", 0o666 | 0o020000, os.makedev(1, 3))
        texts = {"slurm.conf": SLURM_CONF, "gres.conf": GRES_CONF, "slurmdbd.conf": SLURMDBD_CONF}
        ETC.mkdir(exist_ok=True)
        for name, text in texts.items():
            (ETC / name).write_text(MARK + text.format(host=host, run=self.run))
        (ETC / "slurmdbd.conf").chmod(0o600)
        try:
            self._start_accounting()
            self._daemon("slurmctld", "-D", "-c")
            self._until(lambda: "is UP" in self._try("scontrol", "ping"))
            self._daemon("slurmd", "-D")
            self._until(lambda: self._try("sinfo", "-h", "-o", "%T").split()[:1] == ["idle"])
        except BaseException:
            self.stop()
            raise
        return self

    def _start_accounting(self) -> None:
        if subprocess.run(["munge", "-n"], capture_output=True).returncode:
            Path("/run/munge").mkdir(mode=0o755, exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            self._daemon("munged", "--foreground", user="munge")
            self._until(lambda: bool(self._try("munge", "-n")))
        database = self.run / "mysql"
        plain = ("--no-defaults", "--user=root", f"--datadir={database}")
        command = ["mariadb-install-db", *plain, "--auth-root-authentication-method=socket", "--skip-test-db"]
        subprocess.run(command, check=True, capture_output=True)
        Path("/run/mysqld").mkdir(exist_ok=True)  # where slurmdbd looks for `localhost`
        small = ("--innodb-buffer-pool-size=32M", "--innodb-lock-wait-timeout=900", "--performance-schema=off")
        at = ("--skip-networking", "--socket=/run/mysqld/mysqld.sock", f"--pid-file={self.run}/mariadbd.pid")
        self._daemon("mariadbd", *plain, *small, *at)
        self._until(lambda: "alive" in self._try("mariadb-admin", "--no-defaults", "ping"))
        self._daemon("slurmdbd", "-D")
        self._until(lambda: "Cluster" in self._try("sacctmgr", "list", "cluster"))
        self.do("sacctmgr", "-i", "add", "cluster", "clipfold")

    def stop(self) -> None:
        self._try("scancel", "--user=root")
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        # A configuration without daemons makes every start of Snakemake wait for seconds.
        for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
            (ETC / name).unlink(missing_ok=True)
        shutil.rmtree(self.run, ignore_errors=True)

    def do(self, *command: str) -> str:
        """What a command of SLURM says."""
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def jobs(self, *fields: str) -> list[dict[str, str]]:
        """All jobs since the start, also those that ended, oldest first; the rule is in the field `Comment`."""
        wanted = ("JobIDRaw", *fields)
        output = self.do("sacct", "-X", "-n", "-P", "-D", "-S", "now-1day", "-o", ",".join(wanted))
        return [dict(zip(wanted, line.split("|"), strict=True)) for line in output.splitlines()]

    def running(self, rule: str) -> str | None:
        """Id of a job of a rule whose command runs."""
        for line in self.do("squeue", "-h", "-t", "R", "-o", "%i %k").splitlines():
            job, _, comment = line.partition(" ")
            if comment.startswith(f"rule_{rule}_"):
                return job
        return None

    def _daemon(self, *command: str, user: str = "root") -> None:
        with open(self.run / f"{command[0]}.out", "wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, user=user)
        self._daemons.append(process)

    def _try(self, *command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True).stdout

    def _until(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if ready():
                return
            for daemon in self._daemons:
                if daemon.poll() is not None:
                    raise RuntimeError(f"{daemon.args[0]} ended: {self._logs()}")
            time.sleep(0.2)
        raise RuntimeError(f"SLURM does not come up: {self._logs()}")

    def _logs(self) -> str:
        files = [*self.run.glob("*.out"), *self.run.glob("*.log")]
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1000:]}" for path in files)


if __name__ == "__main__":
    reason = missing()
    if reason:
        raise SystemExit(reason)
    cluster = Cluster().start()
    try:
        print(cluster.do("sinfo"))
        input("SLURM runs; Enter stops it. ")
    finally:
        cluster.stop()
