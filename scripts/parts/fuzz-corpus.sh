# shellcheck shell=bash disable=SC2154 # variables of scripts/fuzz
# What is done with inputs that are there: run them all once, cut them down, see which lines they reach. To be sourced by
# scripts/fuzz.

replay() {
    local target folders code=0
    build
    for target in "${targets[@]}"; do
        mapfile -t folders < <(folders_of "$target")
        echo "$target: $(find "${folders[@]}" -type f | wc -l) inputs"
        (fuzz_with "$target" -runs=0 -verbosity=0 "${folders[@]}") </dev/null || code=1
    done
    [ "$code" -eq 0 ] || echo "Findings: scripts/fuzz triage --work $work"
    return "$code"
}

minimise() {
    local target options before
    mkdir -p "$work/logs"
    for target in "${targets[@]}"; do
        before="$(find "$work/corpus/$target" -type f 2>/dev/null | wc -l)"
        [ "$before" -gt 0 ] || continue
        mapfile -t options < <(options_of "$target")
        # Paths, since cargo-fuzz takes relative ones to be somewhere in its own folder.
        TMPDIR="$scratch" cargo fuzz cmin "${flags[@]}" "$target" "$(realpath "$work/corpus/$target")" -- "${options[@]}" \
            </dev/null >"$work/logs/$target.minimise.log" 2>&1 ||
            { tail -n 20 "$work/logs/$target.minimise.log" && return 1; }
        echo "$target: $before inputs became $(find "$work/corpus/$target" -type f | wc -l)"
    done
}

# The folder of llvm-profdata and llvm-cov that belong to this compiler: others may not read what it writes.
llvm_folder() {
    local folder
    for folder in "${LLVM_TOOLS:-}" "$(rustc --print sysroot)/lib/rustlib/$host/bin"; do
        [ ! -x "$folder/llvm-cov" ] || [ ! -x "$folder/llvm-profdata" ] || { echo "$folder" && return; }
    done
    cat >&2 <<ERROR
error: llvm-cov and llvm-profdata are missing. With rustup: rustup component add llvm-tools. Otherwise name a folder with
those of LLVM $(rustc -vV | sed -n 's/^LLVM version: //p') in LLVM_TOOLS.
ERROR
    exit 1
}

# What is ours to cover: neither the libraries, nor the targets themselves.
foreign="/registry/src/|/git/checkouts/|/rustc/|/library/std/|^$PWD/fuzz/|/tests/support/"

# Writes a report: report_coverage NAME PROFILE PROGRAM...
report_coverage() {
    local name="$1" out="fuzz/coverage/$1" profile="$2" first="$3" objects=() program
    shift 3
    for program in "$@"; do objects+=(-object "$program"); done
    "$llvm/llvm-cov" report "$first" "${objects[@]}" -instr-profile="$profile" -ignore-filename-regex="$foreign" >"$out/report.txt"
    "$llvm/llvm-cov" show "$first" "${objects[@]}" -instr-profile="$profile" -ignore-filename-regex="$foreign" \
        -format=html -output-dir="$out/html" >/dev/null
    echo "$name: $(awk '$1 == "TOTAL" { print $10 " of the lines, " $7 " of the functions" }' "$out/report.txt") (fuzz/coverage/$name/)"
}

coverage() {
    local target folders llvm built programs=() profiles=()
    llvm="$(llvm_folder)"
    # Apart from the other builds, so that a campaign can go on.
    built="$(build_folder)/coverage"
    for target in "${targets[@]}"; do
        mapfile -t folders < <(folders_of "$target" | xargs -d '\n' realpath)
        TMPDIR="$scratch" cargo fuzz coverage -O --sanitizer none --llvm-path "$llvm" --target-dir "$built" "$target" "${folders[@]}" </dev/null
        programs+=("$built/$host/release/$target")
        profiles+=("fuzz/coverage/$target/coverage.profdata")
        report_coverage "$target" "${profiles[-1]}" "${programs[-1]}"
    done
    [ ${#targets[@]} -gt 1 ] || return 0
    mkdir -p fuzz/coverage/all
    "$llvm/llvm-profdata" merge -sparse "${profiles[@]}" -o fuzz/coverage/all/coverage.profdata
    report_coverage all fuzz/coverage/all/coverage.profdata "${programs[@]}"
}
