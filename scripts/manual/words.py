"""What the pages say beyond the command line's own words: why and when, examples, files."""

DATE = "2026-11-29"
"""When these words were changed last; the pages have it at their foot."""

OVERVIEW = """
netshare has the kernel spread new connections to a port of this host over the replicas of a service: containers
of Docker or Podman, or static endpoints. `netshare attach web 80` is all that takes; the containers need not
publish any port. The kernel rewrites the destination of each new connection (netfilter DNAT), by nftables or by
legacy iptables. No process of netshare's is in the way of a packet: traffic goes on when netshare is stopped,
upgraded or killed.

NAME finds replicas by the first of these that any container matches: the label `netshare.service=NAME`; the
Compose service NAME (PROJECT/NAME pins the project); a container called NAME, or NAME with `-` or `_` and
digits behind it. REPLICA is a container's name, or the beginning of its id.

Each verb does its work once. The agent (`netshare-agent`(1)), which `netshare agent install` makes a service of
systemd's, follows the containers as they come and go.

Tables are for people; `-o json` prints a document for programs, whose fields are only ever added. Results are
on stdout, messages on stderr. TIME is a number with its unit, as in 500ms, 2s, 5m or 1h.
"""

LABELS = """
With the agent running a container is attached by its labels alone, and nobody's label takes a port from anybody else.
"""

LABEL = {
    "netshare.service": "The service's name.",
    "netshare.port": "What it listens on: 80, 53/udp, 10.0.0.1:80, [fd00::1]:80/tcp, with commas between them.",
    "netshare.to": "The container's own port: one for all, or one each.",
    "netshare.network": "Which of the container's networks to use.",
    "netshare.weight": "Its share of the new connections, 0 to 256. Default: 1.",
    "netshare.strategy": "random, round-robin or source-hash; for the whole service.",
    "netshare.health": "The health check, as in http:/up interval=1s fall=2; for the whole service.",
    "netshare.drain": "How long its connections may go on when it leaves. Default: 30s.",
}

EXIT_CODES = {
    1: "Failed; the message says why, and what can be done about it.",
    10: "`netshare diff`: the host is not as the file says.",
    130: "Interrupted, as by Ctrl-C.",
}

ENVIRONMENT = {
    "NETSHARE_STATE_DIR": "Where definitions and rollouts are kept. Default: /var/lib/netshare.",
    "NETSHARE_RUNTIME_DIR": "Where locks, the agent's socket, drains and health are. Default: /run/netshare.",
    "NETSHARE_DRIVER": "The driver of services that name none: auto (the default), nftables or iptables.",
    "NETSHARE_METRICS": "Where the agent serves its metrics, as ADDR:PORT.",
    "DOCKER_HOST": "Where Docker listens, if not on /run/docker.sock.",
    "CONTAINER_HOST": "Where Podman listens, if not on /run/podman/podman.sock.",
    "NO_COLOR": "Set to anything: no colours.",
}

FILES = {
    "/var/lib/netshare/services/": "The definitions, a JSON file a service. `netshare export` prints them as one file.",
    "/var/lib/netshare/rollouts/": "The rollouts that are under way.",
    "/run/netshare/": "What ends with a reboot: locks, the agent's socket, drains, health.",
    "/etc/default/netshare": "Environment of the agent's service, as in NETSHARE_METRICS=127.0.0.1:9440.",
    "/etc/systemd/system/netshare.service": "The unit that `netshare agent install` writes.",
}

LIMITS = """
Connections are balanced, not requests: keep-alive and HTTP/2 stay with the replica they began with.
There is no TLS, no routing by host or path, and one long UDP flow never spreads.
Rootless engines and containers with `--network host` can not be reached by DNAT.
"""

OTHERS = ("\\fBnft\\fP(8)", "\\fBiptables\\fP(8)", "\\fBdocker\\fP(1)", "\\fBpodman\\fP(1)")

