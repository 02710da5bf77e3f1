#!/usr/bin/env bash
# One command does it, here and in CI:
#   ./build.sh build    install what is missing, build everything
#   ./build.sh run      build, then serve on http://localhost:8080 (PORT overrides)
#   ./build.sh test     every .NET, client and browser test; the last line reads "N passed, N failed"
#   ./build.sh e2e      only the browser tests, against the published server
#   ./build.sh hostile  send the published server what strangers may send, and write the table in tests/README.md (--help: what else)
#   ./build.sh bench    the benchmarks, and their tables in tests/Benchmarks/README.md (--quick: a minute or two; --help: what else)
#   ./build.sh bench many      whatsit classify over 100,000 small photos: photos in a second, and the most memory at every 10,000 (--count N)
#   ./build.sh soak     half an hour at 80 % of capacity, good, bad and slow requests mixed: slopes of memory and descriptors (--minutes N)
#   ./build.sh fuzz     three hours of coverage-guided fuzzing of whatever reads bytes from strangers (--minutes N, names of targets; installs AFL++)
#   ./build.sh tool     pack the command `whatsit` and put it on the PATH (--tool-path DIR: there instead; --all: pack for every platform and install nothing)
#   ./build.sh training pack and install the program that whatsit train --fine-tune starts (600 MB of libtorch; --tool-path DIR: there)
#   ./build.sh training-check  what trains, tried in a Debian 13 where this system cannot load libtorch (root on Debian; a minute, once)
#   ./build.sh packages pack the libraries Whatsit.Inference and Whatsit.Vips into artifacts/package
#   ./build.sh tool-check   install `whatsit` from its package in an empty folder, import, classify, serve
#   ./build.sh publish-check   publish for every platform and read what is inside (or for those named: linux-x64 osx-arm64 …)
#   ./build.sh image-check     build the Dockerfile without a container engine and start what it makes (root on Debian)
#   ./build.sh locks    write the lock files of all platforms anew, after a change of packages (locks/)
#   ./build.sh openapi  write docs/openapi.json and the page's types anew, after a change of the routes (--breaking: even where it breaks clients)
#   ./build.sh audit    ask both registries for known vulnerabilities
#   ./build.sh sbom     write bills of materials (CycloneDX) of server, command and page into artifacts/sbom
#   ./build.sh format   check (or with --fix, mend) the formatting of all sources
set -euo pipefail
cd "$(dirname "$0")"

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en
CONFIGURATION=${CONFIGURATION:-Release}
configuration_folder=${CONFIGURATION,,}
# What both engines are there for, and locked (Directory.Build.targets).
PLATFORMS=(linux-x64 linux-arm64 linux-musl-x64 osx-arm64 win-x64)
passed=0 failed=0 skipped=0
# What failed, told once more before the last line: a whole run's log is long.
mistakes=()

need() {
  command -v "$1" >/dev/null || { echo "Whatsit needs $2; it was not found on the PATH." >&2; exit 1; }
}

install_client() {
  need node "Node.js 20 or later"
  if [ ! -e client/node_modules/.package-lock.json ] || [ client/package-lock.json -nt client/node_modules/.package-lock.json ]; then
    (cd client && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error && touch node_modules/.package-lock.json)
  fi
}

install_browser() {
  command -v chromium >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
  fi
  command -v chromium >/dev/null || { echo "The browser tests need Chromium: install the package 'chromium'." >&2; return 1; }
}

build() {
  need dotnet "the .NET SDK 10"
  install_client
  dotnet build Server.sln -c "$CONFIGURATION" --nologo -v quiet
}

# Runs a command: then `code` is how it ended, and the file `log` what it said.
log=
attempt() {
  if [ -z "$log" ]; then log=$(mktemp); trap 'rm -f "$log"' EXIT; fi
  code=0
  "$@" 2>&1 | tee "$log" || code=$?
}

# Adds one runner's counts to the totals; a runner that died without a count is a failure. Of one that failed the log is remembered: what xunit says of each
# failed test, else the end, where the other runners name theirs.
count() {
  local name=$1 code=$2 p=${3:-} f=${4:-} s=${5:-0} found
  if [ -z "$p" ]; then p=0 f=1; fi
  if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  if [ "$f" -gt 0 ]; then
    mistakes+=("== $name: $f failed")
    if [ -s "$log" ]; then
      found=$(awk '/ \[FAIL\]$/ && tests++ < 20 { left = 13 } left-- > 0' "$log")
      mistakes+=("$(sed -E 's/\x1b\[[0-9;]*m//g; s/^(.{400}).*/\1…/' <<<"${found:-$(tail -n 40 "$log")}")")
    fi
  fi
  if [ -n "$log" ]; then : >"$log"; fi
  echo "== $name: $p passed, $f failed, $s skipped"
}

