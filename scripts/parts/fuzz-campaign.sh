# shellcheck shell=bash disable=SC2154 # variables of scripts/fuzz
# A campaign: turns of all targets in rounds, several processes at once, and the table of how they get on. To be sourced by
# scripts/fuzz.
#
# Every process has a log, `logs/TARGET.WORKER.log`, of all its turns in this campaign. The table is made of the logs and of
# nothing else, so that another terminal can ask for it meanwhile.

# Processes by id, each with its target and worker.
declare -A running=()
# Targets that have no more turns.
declare -A ended=()
stopped_by=

log_of() { echo "$work/logs/$1.$2.log"; }

# A turn of a target, to be started in the background: turn TARGET WORKER.
turn() {
    local target="$1" left="$seconds" log code found=0 pid='' began=$EPOCHSECONDS folders
    log="$(log_of "$1" "$2")"
    mapfile -t folders < <(folders_of "$target")
    trap 'left=0; [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true' TERM INT
    while [ "$left" -gt 0 ]; do
        echo "-- began $EPOCHREALTIME" >>"$log"
        (fuzz_with "$target" -max_total_time="$left" -print_final_stats=1 -print_funcs=0 "${folders[@]}") >>"$log" 2>&1 </dev/null &
        pid=$! code=0
        # It may have been stopped before there was anything to stop.
        [ "$left" -gt 0 ] || kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" || code=$?
        # A wait that a signal interrupts has nothing to say about the process.
        while kill -0 "$pid" 2>/dev/null; do
            code=0
            wait "$pid" || code=$?
        done
        echo "-- ended $EPOCHREALTIME $code" >>"$log"
        # libFuzzer leaves with 72 if it was interrupted, and is ended by the signal while it starts.
        case "$code" in 0 | 72 | 143) return "$found" ;; esac
        found="$code"
        # What fails without an input fails again at once.
        if [ -z "$keep_going" ] || ! grep -q 'Test unit written to' "$log"; then break; fi
        [ "$left" -eq 0 ] || left=$((seconds - (EPOCHSECONDS - began)))
    done
    return "$found"
}

# Waits for a process to end, and says what it found.
reap() {
    local pid='' code=0 target worker log
    wait -n -p pid "${!running[@]}" || code=$?
    [ -n "${pid:-}" ] || return 0
    read -r target worker <<<"${running[$pid]}"
    unset "running[$pid]"
    [ "$code" -ne 0 ] || return 0
    failed=1
    [ -n "$keep_going" ] || ended[$target]=1
    log="$(log_of "$target" "$worker")"
    echo "found by $target, which ended with $code; its log is $log:"
    { grep -aE -A 1 'panicked at' "$log" | tail -n 2 || true; grep -aE '^SUMMARY|Test unit written to' "$log" || tail -n 5 "$log"; } |
        tail -n 4 | cut -c -300 | sed 's/^/    /'
}

stop() {
    local pid
    stopped_by="$1"
    for pid in "${!running[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
}

run() {
    local round=0 target worker workers began=$SECONDS
    build
    mkdir -p "$work/logs"
    for target in "${targets[@]}"; do
        rm -f "$work/logs/$target".*.log
    done
    workers=$(((jobs + ${#targets[@]} - 1) / ${#targets[@]}))
    failed=
    trap 'stop 130' INT
    trap 'stop 143' TERM
    while [ -z "$stopped_by" ] && { [ "$rounds" -eq 0 ] || [ "$round" -lt "$rounds" ]; }; do
        round=$((round + 1))
        for target in "${targets[@]}"; do
            [ -z "${ended[$target]:-}" ] || continue
            for ((worker = 1; worker <= workers; worker++)); do
                # A log is of one process at a time.
                while [ ${#running[@]} -ge "$jobs" ] || printf '%s\n' "${running[@]}" | grep -qx "$target $worker"; do reap; done
                [ -z "$stopped_by" ] || break 2
                [ -z "${ended[$target]:-}" ] || break
                [ "$worker" -gt 1 ] || echo "round $round, $((SECONDS - began)) s so far: $target for $seconds s"
                turn "$target" "$worker" &
                running[$!]="$target $worker"
                [ -z "$stopped_by" ] || stop "$stopped_by"
            done
        done
        [ ${#ended[@]} -lt ${#targets[@]} ] || break
    done
    while [ ${#running[@]} -gt 0 ]; do reap; done
    trap - INT TERM
    if [ -n "$minimise" ] && [ -z "$stopped_by" ]; then
        # shellcheck source=scripts/parts/fuzz-corpus.sh
        . scripts/parts/fuzz-corpus.sh
        minimise
    fi
    echo
    pace
    if [ -n "$failed" ]; then
        echo "Findings: scripts/fuzz triage --work $work"
        exit 1
    fi
    exit "${stopped_by:-0}"
}

# What the logs of one target say: executions, executions a second, seconds, coverage, features.
sum_of_logs() {
    awk -v now="$EPOCHREALTIME" '
        function close_turn(end) { if (began) seconds += end - began; executions += count; began = count = 0 }
        $1 == "--" && $2 == "began" { close_turn(began); began = $3 }
        $1 == "--" && $2 == "ended" { close_turn($3) }
        # "#4096 pulse  cov: 20 ft: 25 corp: 7/40b ...", and the last lines, which are exact.
        /^#[0-9]+[ \t]/ { count = substr($1, 2) + 0 }
        /^stat::number_of_executed_units:/ { count = $2 }
        match($0, / cov: [0-9]+ ft: [0-9]+/) {
            split(substr($0, RSTART, RLENGTH), words, " ")
            if (words[2] > coverage) coverage = words[2]
            if (words[4] > features) features = words[4]
        }
        END {
            close_turn(now)
            printf "%d %d %d %d %d\n", executions, seconds ? executions / seconds : 0, seconds, coverage, features
        }' "$@"
}

pace() {
    local target logs executions rate taken coverage features
    printf '%-14s %14s %10s %10s %8s %8s %9s %9s\n' target executions 'a second' seconds inputs coverage features findings
    for target in "${targets[@]}"; do
        mapfile -t logs < <(find "$work/logs" -name "$target.*.log" 2>/dev/null)
        if [ ${#logs[@]} -eq 0 ]; then
            printf '%-14s %14s\n' "$target" 'not run'
            continue
        fi
        read -r executions rate taken coverage features < <(sum_of_logs "${logs[@]}")
        printf '%-14s %14d %10d %10d %8d %8d %9d %9d\n' "$target" "$executions" "$rate" "$taken" \
            "$(find "$work/corpus/$target" -type f 2>/dev/null | wc -l)" "$coverage" "$features" \
            "$(findings_of "$target" | wc -l)"
    done
}