MORE = {
    "attach": """
It waits until a replica takes traffic, unless `--no-wait` is said. A port that somebody has, a container that
publishes it or a process that listens, is refused with their name.

The same words again change nothing. Other words change the service: what is not said stays as it is. Another
PORT for the same NAME is one more listener.

Where no agent runs, replicas that come later are not followed; it says so.
""",
    "detach": """
New connections to the port are the host's own again. Connections that are open go on.

A service that labels make can't be detached: its containers' labels would make it again.
""",
    "list": """
Any user may list.
""",
    "status": """
A replica is `ready`, `starting`, `unhealthy`, `draining` or `gone`; the table says why it is not ready.
Connections are counted by the kernel: all since the replica came, and those that are open.

With `--watch` it is shown again and again, with the new connections a second, until `q` or Ctrl-C.
""",
    "top": """
The keys are at the foot of the screen: the arrows, or `j` and `k`, choose; `n`, `c`, `a` and `w` sort by name,
by new and by open connections, and by weight; `d` drains the replica that is chosen (it asks first), `r`
resumes it; `q` ends.
""",
    "weight": """
The share is W of the sum of all weights, exactly. 0 is none. It goes before the container's label, and stays
with the replica's name when its container is made anew. With all weights 0, clients are refused.
""",
    "drain": """
From the moment of the command the replica gets no new connection. At the deadline what is left is cut: the
client gets a reset, and its next connection goes to another replica.

With `--wait` it counts down what is left, and ends when there is none. Without it the agent keeps the deadline.

A drain is for one container. It outlives restarts of the container and of the agent, and ends with `netshare
resume`, when the container is removed, and when the machine restarts.
""",
    "resume": """
It does not change the weight, nor what the health check says.
""",
    "apply": """
All of the file is checked first, then it is one change of the kernel; what fails is put back. A service is
wholly what the file says of it. Services that are not in the file stay, unless `--prune` is said.
""",
    "diff": """
Nothing is changed. It exits with 10 where something would be.
""",
    "export": """
With `--schema` it prints the JSON schema of such files, for editors and other programs.
""",
    "rollout": """
New replicas are started beside the old ones and get nothing until they are well. Then a batch takes over, in
one transaction of the kernel; the old ones of that batch drain and are stopped. When all is new, the old ones
are removed.

Plain containers are made again from their own configuration, with `--image` if it is said; those of Compose by
Compose. A new replica that does not become well in time has all of it taken back.

What serves goes on serving when it is interrupted: `--resume` goes on from there, `--abort` takes it back.
""",
    "sync": """
Where an agent runs, it is the agent that does it.
""",
    "agent": """
It stays in the foreground and logs to stderr. It listens to the engines' events, to changes of the definitions
and to others' changes of the kernel's rules, and probes the replicas' health.
""",
    "events": """
No agent, no events: it remembers the last 1,000. With `-o json` each is a document on a line.
""",
    "rules": """
What it prints can be read by `nft -f` or `iptables-restore`.
""",
    "doctor": """
With `--trace` it follows one imagined packet from CLIENT to PORT through the rules of this host, to the first
that drops it.
""",
    "reset": """
Clients are refused, or reach what listens on the host itself. `netshare sync`, or the agent, brings all of it
back. While an agent runs it is refused, as that would.
""",
    "pod": """
For where the rules of `attach` can't be had: only the engine's socket is needed, no right to program the
kernel. The application has to set SO_REUSEPORT itself, as in `gunicorn --reuse-port`.
""",
    "demo": """
It takes a few seconds, as root or as an ordinary user, and leaves nothing behind.
""",
    "version": """
Known is the revision of whatever was built from a git checkout.
""",
}

EXIT: dict[str, dict[int, str]] = {
    "attach": {4: "Somebody has the port.", 8: "No replica took traffic in time; the definition stays."},
    "diff": {10: "Something would be changed."},
    "doctor": {1: "Something stands in the way."},
    "drain": {8: "With --wait: connections had to be cut."},
    "rollout": {1: "It was taken back, or could not be begun.", 8: "Taken back: a new replica was not well in time."},
}

