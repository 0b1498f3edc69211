#!/bin/bash
#SBATCH --job-name=smd_producer
#SBATCH --exclusive
#SBATCH --signal=B:TERM@120

# Run the producer as a Slurm job; see -h, and docs/producer.md.

set -euo pipefail

usage() {
    cat <<'END'
usage: submit_smd.sh -r RUNS -e EXP [-q PARTITION] [-n CORES] [-a ACCOUNT] [--mpi]
                     [further options of smd_producer.py]
       sbatch [options of sbatch] submit_smd.sh -r RUNS -e EXP [...]

Run smd_producer.py as a Slurm job.  Called plainly, it submits itself.

  -r, --run         as for smd_producer.py [$RUN_NUM]
  -e, --experiment  the same [$EXPERIMENT]
  -q, --queue       partition [that of the cluster, or $SBATCH_PARTITION]
  -n, --ncores      worker processes, on several nodes if need be [all of one node]
  -a, --account     [$ARP_SLURM_ACCOUNT, else lcls:<EXP> at SLAC, else your own]
  --mpi             use MPI, which several nodes do anyway
  -h, --help        this text

The number of events, which smd_producer.py also knows as -n, is --nevents here.  A job
that reached its time limit, or was cancelled, goes on when it is submitted once more.
END
}

fail() {
    echo "error: $*" >&2
    exit 2
}

read_options() {
    queue='' cores='' account='' mpi='' submitted=''
    experiment=${EXPERIMENT:-}
    producer_options=()
    while (($#)); do
        case $1 in
            -h | --help) usage && exit 0 ;;
            --mpi) mpi=yes ;;
            --submitted) submitted=yes ;;
            -q | --queue | -n | --ncores | -a | --account | -e | --experiment)
                (($# > 1)) || fail "$1 needs a value; -h tells more"
                take "$1" "$2"
                shift
                ;;
            --queue=* | --ncores=* | --account=* | --experiment=*)
                take "${1%%=*}" "${1#*=}"
                ;;
            *) producer_options+=("$1") ;;
        esac
        shift
    done
    [[ -z $cores || $cores =~ ^[1-9][0-9]*$ ]] ||
        fail "--ncores $cores is not a number above 0"
}

take() {
    case $1 in
        -q | --queue) queue=$2 ;;
        -n | --ncores) cores=$2 ;;
        -a | --account) account=$2 ;;
        -e | --experiment)
            experiment=$2
            producer_options+=(-e "$2")
            ;;
    esac
}

# What another MPI job has left in the environment would confuse this one.
forget_other_jobs() {
    local name
    while read -r name; do
        case $name in
            SLURM_CONF | OMPI_ALLOW_RUN_AS_ROOT*) ;;
            OMPI_* | OPAL_* | ORTE_* | PRTE_* | PMI_* | PMIX_* | HYDRA_* | MPI_LOCAL*)
                unset "$name"
                ;;
            SLURM_* | SLURMD_*) in_batch || unset "$name" ;;
        esac
    done < <(compgen -e)
}

# Slurm runs a copy of the script, by this name.
in_batch() {
    [[ -n ${SLURM_JOB_ID:-} && ${BASH_SOURCE[0]##*/} == slurm_script ]]
}

script_path() {
    if in_batch; then
        local job
        job=$(scontrol show job --oneliner "$SLURM_JOB_ID")
        job=${job#* Command=}
        job=${job%% WorkDir=*}
        # The arguments stand behind the path.
        echo "${job%%/submit_smd.sh*}/submit_smd.sh"
    else
        readlink -f "${BASH_SOURCE[0]}"
    fi
}

# Tell whether -q, -n or -a ask for another job than this one, which sbatch has made
# without a look at them.
other_job_asked() {
    [[ -z $submitted ]] && {
        [[ -n $queue && $queue != "$SLURM_JOB_PARTITION" ]] ||
            [[ -n $cores && $cores != "${SLURM_NTASKS:-}" ]] ||
            [[ -n $account && $account != "${SLURM_JOB_ACCOUNT:-}" ]]
    }
}

submit() {
    command -v sbatch >/dev/null ||
        fail "there is no sbatch here; without Slurm: $folder/smd_producer.py"
    local options=()
    account=${account:-${ARP_SLURM_ACCOUNT:-}}
    if [[ -z $account && -n $experiment && -d /sdf/data/lcls/ds ]]; then
        account=lcls:$experiment
    fi
    [[ -z $account ]] || options+=(--account="$account")
    [[ -z $queue ]] || options+=(--partition="$queue")
    # Whoever says how many cores needs no whole node.
    [[ -z $cores ]] || options+=(--ntasks="$cores" --oversubscribe)
    exec sbatch "${options[@]}" "$folder/submit_smd.sh" --submitted \
        ${mpi:+--mpi} "${producer_options[@]}"
}

# The shell becomes the producer, so that Slurm's SIGTERM reaches it: it finishes the
# parts in hand, and the next job goes on with them.  Over MPI the shell stays.
work() {
    local python tasks=${SLURM_NTASKS:-}
    python=$(command -v python3) || fail "there is no python3"
    python=$("$python" "$folder/environment.py")
    if [[ -z $mpi && ${SLURM_JOB_NUM_NODES:-1} == 1 ]]; then
        [[ -n $tasks ]] || tasks=$SLURM_CPUS_ON_NODE
        exec "$python" "$folder/smd_producer.py" \
            --nproc "$tasks" "${producer_options[@]}"
    fi
    export PS_PARALLEL=none
    # One process more, which hands out the work and does none.
    run_mpi "$(mpirun_of "$python")" -n "$((${tasks:-$SLURM_CPUS_ON_NODE} + 1))" \
        --oversubscribe "$python" -m mpi4py.futures "$folder/smd_producer.py" \
        "${producer_options[@]}"
}

# mpirun kills all its processes at SIGTERM, and hands SIGUSR1 on to them.
run_mpi() {
    local job code=0
    "$@" &
    job=$!
    trap 'kill -USR1 "$job"' TERM INT USR1
    # A signal to the shell ends the waiting, too.
    while kill -0 "$job" 2>/dev/null; do wait "$job" || true; done
    wait "$job" || code=$?
    # Before there is work in hand, the signal kills.
    ((code != 128 + $(kill -l USR1))) || code=143
    exit "$code"
}

mpirun_of() {
    local beside
    beside=$(dirname "$1")/mpirun
    if [[ -x $beside ]]; then echo "$beside"; else command -v mpirun; fi
}

read_options "$@"
forget_other_jobs
path=$(script_path)
folder=$(dirname "$path")
if in_batch && ! other_job_asked; then work; else submit; fi
