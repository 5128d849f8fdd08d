#!/usr/bin/env bash
# A real Slurm on this machine, for tests: as root, without systemd, with all of its state in one folder.
#
#     .ci/slurm.sh install                      # munge, slurmctld, slurmd and their commands, by apt
#     .ci/slurm.sh start FOLDER                 # one node with the CPUs of this machine
#     .ci/slurm.sh start FOLDER 4 16            # four nodes of 16 CPUs each, which this machine only pretends to have
#     .ci/slurm.sh stop FOLDER                  # end what was started, by its process ids
#
# `start` installs what is missing, prints the path of slurm.conf when every node is idle, and leaves the machine's own
# Slurm, if it has one, alone: whoever sets SLURM_CONF to that path talks to the one of the folder.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

packages=(munge slurmctld slurmd slurm-client)
programs=(munged slurmctld slurmd sbatch)
start_s=30

say() { echo "slurm.sh: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

install_packages() {
    local program missing=()
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || fail "there is no ${missing[*]}, and no apt to install it by"
    ((EUID == 0)) || fail "there is no ${missing[*]}; as root, run: apt-get install ${packages[*]}"
    say "installing ${packages[*]}"
    local log
    log=$(mktemp --tmpdir nutmill-slurm-install.XXXXXX.log)
    apt-get update >"$log" 2>&1 || true # an index that is old, or in part, may do
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}" >>"$log" 2>&1 ||
        fail "apt-get could not install ${packages[*]}; see $log"
    rm "$log"
}

free_port() { # of some that nothing listens to
    local port
    while port=$((20000 + RANDOM % 12000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

node_lines() {
    local k
    for ((k = 1; k <= nodes; k++)); do
        echo "NodeName=n$k NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$(free_port) CPUs=$cpus RealMemory=1000"
    done
}

write_configuration() {
    # A node that only pretends cannot bind its tasks to CPUs; linuxproc needs no cgroup.
    local binding=task/affinity
    ((nodes == 1)) || binding=task/none
    cat >"$folder/slurm.conf" <<END
ClusterName=nutmill
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=$binding
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1
MinJobAge=300
KillWait=5
$(node_lines)
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

start_munge() {
    install --directory --owner=munge --group=munge --mode=0755 "$folder/munge"
    local key=$folder/munge/key
    head --bytes=128 /dev/urandom >"$key"
    chown munge:munge "$key"
    chmod 400 "$key"
    runuser --user munge -- munged --socket="$folder/munge/socket" --key-file="$key" \
        --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" ||
        fail "munged does not start; see $folder/munge/log"
}

are_idle() { [[ $(sinfo --noheader --format='%D %T' 2>/dev/null) == "$nodes idle" ]]; }

start() {
    ((EUID == 0)) || fail "only root can start slurmd"
    install_packages
    mkdir -p "$folder/state"
    chmod 755 "$folder" # munge's own user has to reach the socket
    trap 'stop' ERR
    write_configuration
    start_munge
    slurmctld
    local k
    for ((k = 1; k <= nodes; k++)); do
        mkdir -p "$folder/spool.n$k"
        slurmd -N "n$k"
    done
    local deadline=$((SECONDS + start_s))
    until are_idle; do
        ((SECONDS < deadline)) || {
            stop
            fail "the nodes are not idle after $start_s s; see the logs in $folder"
        }
        sleep 0.1
    done
    echo "$SLURM_CONF"
}

stop() {
    trap - ERR
    if are_reachable; then # jobs first: what slurmd has started would outlive it
        scancel --me 2>/dev/null || true
        local deadline=$((SECONDS + 10))
        while ((SECONDS < deadline)) && [[ -n $(squeue --noheader 2>/dev/null) ]]; do sleep 0.1; done
    fi
    local id ids
    mapfile -t ids < <(cat "$folder"/slurmd.*.pid "$folder/slurmctld.pid" "$folder/munge/pid" 2>/dev/null)
    for id in "${ids[@]}"; do kill "$id" 2>/dev/null || true; done
    local deadline=$((SECONDS + 10))
    for id in "${ids[@]}"; do
        while kill -0 "$id" 2>/dev/null; do
            ((SECONDS < deadline)) || fail "process $id does not end; see the logs in $folder"
            sleep 0.1
        done
    done
}

are_reachable() { [[ -s $folder/slurmctld.pid ]] && timeout 5 scontrol ping >/dev/null 2>&1; }

usage="usage: slurm.sh install | start FOLDER [NODES CPUS] | stop FOLDER"
action=${1:?$usage}
[[ $action == install ]] && { install_packages; exit; }
mkdir -p "${2:?$usage}"
folder=$(cd "$2" && pwd)
nodes=${3:-1}
cpus=${4:-$(nproc)}
export SLURM_CONF=$folder/slurm.conf
case $action in
start | stop) "$action" ;;
*) fail "$usage" ;;
esac
