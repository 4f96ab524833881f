# What scripts/test and scripts/demo share: finding a Python, making the virtual environment, installing Debian's packages.
# Sourced, with `set -euo pipefail` and $root (the source tree) already set.
# shellcheck shell=bash

PATH=$PATH:/usr/sbin:/sbin # an ordinary user's PATH leads past nft, ip and dockerd

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }
is_root() { [[ $EUID -eq 0 ]]; }

# --- Debian's packages ------------------------------------------------------------------------------------------------

# What scripts/bench measures netshare beside, and with what; the other sides come with the extra `bench`.
bench_packages=(
    nft:nftables iptables:iptables dockerd:docker.io nginx:nginx haproxy:haproxy nftlb:nftlb
    /usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream
    wrk:wrk iperf3:iperf3 gcc:gcc /usr/include/stdio.h:libc6-dev static:busybox:busybox-static taskset:util-linux
    docker-compose:docker-compose
)

# What scripts/vm makes virtual machines with, and what its tests put in there.
vm_packages=(
    vagrant:vagrant '/usr/share/rubygems-integration/*/gems/vagrant-libvirt-*/lib/vagrant-libvirt.rb:vagrant-libvirt'
    libvirtd:libvirt-daemon '/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so:libvirt-daemon-driver-qemu' virsh:libvirt-clients
    qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils /usr/share/seabios/bios-256k.bin:seabios '/usr/lib/ipxe/qemu/*virtio.rom:ipxe-qemu'
    dnsmasq:dnsmasq-base iptables:iptables ip:iproute2 unshare:util-linux
    mmdebstrap:mmdebstrap /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring mkfs.ext4:e2fsprogs zstd:zstd
    ssh:openssh-client rsync:rsync
    '/usr/lib/postgresql/*/bin/postgres:postgresql' docker-compose:docker-compose
)

# missing_packages WHAT:PACKAGE... — the packages whose program (or file, by its path, * allowed) is not to be found, one a line. By
# program, not by package: a machine with Docker's own docker-ce must not be given docker.io on top. static:PROGRAM must
# be one that needs no library: it runs in an image of its own.
missing_packages() {
    local pair what
    for pair in "$@"; do
        what=${pair%:*}
        case $what in
            /*) compgen -G "$what" >/dev/null ;;
            static:*) what=$(command -v "${what#*:}") && ! ldd "$what" >/dev/null 2>&1 ;;
            *) command -v "$what" >/dev/null ;;
        esac || echo "${pair##*:}"
    done
}

# install_packages PACKAGE... — as root. Of what they bring, no service is started (policy-rc.d tells Debian's maintainer
# scripts so) and none is left to start at the next boot: a test run is no wish for a web server or a firewall. What can't
# be installed is said, and what needs it can't be tested.
install_packages() {
    command -v apt-get >/dev/null || die "no apt-get here; install these yourself: $*"
    say "installing Debian packages: $*"
    local policy=/usr/sbin/policy-rc.d package before
    before=$(enabled_units)
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    # Package lists that are absent or old fail the first try; only then are they fetched. One by one in the end: a
    # distribution may lack one of them.
    if ! apt_install "$@" && ! { apt-get -q update >&2 && apt_install "$@"; }; then
        for package in "$@"; do
            apt_install "$package" || say "could not install $package"
        done
    fi
    if [[ -n $(trap -p EXIT) ]]; then
        rm -f $policy
        trap - EXIT
    fi
    comm -13 <(echo "$before") <(enabled_units) | xargs --no-run-if-empty systemctl --root=/ --quiet disable
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" </dev/null >&2
}

# What systemd will start at boot, sorted; nothing where there is no systemd.
enabled_units() {
    command -v systemctl >/dev/null || return 0
    systemctl --root=/ list-unit-files --state=enabled --no-legend --plain | awk '{print $1}' | sort
}

# --- Python -----------------------------------------------------------------------------------------------------------

# Print the first Python that will do: 3.11 or newer, able to make a virtual environment. $NETSHARE_PYTHON goes first.
find_python() {
    local python
    for python in ${NETSHARE_PYTHON:+"$NETSHARE_PYTHON"} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    return 1
}

# Where the virtual environment goes: $NETSHARE_VENV, else .venv in the tree, or where that is another user's, the home.
venv_path() {
    local venv=$root/.venv
    if [[ -n ${NETSHARE_VENV:-} ]]; then
        venv=$NETSHARE_VENV
    elif [[ ! -w $venv && (-e $venv || ! -w $root) ]]; then
        venv=${XDG_CACHE_HOME:-$HOME/.cache}/netshare/venv
    fi
    echo "$venv"
}

# make_venv — an environment in $venv with netshare (editable) and its tools, of the versions in constraints.txt. Made
# anew only when the Python, pyproject.toml or constraints.txt are others than last time.
make_venv() {
    local python stamp
    venv=$(venv_path)
    if ! python=$(find_python); then
        is_root || die "needs Python 3.11 or newer with venv: as root, apt-get install python3-venv (or set NETSHARE_PYTHON)"
        install_packages python3 python3-venv
        # Where the distribution's python3 is older (Ubuntu 22.04), it has a newer one beside it.
        find_python >/dev/null || install_packages python3.11 python3.11-venv
        python=$(find_python) || die "needs Python 3.11 or newer with venv; set NETSHARE_PYTHON to one"
    fi
    stamp=$({ echo "$root"; "$python" -VV; cat "$root"/pyproject.toml "$root"/constraints.txt; } | sha256sum)
    if [[ $(cat "$venv/netshare-stamp" 2>/dev/null) != "$stamp" ]]; then
        say "making the virtual environment $venv with $("$python" -V)"
        mkdir -p "$(dirname "$venv")"
        "$python" -m venv --clear "$venv"
        "$venv/bin/python" -m pip --disable-pip-version-check install --quiet -c "$root/constraints.txt" -e "${root}[app,bench,dev]"
        echo "$stamp" >"$venv/netshare-stamp"
    fi
    # A source tree that another user owns is only read.
    export MYPY_CACHE_DIR=$venv/cache/mypy RUFF_CACHE_DIR=$venv/cache/ruff
}