# Counts what xunit.v3 said: "Total: 9, Errors: 0, Failed: 0, Skipped: 0, Not Run: 0, Time: 0.1s"
count_xunit() {
  local name=$1 counts
  counts=$(sed -nE 's/.*Total: ([0-9]+), Errors: ([0-9]+), Failed: ([0-9]+), Skipped: ([0-9]+), Not Run: ([0-9]+).*/\1 \2 \3 \4 \5/p' "$log" | tail -1)
  if [ -n "$counts" ]; then
    read -r total errors failures skips not_run <<<"$counts"
    count "$name" "$code" $((total - failures - skips - not_run)) $((failures + errors)) "$skips"
  else
    count "$name" 1
  fi
}

# Runs a program that counts for itself: a line of it reads "N passed, N failed", and ", N skipped" where something was.
count_program() {
  attempt "${@:2}"
  # shellcheck disable=SC2046
  count "$1" "$code" $(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$log")
}

test_dotnet() {
  local project name
  for project in tests/*.Tests; do
    name=$(basename "$project")
    attempt "artifacts/bin/$name/$configuration_folder/$name" -noColor
    count_xunit "$name"
  done
}

# Vitest and Playwright both write JSON; node reads it.
count_json() {
  local name=$1 file=$2 counts
  counts=$(node -e '
    const report = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const s = report.stats;
    console.log(s ? [s.expected + s.flaky, s.unexpected, s.skipped].join(" ")
                  : [report.numPassedTests, report.numFailedTests + (report.numFailedTestSuites > 0 && report.numFailedTests === 0 ? 1 : 0), report.numPendingTests + report.numTodoTests].join(" "));
  ' "$file" 2>/dev/null) || counts=""
  # shellcheck disable=SC2086
  count "$name" "$code" $counts
}

check_client() (cd client && npm run --silent lint && npm run --silent typecheck && npx vitest run --reporter=default --reporter=json --outputFile.json="$1")

test_client() {
  local report=$PWD/artifacts/client-tests.json
  install_client
  rm -f "$report"
  attempt check_client "$report"
  count_json "client" "$report"
}

# Once in a run: the browser tests and the hostile inputs are sent to the same server.
published=
publish() {
  [ -z "$published" ] || return 0
  dotnet publish src/Server -c Release --nologo -v quiet -o artifacts/server
  published=yes
}

check_browser() (cd client && WHATSIT_SERVER="../artifacts/server/Whatsit.Server" PLAYWRIGHT_JSON_OUTPUT_NAME="$1" npx playwright test --reporter=list,json)

test_browser() {
  local report=$PWD/artifacts/browser-tests.json
  install_client
  if ! install_browser; then count "browser" 1; return; fi
  rm -f "$report"
  publish
  attempt check_browser "$report"
  count_json "browser" "$report"
}

# What NuGet restores is the same for everyone: a file for each project and platform (Directory.Build.targets).
lock() {
  local platform project
  rm -rf locks
  for platform in "${PLATFORMS[@]}"; do
    for project in Server ModelTools; do
      dotnet restore "src/$project" -p:RuntimeIdentifier="$platform" -p:UpdateLocks=true --force-evaluate -v quiet
    done
  done
  dotnet restore Server.sln -p:UpdateLocks=true --force-evaluate -v quiet
  # 600 MB for each platform: this one's.
  for project in src/Training tests/Training; do dotnet restore "$project" -p:UpdateLocks=true --force-evaluate -v quiet; done
}

# What the server says of its routes, and the page's types made of it.
openapi() {
  local how=renew
  [ "${1:-}" != --breaking ] || how=breaking
  install_client
  dotnet build tests/Server.Tests -c "$CONFIGURATION" --nologo -v quiet -p:BuildClient=false
  WHATSIT_OPENAPI=$how "artifacts/bin/Server.Tests/$configuration_folder/Server.Tests" -noColor -method '*.The_committed_document_is_the_one_that_is_served'
  (cd client && npm run --silent api)
}

# The format and processor that a program or library was compiled for, from its header, in the words of .NET's runtime identifiers.
platform_of() {
  local header machine offset
  header=$(head -c 4 "$1" | od -An -tx1 | tr -d ' \n')
  case $header in
    7f454c46) # ELF: e_machine at 18, https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
      machine=$(od -An -tx2 -j18 -N2 "$1" | tr -d ' ')
      case $machine in 003e) machine=x64 ;; 00b7) machine=arm64 ;; esac
      # The C library is named among those that it needs; a library that needs none fits both.
      if grep -q 'libc\.musl-' "$1"; then echo "linux-musl-$machine"; else echo "linux-$machine"; fi ;;
    cffaedfe) # Mach-O, 64 bits: cputype at 4, mach/machine.h
      case $(od -An -tx4 -j4 -N4 "$1" | tr -d ' ') in 0100000c) echo osx-arm64 ;; 01000007) echo osx-x64 ;; *) echo osx ;; esac ;;
    4d5a*) # PE: the header's offset at 0x3c, Machine 4 bytes into it, https://learn.microsoft.com/windows/win32/debug/pe-format
      offset=$(od -An -tu4 -j60 -N4 "$1" | tr -d ' ')
      case $(od -An -tx2 -j$((offset + 4)) -N2 "$1" | tr -d ' ') in 8664) echo win-x64 ;; aa64) echo win-arm64 ;; *) echo win ;; esac ;;
    *) echo "nothing that is known ($header)" ;;
  esac
}

# One that this machine is not, for the short form of publish-check.
foreign_platform() { if [ "$(uname)" = Darwin ]; then echo linux-x64; else echo osx-arm64; fi; }

# Publishes for each platform and sees that the program and both engines are that platform's, and no other's is beside them.
publish_check() {
  local platform project folder file found name suffix good=0 bad=0
  for platform in "$@"; do
    for project in Server ModelTools; do
      folder=artifacts/publish-check/$platform/$project
      rm -rf "$folder"
      if ! dotnet publish "src/$project" -c Release -r "$platform" --nologo -v quiet -o "$folder"; then bad=$((bad + 1)); continue; fi
      name=$([ "$project" = Server ] && echo Whatsit.Server || echo whatsit)
      case $platform in
        win-*) suffix="onnxruntime.dll libvips-42.dll $name.exe" ;;
        osx-*) suffix="libonnxruntime.dylib libvips.42.dylib $name" ;;
        *) suffix="libonnxruntime.so libvips.so.42 $name" ;;
      esac
      for file in $suffix; do
        found=$([ -e "$folder/$file" ] && platform_of "$folder/$file" || echo missing)
        # ONNX Runtime has one build for Linux; it needs gcompat beside musl.
        if [ "$found" = "$platform" ] || { [[ $file == libonnxruntime.so && $platform == linux-musl-* ]] && [ "$found" = "linux-${platform#linux-musl-}" ]; }; then
          good=$((good + 1))
        else
          bad=$((bad + 1)); echo "$project for $platform: $file is $found" >&2
        fi
      done
      found=$(find "$folder" \( -name '*onnxruntime.*' -o -name 'libvips*' \) ! -name '*.xml' ! -name 'Microsoft.*' ! -path '*/licenses/*' | wc -l)
      if [ "$found" = 2 ]; then good=$((good + 1)); else bad=$((bad + 1)); echo "$project for $platform: $found engines instead of 2" >&2; fi
    done
    rm -rf "artifacts/publish-check/$platform"
  done
  count "publish-check" "$bad" "$good" "$bad"
}

# As far as the registries answer: NuGet's vulnerability data may be missing from a mirror.
audit() {
  dotnet restore Server.sln -v quiet
  dotnet list Server.sln package --vulnerable --include-transitive
  install_client
  local report
  if report=$(cd client && npm audit 2>&1); then echo "$report"
  elif [[ $report == *"audit endpoint returned an error"* ]]; then echo "The npm registry at hand does not answer questions about vulnerabilities."
  else echo "$report"; return 1; fi
}

# What is locked and passed on, no tools of the build: CycloneDX' own programs for NuGet and npm, the former in .config/dotnet-tools.json.
sbom() {
  local project name version
  need dotnet "the .NET SDK 10"
  need node "Node.js 20 or later"
  version=$(dotnet msbuild src/Server -getProperty:Version)
  mkdir -p artifacts/sbom
  dotnet tool restore
  for project in Server ModelTools; do
    name=$([ "$project" = Server ] && echo whatsit-server || echo whatsit)
    # Locked: what CI restores, and nothing else.
    CI=true dotnet dotnet-CycloneDX "src/$project/$project.csproj" --base-intermediate-output-path artifacts/obj --exclude-dev \
      --set-name "$name" --set-version "$version" --spec-version 1.6 --output-format Json --output artifacts/sbom --filename "$name.cdx.json" >/dev/null
  done
  (cd client && npx --yes --ignore-scripts @cyclonedx/cyclonedx-npm@6.0.1 \
    --package-lock-only --omit dev --spec-version 1.6 --output-file ../artifacts/sbom/whatsit-page.cdx.json)
  node -e '
    for (const file of process.argv.slice(1)) {
      const { components } = JSON.parse(require("fs").readFileSync(file, "utf8"));
      console.log(`${file}: ${components.length} components`);
    }' artifacts/sbom/*.cdx.json
}

# The published server under a memory limit, and what strangers may send to it.
hostile() {
  need dotnet "the .NET SDK 10"
  publish
  dotnet build src/ModelTools -c Release --nologo -v quiet
  dotnet build tests/Hostile -c Release --nologo -v quiet
  artifacts/bin/Hostile/release/Hostile "$@"
}

test_hostile() {
  publish
  count_program hostile "artifacts/bin/Hostile/$configuration_folder/Hostile" --quick --whatsit "artifacts/bin/ModelTools/$configuration_folder/whatsit"
}

# The published server in a process of its own, driven by the benchmark program; always optimised code.
bench() {
  need dotnet "the .NET SDK 10"
  publish
  dotnet build tests/Benchmarks -c Release --nologo -v quiet
  exec artifacts/bin/Benchmarks/release/Benchmarks "$@"
}

# One package that names the platforms, and one for each of them with its engines.
tool() {
  local packages=artifacts/package/tool
  need dotnet "the .NET SDK 10"
  rm -rf "$packages"
  dotnet pack src/ModelTools -c Release --nologo -v quiet -o "$packages"
  if [ "${1:-}" = --all ]; then
    local platforms
    platforms=$(dotnet msbuild src/ModelTools -getProperty:NativePlatforms)
    for platform in ${platforms//;/ }; do dotnet pack src/ModelTools -c Release -r "$platform" --nologo -v quiet -o "$packages"; done
    ls "$packages"
    return
  fi
  dotnet pack src/ModelTools -c Release --use-current-runtime --nologo -v quiet -o "$packages"
  if [ $# -eq 0 ]; then set -- --global; fi
  # The version is the same as of the one before, perhaps: an update would find nothing to do.
  dotnet tool uninstall whatsit "$@" >/dev/null 2>&1 || true
  dotnet tool install whatsit "$@" --source "$PWD/$packages"
}

# A program of its own, outside Server.sln: nothing else restores libtorch.
training() {
  local packages=$PWD/artifacts/package/training
  need dotnet "the .NET SDK 10"
  rm -rf "$packages"
  dotnet pack src/Training -c Release --nologo -v quiet -o "$packages"
  if [ $# -eq 0 ]; then set -- --global; fi
  dotnet tool uninstall whatsit.training "$@" >/dev/null 2>&1 || true
  dotnet tool install whatsit.training "$@" --source "$packages"
}

# Tests that need libtorch.
check_training() {
  tests/Training/debian13.sh --make
  dotnet build tests/Training -c Release --nologo -v quiet -p:BuildClient=false
  attempt tests/Training/debian13.sh artifacts/bin/Training.Tests/release/Training.Tests -noColor "$@"
  count_xunit training
}

# Only where nothing large has to be fetched for it first.
test_training() {
  if tests/Training/debian13.sh --is-there && [ -d "${NUGET_PACKAGES:-$HOME/.nuget/packages}/torchsharp" ]; then
    check_training
  else
    echo "Fine-tuning is tried by ./build.sh training-check, which fetches libtorch (600 MB) and, for an older libstdc++, a Debian 13."
    count training 0 0 0 1
  fi
}

test_tool() {
  attempt tests/tool-check.sh
  count "tool" "$code" $((code == 0)) $((code != 0))
}

# The short form of ./build.sh fuzz: the same inputs each time.
test_fuzz() { count_program fuzz "artifacts/bin/Fuzz/$configuration_folder/Fuzz" short; }

summary() {
  echo
  if [ ${#mistakes[@]} -gt 0 ]; then printf '%s\n' "What failed:" "${mistakes[@]}" ""; fi
  if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
  [ "$failed" -eq 0 ]
}

case "${1:-}" in
  build) build ;;
  run) build; exec dotnet run --no-build -c "$CONFIGURATION" --project src/Server "${@:2}" ;;
  test) build; test_dotnet; test_training; test_tool; test_client; test_browser; test_hostile; test_fuzz; publish_check "$(foreign_platform)"; summary ;;
  e2e) build; test_browser; summary ;;
  tool) tool "${@:2}" ;;
  training) training "${@:2}" ;;
  training-check) check_training "${@:2}"; summary ;;
  packages) for library in Vips Inference; do dotnet pack "src/$library" -c Release --nologo -v quiet -o artifacts/package; done ;;
  tool-check) tests/tool-check.sh --whole ;;
  hostile) hostile "${@:2}" ;;
  bench) bench "${@:2}" ;;
  soak) bench soak "${@:2}" ;;
  fuzz) tests/Fuzz/fuzz.sh "${@:2}" ;;
  publish-check) if [ $# -gt 1 ]; then publish_check "${@:2}"; else publish_check "${PLATFORMS[@]}"; fi; summary ;;
  image-check) deploy/image-check.sh ;;
  locks) lock ;;
  openapi) openapi "${@:2}" ;;
  audit) audit ;;
  sbom) sbom ;;
  format)
    if [ "${2:-}" = --fix ]; then dotnet format Server.sln; else dotnet format Server.sln --verify-no-changes; fi
    install_client; (cd client && npm run --silent lint)
    ;;
  *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
