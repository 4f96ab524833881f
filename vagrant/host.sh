#!/bin/sh
# Sets up the machine `host`, as root and as often as one likes: Docker and Podman, three replicas of `web` with no
# published port, and netshare, installed as anybody would, in front of them.
set -eu
export DEBIAN_FRONTEND=noninteractive

missing() { # PACKAGE... that are not installed
    for package; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

# shellcheck disable=SC2046 # a list of words
set -- $(missing docker.io podman nftables iptables conntrack curl busybox-static python3-venv)
if [ $# -gt 0 ]; then
    apt-get -q update
    apt-get -qy install "$@"
fi
# Debian 13 and later have Docker's command in a package of its own.
command -v docker >/dev/null || apt-get -qy install docker-cli
systemctl --quiet enable --now docker podman.socket

# netshare, from the sources in /netshare; its dependencies from the internet or, where there is none, from /wheels.
if [ ! -x /opt/netshare/bin/netshare ]; then
    python3 -m venv /opt/netshare
    if [ -d /wheels ]; then
        set -- --no-index --find-links /wheels netshare-lb
    else
        set -- /netshare
    fi
    /opt/netshare/bin/pip --disable-pip-version-check install --quiet --constraint /netshare/constraints.txt "$@"
    ln -sf /opt/netshare/bin/netshare /usr/local/bin/netshare
fi

# An image without a registry: a static busybox, whose web server tells the container's name, and who asks.
if ! docker image inspect hello >/dev/null 2>&1; then
    root=$(mktemp -d)
    mkdir -p "$root/bin" "$root/www/cgi-bin"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in sh hostname httpd; do ln -s busybox "$root/bin/$applet"; done
    cat >"$root/www/cgi-bin/client" <<'END'
#!/bin/sh
address=${REMOTE_ADDR#[}
address=${address%]}
printf 'Content-Type: text/plain\r\n\r\n%s\n' "${address#::ffff:}"
END
    # A container's first process gets only the signals that it handles: `docker stop` would wait in vain.
    cat >"$root/bin/serve" <<'END'
#!/bin/sh
hostname >/www/index.html
httpd -f -p 8080 -h /www &
trap 'sleep 2; kill $!' TERM # it still takes what is on its way
wait
END
    chmod 755 "$root" "$root/bin/serve" "$root/www/cgi-bin/client"
    tar -C "$root" -c . | docker import --change 'CMD ["/bin/serve"]' --change 'EXPOSE 8080' - hello >/dev/null
    rm -r "$root"
fi
for name in web-1 web-2 web-3; do
    docker container inspect "$name" >/dev/null 2>&1 ||
        docker run --detach --name "$name" --hostname "$name" --restart unless-stopped hello >/dev/null
done

# Port 80 of this machine, and so at every boot.
netshare attach web 80
netshare agent install
netshare status
