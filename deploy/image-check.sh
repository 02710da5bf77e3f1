#!/usr/bin/env bash
# Builds the Dockerfile and starts what it makes, on a machine without a container engine: buildah builds, on base images that debootstrap and this
# machine's own .NET and Node.js make; the image then runs as its own user on a read-only root. Prints size, time to ready and memory.
# Needs root on Debian or Ubuntu. ./build.sh image-check
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "image-check needs root on Debian or Ubuntu: it installs buildah and debootstrap, and mounts." >&2; exit 1; }
for tool in buildah debootstrap; do
  command -v $tool >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends $tool >/dev/null; }
done

work=$(mktemp -d) port=${PORT:-8089}
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
clean() { if [ -n "${container:-}" ]; then buildah umount "$container" >/dev/null 2>&1 || true; fi; rm -rf "$work"; }
trap clean EXIT

# A base image: Debian's smallest system and the folders named.
debootstrap --variant=minbase --include=ca-certificates,libstdc++6,zlib1g "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/debian" >"$work/debootstrap.log" 2>&1 ||
  { tail -5 "$work/debootstrap.log" >&2; exit 1; }
# Behind a proxy with an authority of its own, the host's is asked for.
cp /etc/ssl/certs/ca-certificates.crt "$work/debian/etc/ssl/certs/"
base() { # NAME FILES:PLACE…
  local name=$1 image
  image=$(buildah from scratch)
  buildah copy -q "$image" "$work/debian" / >/dev/null
  for files in "${@:2}"; do buildah copy -q "$image" "${files%:*}" "${files#*:}" >/dev/null; done
  # No ICU in the smallest system.
  buildah config --env DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 --env PATH=/usr/share/dotnet:/usr/local/bin:/usr/bin:/bin --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt --env NUGET_CERT_REVOCATION_MODE="${NUGET_CERT_REVOCATION_MODE:-online}" "$image"
  buildah commit -q "$image" "localhost/$name" >/dev/null
  buildah rm "$image" >/dev/null
}
dotnet_root=$(dirname "$(readlink -f "$(command -v dotnet)")")
base sdk "$dotnet_root:/usr/share/dotnet"
mkdir -p "$work/runtime" "$work/node/bin" "$work/node/lib/node_modules"
cp -r "$dotnet_root/dotnet" "$dotnet_root/host" "$dotnet_root/shared" "$work/runtime"
base runtime "$work/runtime:/usr/share/dotnet"
cp -L "$(command -v node)" "$work/node/bin/"
cp -r "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$work/node/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/node/bin/npm"
base node "$work/node:/usr/local"

echo "Building"
buildah build -q --isolation chroot --layers=false -t localhost/whatsit --build-arg NODE_IMAGE=localhost/node --build-arg SDK_IMAGE=localhost/sdk \
  --build-arg RUNTIME_IMAGE=localhost/runtime . >/dev/null
container=$(buildah from localhost/whatsit)
root=$(buildah mount "$container")

command=$(buildah inspect --format '{{range .OCIv1.Config.Cmd}}{{.}} {{end}}' "$container")
user=$(buildah inspect --format '{{.OCIv1.Config.User}}' "$container")
environment=$(buildah inspect --format '{{range .OCIv1.Config.Env}}{{.}} {{end}}' "$container")
[ "$command" = "./Whatsit.Server " ] || { echo "The image starts '$command'." >&2; exit 1; }
[ "$user" = 1654 ] || { echo "The image runs as '$user'." >&2; exit 1; }
for file in LICENSE THIRD-PARTY.md LGPL-3.0.txt libvips-notices.md onnxruntime-notices.txt; do
  [ -s "$root/app/licenses/$file" ] || { echo "The image lacks licenses/$file." >&2; exit 1; }
done
bytes() { find "$@" -type f -printf '%s\n' | awk '{sum += $1} END {print sum}'; }
size=$(bytes "$root/app") gzipped=$(tar -C "$root" -cz app | wc -c)
[ "$size" -lt 100000000 ] || { echo "Our own files are $size bytes." >&2; find "$root/app" -type f -printf '%s %P\n' | sort -rn | head -20 >&2; exit 1; }
# The last layer: what lies beside engines and packages (Dockerfile).
code=$(bytes "$root/app" -maxdepth 1 ! -name 'lib*.so*' ! \( -name '*.dll' ! -name 'Whatsit.*' \))
[ "$code" -lt 10000000 ] || { echo "A change of the code sends $code bytes." >&2; exit 1; }

# The image's user, a read-only root, its own view of processes, no folder for temporary files.
# shellcheck disable=SC2086
unshare --mount --pid --fork --kill-child bash -ec '
  mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev"
  exec chroot --userspec="$2:$2" "$1" env -i -C /app '"$environment"' PORT='"$port"' '"$command"'
' - "$root" "$user" >"$work/server.log" 2>&1 &
server=$! started=$(date +%s%N)
until curl -fs "http://127.0.0.1:$port/health/ready" >/dev/null; do
  kill -0 $server 2>/dev/null && [ $(($(date +%s%N) - started)) -lt 60000000000 ] || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.02
done
ready=$((($(date +%s%N) - started) / 1000000))
answer=$(curl -fs --data-binary @models/grocery/sample.png "http://127.0.0.1:$port/predict?topK=1")
grep -q 'Granny Smith' <<<"$answer" || { echo "The image answers $answer" >&2; exit 1; }
curl -fs "http://127.0.0.1:$port/" | grep -qi '<!doctype html' || { echo "The image serves no page." >&2; exit 1; }
process=$(pgrep -f -n "^./Whatsit.Server" || true)
memory=$(awk '/VmRSS/ {print int($2 / 1024)}' "/proc/$process/status")
# Word for word: descriptions come from files beside the program.
curl -fs "http://127.0.0.1:$port/swagger/v1/swagger.json" | node -e '
  const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8"));
  const served = read(0);
  delete served.servers;
  delete served.components.schemas.ModelName.enum;
  require("assert").deepStrictEqual(served, read("docs/openapi.json"));' || { echo "The image describes other routes than docs/openapi.json." >&2; exit 1; }
! grep -q 'HTTP_PORTS' "$work/server.log" || { echo "The start warns about HTTP_PORTS." >&2; exit 1; }
stopping=$(date +%s%N)
kill -TERM "$process"
wait $server || { echo "The server ended with exit code $?." >&2; cat "$work/server.log" >&2; exit 1; }
echo "Own files $((size / 1000000)) MB ($((gzipped / 1000000)) MB gzipped), of which a change of the code sends $((code / 1000000)); ready after $ready ms, $memory MB after one picture, ended in $((($(date +%s%N) - stopping) / 1000000)) ms;"
echo "as user $user on a read-only root."
