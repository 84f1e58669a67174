# shellcheck shell=bash disable=SC2154 # variables of scripts/fuzz
# Findings: each artifact is run again, and those that fail at the same place are one finding. To be sourced by scripts/fuzz.

# How long libFuzzer tries to make one input smaller.
MINIMISE_SECONDS=60

# Runs one input and keeps what is printed: run_again TARGET FILE LOG. Fails as the target does.
run_again() {
    (export RUST_BACKTRACE=1 && fuzz_with "$1" "$2") </dev/null >"$3" 2>&1
}

# What tells findings apart, on one line: the place of a panic, or what the sanitizer or libFuzzer says in short.
place_of() {
    local place
    place="$(sed -nE 's/^thread .* panicked at (.*):$/panicked at \1/p' "$1" | head -n 1)"
    [ -n "$place" ] || place="$(sed -nE 's/^SUMMARY: //p' "$1" | sed -E 's/ \(.*//; s/0x[0-9a-f]+/ADDRESS/g' | head -n 1)"
    place="${place:-ended without a word}"
    echo "${place//"$PWD/"/}"
}

# The message of a panic: the line behind its place.
message_of() {
    sed -nE '/^thread .* panicked at /{n;p;q}' "$1" | cut -c -200
}

# The innermost calls within this repository, where the program could name them.
stack_of() {
    local name='' line
    while read -r line; do
        case "$line" in
        [0-9]*": "*) name="${line#*: }" ;;
        "at $PWD/"* | "at ./"*)
            line="${line#at }" && line="${line#./}" && line="${line#"$PWD/"}"
            # Others, like the C library, were built in a folder of this name.
            [ ! -f "${line%%:*}" ] || echo "in $name ($line)"
            ;;
        esac
    done <"$1" | head -n 6
}

# A smaller input that fails at the same place, if there is one: minimised TARGET FILE PLACE.
minimised() {
    local log="$scratch/minimised.log" out="$work/artifacts/$1/minimised-${2##*/}"
    rm -f "$out"
    (fuzz_with "$1" -minimize_crash=1 -max_total_time="$MINIMISE_SECONDS" -exact_artifact_path="$out" "$2") \
        </dev/null >"$log" 2>&1 || true
    if [ ! -s "$out" ] || [ "$(stat -c %s "$out")" -ge "$(stat -c %s "$2")" ] || run_again "$1" "$out" "$log"; then
        rm -f "$out"
        echo "no smaller input"
    elif [ "$(place_of "$log")" = "$3" ]; then
        echo "$(stat -c %s "$out") bytes in $out"
    else
        echo "no smaller input of this finding, but one of another: $out ($(place_of "$log"))"
    fi
}

# Tells of one finding: tell TARGET PLACE FILE... The smallest file is first.
tell() {
    local target="$1" place="$2" log="$scratch/${3##*/}.log"
    shift 2
    printf '\n%s: %s\n' "$target" "$place"
    message_of "$log" | sed 's/^/    /'
    stack_of "$log" | sed 's/^/    /'
    printf '    %d artifacts, the smallest of %d bytes: %s\n' $# "$(stat -c %s "$1")" "$1"
    [ -z "$minimise" ] || printf '    minimised: %s\n' "$(minimised "$target" "$1" "$place")"
}

triage() {
    local target file log place same count=0 gone=()
    local -A files
    build
    for target in "${targets[@]}"; do
        files=()
        # The smallest first, so that it stands for its finding.
        while read -r file; do
            log="$scratch/${file##*/}.log"
            if run_again "$target" "$file" "$log"; then
                gone+=("$file")
            else
                files["$(place_of "$log")"]+="$file"$'\n'
            fi
        done < <(findings_of "$target" | xargs -r ls -Sr)
        for place in "${!files[@]}"; do
            count=$((count + 1))
            mapfile -t same < <(printf '%s' "${files[$place]}")
            tell "$target" "$place" "${same[@]}"
        done
    done
    if [ ${#gone[@]} -gt 0 ]; then
        printf '\nThese pass now; remove them if that was mended, or look for what else they depended on:\n'
        printf '    %s\n' "${gone[@]}"
    fi
    [ "$count" -gt 0 ] || { printf '\nno findings\n' && return; }
    cat <<NEXT

$count findings. For each:
    run it alone     $built/TARGET FILE
    make it smaller  scripts/fuzz triage --minimise --work $work TARGET
    keep it          cp FILE fuzz/seeds/TARGET/what-goes-wrong   (every run begins with the seeds)
    and write a test of the behaviour beside the code at fault; docs/fuzzing.md says how inputs are read.
NEXT
    return 1
}
