# shellcheck shell=bash
# Where the generator and the servers of benches/run meet: on the loopback, or over a pair of veth devices.

# Sets the addresses, what a command is started with on each side, and the kernel threads that work for the server.
choose_network() {
    server_ip=127.0.0.1 generator_ip=127.0.0.1
    beside_server=() beside_generator=() kernel_threads=()
    [[ $network != loopback ]] || return 0
    [[ $network == veth ]] || die "NETWORK is loopback or veth, not $network"
    [[ $(id -u) == 0 ]] || die "NETWORK=veth needs root"
    [[ $threads == 1 ]] || die "NETWORK=veth needs THREADS=1: one processor for the server and its device"
    unpack ethtool || die "NETWORK=veth needs ethtool"
    libraries "$target/peers/ethtool/sbin/ethtool" ethtool || die "NETWORK=veth needs ethtool"
    connect
}

# Two network namespaces with a veth pair. The server's device receives as a real one does: in a thread of its own
# (NAPI), with GRO. It does not split what is sent, so the server pays for that. RFC 2544 keeps the addresses for this.
connect() {
    local side namespace number=1
    server_ip=198.18.0.2 generator_ip=198.18.0.1
    namespaces=("hpgen$$" "hpsrv$$")
    for namespace in "${namespaces[@]}"; do
        ip netns add "$namespace"
        ip -n "$namespace" link set lo up
    done
    beside_generator=(ip netns exec "hpgen$$")
    beside_server=(ip netns exec "hpsrv$$")
    ip link add "g$$" netns "hpgen$$" type veth peer name "s$$" netns "hpsrv$$"
    for side in "hpgen$$ g$$" "hpsrv$$ s$$"; do
        # shellcheck disable=SC2086  # the namespace and the device
        set -- $side
        ip -n "$1" link set "$2" address "02:00:00:00:00:0$number" up
        ip -n "$1" addr add "198.18.0.$number/24" dev "$2"
        number=2
    done
    ip -n "hpgen$$" neigh replace 198.18.0.2 lladdr 02:00:00:00:00:02 dev "g$$" nud permanent
    ip -n "hpsrv$$" neigh replace 198.18.0.1 lladdr 02:00:00:00:00:01 dev "s$$" nud permanent
    "${beside_generator[@]}" "$target/peers/ethtool/sbin/ethtool" -K "g$$" tso off tx-udp-segmentation off >&2
    "${beside_server[@]}" "$target/peers/ethtool/sbin/ethtool" -K "s$$" gro on tso off tx-udp-segmentation off >&2
    "${beside_server[@]}" sh -c "echo 1 >/sys/class/net/s$$/threaded"
    mapfile -t kernel_threads < <(pgrep "^napi/s$$")
    [[ ${#kernel_threads[@]} -gt 0 ]] || die "the kernel has no NAPI thread for the server's device"
    local thread
    for thread in "${kernel_threads[@]}"; do
        taskset -pc 1 "$thread" >/dev/null
    done
}

disconnect() {
    local namespace
    for namespace in "${namespaces[@]}"; do
        ip netns del "$namespace" 2>/dev/null || true
    done
}
