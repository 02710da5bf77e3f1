#!/usr/bin/env bash
# Runs a command where libtorch can be loaded: here, if this system has libstdc++ of GCC 13 or later, else in a Debian 13 that debootstrap makes once
# (artifacts/debian13, a minute, only as root), with this system's .NET and everything outside the system's own folders at its usual place.
#   tests/Training/debian13.sh COMMAND…    --is-there: whether a command can be run without making one; --make: makes it where it is needed
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/debian13

enough() {
  local library
  library=$(ldconfig -p 2>/dev/null | sed -nE 's/.*libstdc\+\+\.so\.6 .*x86-64.*=> (.*)/\1/p' | head -1)
  [ "$(uname)" != Linux ] || { [ -n "$library" ] && grep -q _ZSt21ios_base_library_initv "$library"; }
}

if enough; then
  case "$1" in --is-there | --make) exit 0 ;; *) exec "$@" ;; esac
fi
[ "$1" != --is-there ] || { [ "$(id -u)" = 0 ] && [ -e "$root/etc/debian_version" ]; exit; }
[ "$(id -u)" = 0 ] || { echo "Fine-tuning cannot be tried: this system's libstdc++ is older than GCC 13, and only root can make a Debian 13 beside it." >&2; exit 3; }
if [ ! -e "$root/etc/debian_version" ]; then
  command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >/dev/null; }
  rm -rf "$root.new"
  mkdir -p "$(dirname "$root")"
  debootstrap --variant=minbase --include=libstdc++6,ca-certificates trixie "$root.new" >"$root.log" 2>&1 || { tail -5 "$root.log" >&2; exit 1; }
  mv "$root.new" "$root"
fi
[ "$1" != --make ] || exit 0

# A view of the file system of its own, which ends with the command.
dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
exec unshare --mount --propagation private bash -ec '
  root=$1 dotnet=$2
  shift 2
  for folder in /*; do
    case $folder in
      /bin | /boot | /etc | /lib | /lib32 | /lib64 | /libx32 | /lost+found | /media | /mnt | /run | /sbin | /usr | /var) ;;
      *) if [ -d "$folder" ] && [ ! -L "$folder" ]; then mkdir -p "$root$folder" && mount --rbind "$folder" "$root$folder"; fi ;;
    esac
  done
  mkdir -p "$root$dotnet" && mount --bind "$dotnet" "$root$dotnet"
  exec chroot "$root" env -C "$PWD" DOTNET_ROOT="$dotnet" PATH="$dotnet:$PATH" "$@"' - "$root" "$dotnet" "$@"