EXAMPLES = {
    "": """
Three containers behind port 80, followed as they come and go:
    docker run -d --name web-1 my/web
    docker run -d --name web-2 my/web
    docker run -d --name web-3 my/web
    netshare attach web 80 --to 8080
    netshare agent install
    netshare status

Replace them by a new image with no failed request:
    netshare rollout web --image my/web:2
""",
    "attach": """
Port 80 of this host to port 8080 of the containers web-1, web-2, ...:
    netshare attach web 80 --to 8080

With a health check of its own:
    netshare attach web 80 --health http:/up --interval 1s --fall 2

Virtual machines, with no engine at all:
    netshare attach db 5432 --endpoint 10.0.3.7 --endpoint 10.0.3.8:5433

A game server, each client always on the same replica:
    netshare attach game 27015/udp --strategy source-hash
""",
    "detach": """
One port, then all of it:
    netshare detach web 443
    netshare detach web
""",
    "list": """
For a script:
    netshare list -o json | jq -r '.services[].name'
""",
    "status": """
Live:
    netshare status web --watch

The replicas that are not ready:
    netshare status -o json | jq '.services[].replicas[] | select(.state != "ready")'
""",
    "top": """
One service:
    netshare top web
""",
    "weight": """
Three times as much as the others:
    netshare weight web web-1 3

Nothing new:
    netshare weight web web-2 0
""",
    "drain": """
Take a replica down with no failed request:
    netshare drain web web-2 --wait && docker stop web-2

Up to five minutes, kept by the agent:
    netshare drain web web-3 --timeout 5m
""",
    "resume": """
After all:
    netshare resume web web-3
""",
    "apply": """
Look first, then do it:
    netshare diff -f services.yaml
    netshare apply -f services.yaml --prune
""",
    "diff": """
In a script:
    netshare diff -f services.yaml >/dev/null || echo 'not as the file says'
""",
    "export": """
Take the definitions to another host:
    netshare export | ssh other netshare apply -f -
""",
    "rollout": """
A new image:
    docker pull my/web:2
    netshare rollout web --image my/web:2

A tenth first, then the rest:
    netshare rollout web --canary 10%
    netshare rollout web --promote
""",
    "sync": """
After changes without an agent:
    netshare sync
""",
    "agent": """
As a service of systemd's, now and at every boot:
    netshare agent install
    systemctl status netshare

By hand, with metrics for Prometheus:
    netshare agent --metrics 127.0.0.1:9440
""",
    "events": """
What went wrong lately:
    netshare events --last 1000 --no-follow | grep -v INFO
""",
    "rules": """
What the kernel holds, in nft's words:
    netshare rules
""",
    "doctor": """
All of it:
    netshare doctor

Why 203.0.113.9 does not reach port 80:
    netshare doctor --trace 203.0.113.9 80
""",
    "reset": """
In a script:
    netshare reset --yes
""",
    "pod": """
Two replicas on port 80:
    netshare pod create web --publish 80:8080
    netshare pod add web my/web --count 2 -- gunicorn --reuse-port --bind 0.0.0.0:8080 app:application
    netshare pod status web
""",
    "demo": """
See it work:
    netshare demo
""",
    "version": """
For a script:
    netshare version -o json | jq -r .revision
""",
}
"""Lines that begin with blanks are typed; those before say what for."""

SEE: dict[str, tuple[str, ...]] = {
    "attach": ("agent", "detach", "drain", "status"),
    "detach": ("attach", "reset"),
    "list": ("status",),
    "status": ("events", "list", "top"),
    "top": ("drain", "status"),
    "weight": ("attach", "drain"),
    "drain": ("resume", "rollout", "weight"),
    "resume": ("drain",),
    "apply": ("diff", "export"),
    "diff": ("apply", "export"),
    "export": ("apply", "diff"),
    "rollout": ("attach", "drain"),
    "sync": ("agent",),
    "agent": ("events", "sync"),
    "events": ("agent", "status"),
    "rules": ("doctor", "reset"),
    "doctor": ("rules", "status"),
    "reset": ("detach", "sync"),
    "pod": ("attach",),
    "demo": ("attach",),
    "version": (),
}
