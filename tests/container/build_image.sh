#!/usr/bin/env bash
# Builds the images `coupond` and `coupond-build` of the Dockerfile, where there is neither Docker
# nor an image registry: with Podman, on a debian:12-slim made of Debian's packages.
#
# Packages come from where this machine's apt and npm get theirs, and its ccache is shared. What a
# step of the Dockerfile has made is used again, for a week, until the step or what it copies
# changes.
set -euo pipefail
context=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base=docker.io/library/debian:12-slim

make_base() {
    # What apt itself has understood of its configuration, whatever format that is in. From Debian
    # only, as in the real image.
    # shellcheck disable=SC2016
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        grep -E ' bookworm(-updates|-security)? main$' | sort -u >"$work/sources.list"
    apt-config dump --no-empty --format '%F "%v";%n' Acquire |
        grep -E '^Acquire::(https?|Check-Date|Check-Valid-Until|Languages|Retries)' \
            >"$work/apt.conf"
    # As the real image: it has no manuals, takes no care for a machine that goes down meanwhile,
    # and keeps no packages that have been unpacked.
    cat >"$work/dpkg.cfg" <<'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
force-unsafe-io
END
    echo 'APT::Keep-Downloaded-Packages "false";' >"$work/clean.conf"
    mmdebstrap --mode=root --variant=minbase --aptopt="$work/apt.conf" \
        --dpkgopt="$work/dpkg.cfg" \
        --customize-hook="upload $work/clean.conf /etc/apt/apt.conf.d/docker-clean" \
        bookworm "$work/base.tar" "$work/sources.list"
    podman import "$work/base.tar" "$base"
}
made=$(podman image inspect --format '{{.Created.Unix}}' "$base" 2>/dev/null || echo 0)
if [ $(($(date +%s) - made)) -gt $((7 * 24 * 3600)) ]; then
    make_base
fi

# npm's configuration as it is in effect here, with the certificates that it trusts.
(
    cd /
    certificates=$(npm config get cafile)
    [ -f "$certificates" ] ||
        certificates=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
    cp "$certificates" "$work/host.crt"
    cat "$(npm config get globalconfig)" "$(npm config get userconfig)" || true
    printf '\nregistry=%s\ncafile=/run/host.crt\n' "$(npm config get registry)"
) >"$work/npmrc" 2>/dev/null
# What script/test has compiled serves here as well, as paths within the checkout are the same.
cat >"$work/ccache.conf" <<END
cache_dir = /var/cache/ccache
max_size = $(ccache --get-config max_size)
base_dir = /coupond
hash_dir = false
sloppiness = locale
END
compiled=$(ccache --get-config cache_dir)
mkdir -p "$compiled"

# In Docker's format, for the other one knows no HEALTHCHECK.
build() {
    nice podman build --isolation chroot --network host --pull=never --format docker --layers \
        "$@" "$context"
}
build --target build --tag coupond-build \
    --volume "$work/npmrc:/root/.npmrc:ro" --volume "$work/host.crt:/run/host.crt:ro" \
    --volume "$work/ccache.conf:/etc/ccache.conf:ro" --volume "$compiled:/var/cache/ccache"
build --tag coupond
# What only former images were made of.
podman image prune --force
