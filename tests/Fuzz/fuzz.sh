#!/usr/bin/env bash
# Coverage-guided fuzzing: SharpFuzz instruments our assemblies (and ImageSharp), AFL++ drives them, one target after the other.
#   tests/Fuzz/fuzz.sh [--minutes N] [TARGET…]     N minutes for all targets together (180)
# It goes on where the last run ended (artifacts/fuzz/TARGET). What it finds is read again by the program as it is built, which says what is wrong;
# once mended, the file moves to tests/data/fuzz/TARGET, and ./build.sh test reads it ever after.
set -euo pipefail
cd "$(dirname "$0")/../.."

minutes=180 targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=$2; shift 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done

if ! command -v afl-fuzz >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends afl++ >/dev/null
  fi
  command -v afl-fuzz >/dev/null || { echo "Fuzzing needs AFL++: install the package 'afl++'." >&2; exit 1; }
fi

dotnet build tests/Fuzz -c Release --nologo -v quiet
dotnet tool restore >/dev/null
program=artifacts/bin/Fuzz/release/Fuzz
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <("$program" targets); fi

instrumented=$PWD/artifacts/fuzz/program
rm -rf "$instrumented"
mkdir -p artifacts/fuzz
cp -r artifacts/bin/Fuzz/release "$instrumented"
for assembly in Whatsit.Inference Whatsit.ModelConversion Whatsit.Server SixLabors.ImageSharp; do dotnet sharpfuzz "$instrumented/$assembly.dll"; done

# The program is a script to AFL++, and a machine is not set up for it; neither matters here.
export AFL_SKIP_BIN_CHECK=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_AUTORESUME=1
seconds=$((minutes * 60 / ${#targets[@]}))
for target in "${targets[@]}"; do
  folder=artifacts/fuzz/$target
  if [ ! -d "$folder/seeds" ]; then "$program" seeds "$target" "$folder/seeds"; fi
  # More memory than that is a finding, too. AFL++'s own limit is for addresses, of which .NET reserves far more than it uses.
  (ulimit -d 2000000; afl-fuzz -V "$seconds" -t 10000 -m none -i "$folder/seeds" -o "$folder/findings" -- dotnet "$instrumented/Fuzz.dll" afl "$target") \
    >"$folder/log" 2>&1 || { tail -20 "$folder/log" >&2; exit 1; }
done

stat() { sed -nE "s/^$2 *: (.*)/\1/p" "artifacts/fuzz/$1/findings/default/fuzzer_stats"; }
wrong=0
printf '%-12s %10s %10s %8s %8s %8s %6s\n' target minutes inputs corpus edges crashes hangs
for target in "${targets[@]}"; do
  printf '%-12s %10d %10s %8s %8s %8s %6s\n' "$target" $(($(stat "$target" run_time) / 60)) "$(stat "$target" execs_done)" "$(stat "$target" corpus_count)" \
    "$(stat "$target" edges_found)" "$(stat "$target" saved_crashes)" "$(stat "$target" saved_hangs)"
  mapfile -t found < <(find "artifacts/fuzz/$target/findings/default/crashes" "artifacts/fuzz/$target/findings/default/hangs" -name 'id:*')
  for file in "${found[@]}"; do
    # One by one: one that ends the process must not hide the others. A hang is one that takes a minute here.
    timeout 60 "$program" replay "$target" "$file" >"artifacts/fuzz/$target/replay" 2>&1 || { wrong=$((wrong + 1)); head -3 "artifacts/fuzz/$target/replay"; echo "$file"; }
  done
done
[ "$wrong" -eq 0 ]
