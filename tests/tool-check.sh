#!/usr/bin/env bash
# `whatsit` as a stranger gets it: packed for this platform and installed from the packed file alone, it imports, classifies and serves in an empty folder.
#   tests/tool-check.sh            compiled at run time: the same program, packed in seconds (./build.sh test)
#   tests/tool-check.sh --whole    as it is published, compiled ahead (./build.sh tool-check)
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
server=
# shellcheck disable=SC2329
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
fail() { echo "tool-check: $*" >&2; exit 1; }

pack=(dotnet pack "$repository/src/ModelTools" -c Release --nologo -v quiet -o "$folder/packages")
"${pack[@]}"
if [ "${1:-}" = --whole ]; then "${pack[@]}" --use-current-runtime; else "${pack[@]}" --use-current-runtime -p:PublishReadyToRun=false; fi

# The packed files are the only source: whatever is missing in them is missing.
cat >"$folder/nuget.config" <<EOF
<configuration><packageSources><clear /><add key="packed" value="$folder/packages" /></packageSources></configuration>
EOF
dotnet tool install whatsit --tool-path "$folder/tools" --configfile "$folder/nuget.config" --verbosity quiet
mkdir "$folder/empty"
cd "$folder/empty"
whatsit=$folder/tools/whatsit

version=$("$whatsit" --version)
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]] || fail "--version says '$version'"
"$whatsit" import "$repository/tests/data/tfjs/layers" --name fruit >import.txt || fail "it does not import: $(cat import.txt)"
[ -f models/fruit/model.onnx ] || fail "the imported bundle is not in ./models"

# The only model answers unasked, to its own sample as its manifest says.
recorded=$(sed -n '/"sample":/,$p' models/fruit/model.json | sed -nE 's/.*"label": "([^"]+)".*/\1/p' | head -1)
answer=$("$whatsit" classify models/fruit/sample.png --top-k 1 --json | sed -nE 's/.*"label": "([^"]+)".*/\1/p')
[ -n "$recorded" ] && [ "$answer" = "$recorded" ] || fail "the sample is '$answer' instead of '$recorded'"

"$whatsit" serve --models ./models --port 0 >serve.txt 2>&1 &
server=$!
port=
for _ in $(seq 600); do
  port=$(sed -nE 's/.*Now listening on: .*:([0-9]+)$/\1/p' serve.txt)
  kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat serve.txt)"
  if [ -n "$port" ] && curl -fsS "http://127.0.0.1:$port/health/ready" >/dev/null 2>&1; then break; fi
  sleep 0.1
done
answer=$(curl -fsS --data-binary @models/fruit/sample.png "http://127.0.0.1:$port/predict?topK=1" | sed -nE 's/.*"label":"([^"]+)".*/\1/p')
[ "$answer" = "$recorded" ] || fail "the server answers '$answer' instead of '$recorded': $(cat serve.txt)"
page=$(curl -fsS "http://127.0.0.1:$port/")
if command -v node >/dev/null; then
  [[ $page == *"<title>Whatsit"* ]] || fail "there is no page at /"
else
  [[ $page == *"without its page"* || $page == *"<title>Whatsit"* ]] || fail "nothing says at / that there is no page"
fi
kill "$server"
wait "$server" || fail "the server did not end in order: $(tail -3 serve.txt)"
server=
echo "whatsit $version: packed, installed, imported, classified, served."
