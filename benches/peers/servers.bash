# shellcheck shell=bash
# The servers that benches/run measures: how each is built or unpacked, started, and stopped.

declare -A port=(
    [hairpin]=9478 [baseline]=9482
    [coturn]=9479 [coturn-new]=9483 [coturn-best]=9485
    [webrtc-rs]=9487 [pion]=9488 [eturnal]=9489
    [stub]=9480 [stub-batches]=9491 [stub-runs]=9492
)
tls_offset=20 # coturn wants a second port for TLS, though it speaks TLS on the first one too
# Only one server at a time has allocations, so all may use the same ports.
first_port=40000 last_port=59999

is_stub() {
    [[ $1 == stub* ]]
}

# Which transports a server has at all.
speaks() {
    local name=$1
    case $name in
        stub* | webrtc-rs) [[ $transport == udp ]] ;;
        *) true ;;
    esac
}

# Which traffic a server can carry by its design.
carries() {
    local name=$1 kind=$2
    case $name:$kind in
        stub*:relay:*) false ;;      # no allocations
        coturn-best:relay:*) false ;; # clients of a thread share one relayed address, so none can be another's peer
        *) true ;;
    esac
}

# Builds or unpacks everything; leaves out what cannot be had, and sets `peers` to the rest.
prepare() {
    local name
    target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    [[ -n $target ]] || die "cargo does not name its target directory"
    load=$(built load cargo bench --no-run --bench load)
    [[ -x $load ]] || die "the generator was not built"
    mkdir -p "$target/peers" "$target/bench"
    peers=()
    for name in "${wanted[@]}"; do
        [[ -n ${port[$name]:-} ]] || die "unknown peer $name"
        if ! speaks "$name"; then
            leave_out "$name" "it does not speak $transport"
        elif have "$name"; then
            peers+=("$name")
        fi
    done
    [[ ${#peers[@]} -gt 0 ]] || die "nothing to measure"
    ulimit -n "$(ulimit -Hn)"
    scratch=$(mktemp -d)
    "$load" certificate --folder "$scratch"
    cat "$scratch/certificate.pem" "$scratch/key.pem" >"$scratch/both.pem"
    samples=$target/bench/samples.txt
    : >"$samples"
}

# Makes one server ready to be started. What is Hairpin's must be there; what is not may be left out.
have() {
    local name=$1
    case $name in
        hairpin)
            hairpin=$(built hairpin cargo build --release --bin hairpin)
            [[ -x $hairpin ]] || die "hairpin was not built"
            ;;
        baseline) [[ -x ${BASELINE:-} ]] || die "${BASELINE:-BASELINE} is not an executable file" ;;
        coturn) unpack coturn && libraries "$target/peers/coturn/usr/bin/turnserver" coturn ;;
        coturn-*)
            [[ -n ${COTURN:-} ]] || die "$name needs COTURN="
            [[ -x $COTURN ]] || die "$COTURN is not an executable file"
            [[ -z $(missing_libraries "$COTURN") ]] || die "$COTURN lacks $(missing_libraries "$COTURN")"
            ;;
        webrtc-rs)
            webrtc_rs=$(built webrtc-rs cargo bench --no-run --bench webrtc-rs)
            [[ -x $webrtc_rs ]] || die "webrtc-rs was not built"
            ;;
        pion) compile_pion ;;
        eturnal) unpack_eturnal ;;
        stub*) ;;
    esac
}

# The path of the executable of this name that a cargo command has built.
built() {
    local name=$1 messages
    shift
    messages=$("$@" --message-format=json) || die "$* failed"
    sed -n '/"name":"'"$name"'"/ s/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages" | tail -n 1
}

missing_libraries() {
    ldd "$1" | sed -n 's/^[[:space:]]*\(.*\) => not found/\1/p'
}

# Unpacks packages into one folder without installing them: nothing is started, nothing is left behind in the system.
# unpack FOLDER [PACKAGE...]
unpack() {
    local folder=$1 packages=("${@:2}") package
    [[ ${#packages[@]} -gt 0 ]] || packages=("$folder")
    [[ ! -d $target/peers/$folder ]] || return 0
    rm -rf "$target/peers/$folder.part"
    mkdir -p "$target/peers/$folder.part/packages"
    for package in "${packages[@]}"; do
        if ! (
            cd "$target/peers/$folder.part/packages"
            download=(apt-get -qq -o APT::Sandbox::User=root download "$package")
            "${download[@]}" || { apt-get -qq update && "${download[@]}"; }
            dpkg -x "$package"_*.deb ..
        ) >&2; then
            leave_out "$folder" "there is no package $package"
            return 1
        fi
    done
    mv "$target/peers/$folder.part" "$target/peers/$folder"
}

# Installs the libraries that a program from this package needs, and only if they are not there.
libraries() {
    local program=$1 package=$2 needed
    [[ -n $(missing_libraries "$program") ]] || return 0
    needed=$(apt-cache depends "$package" | sed -n 's/^ *Depends: \(lib[^ ]*\).*/\1/p')
    # shellcheck disable=SC2086  # one word per package
    apt-get -qq install -y --no-install-recommends $needed >&2 || true
    [[ -n $(missing_libraries "$program") ]] || return 0
    leave_out "$package" "it lacks $(missing_libraries "$program" | tr '\n' ' ')"
    return 1
}

# With Debian's Go and Debian's pion, and nothing from elsewhere.
compile_pion() {
    local go=/usr/bin/go sources=$target/peers/pion-sources packages=(golang-go golang-github-pion-turn.v2-dev)
    if [[ ! -x $go || ! -d /usr/share/gocode/src/github.com/pion/turn/v2 ]]; then
        apt-get -qq install -y --no-install-recommends "${packages[@]}" >&2 || true
    fi
    if ! GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode GOCACHE=$target/go CGO_ENABLED=0 \
        "$go" build -o "$target/peers/pion-server" ./benches/peers/pion >&2; then
        leave_out pion "${packages[*]} do not compile it"
        return 1
    fi
}

unpack_eturnal() {
    unpack eturnal erlang-base erlang-crypto erlang-p1-stun erlang-p1-tls erlang-p1-utils || return 1
    erlang=$target/peers/eturnal/usr/lib/erlang
    erts=$(echo "$erlang"/erts-*)
    local missing
    missing=$(missing_libraries "$erts/bin/beam.smp")
    [[ -z $missing ]] && return 0
    leave_out eturnal "Erlang lacks $missing"
    return 1
}

# The version of what is measured, and what is special about its settings.
version() {
    local name=$1
    case $name in
        hairpin) "$hairpin" --version ;;
        baseline) echo "$("$BASELINE" --version), $BASELINE" ;;
        coturn) echo "$(coturn_version "$target/peers/coturn/usr/bin/turnserver"), Debian's$(more_flags coturn)" ;;
        coturn-*) echo "$(coturn_version "$COTURN")$(more_flags "$name")" ;;
        webrtc-rs) echo "the server of the turn crate $(crate_version turn)" ;;
        pion) echo "the server of pion $(package_version golang-github-pion-turn.v2-dev), $(go version)" ;;
        eturnal) echo "its engine $(cd "$target/peers/eturnal/packages" && echo erlang-p1-stun_* erlang-base_*)" ;;
        stub) echo "forwards with recvfrom and sendto" ;;
        stub-batches) echo "forwards with recvmmsg and sendmmsg" ;;
        stub-runs) echo "forwards with recvmmsg, sendmmsg, UDP_GRO and UDP_SEGMENT" ;;
    esac
}

coturn_version() {
    "$1" --version 2>/dev/null | grep -Eo '[0-9]+\.[0-9]+[0-9.]*' | head -n 1 || true
}

crate_version() {
    sed -n '/^name = "'"$1"'"$/ { n; s/version = "\(.*\)"/\1/p }' Cargo.lock
}

package_version() {
    dpkg-query -W -f '${Version}' "$1"
}

# What one coturn is started with beyond what all are.
coturn_flags() {
    case $1 in
        coturn) [[ -n ${COTURN:-} ]] || echo "${COTURN_FLAGS:-}" ;;
        coturn-new) echo "${COTURN_FLAGS:-}" ;;
        coturn-best) echo "--multiplex-peer --udp-gso" ;;
    esac
}

more_flags() {
    local flags
    flags=$(coturn_flags "$1")
    echo "${flags:+, }$flags"
}

# The configuration of the Hairpin with this name.
hairpin_config() {
    local name=$1
    cat <<END
[http]
listen = []
[listen]
udp = ["$server_ip:${port[$name]}"]
tcp = ["$server_ip:${port[$name]}"]
[tls]
certificate = "$scratch/certificate.pem"
key = "$scratch/key.pem"
[relay]
addresses = ["$server_ip"]
ports = "$first_port-$last_port"
${threads:+threads = $threads}
[credentials]
realm = "bench"
secrets = ["$secret"]
[peers]
loopback = true
allow = ["198.18.0.0/15"]
[limits]
allocations_per_user = 100000000
allocations_per_ip = 100000000
packets_per_second = 1000000
bits_per_second = 100000000000
connections_per_ip = 10000
handshakes_per_ip = 10000
answers_per_ip = 1000000
answers_per_network = 1000000
[log]
level = "warn"
END
}

# Sets `command` to what starts the server with this name.
compose() {
    local name=$1 address=$server_ip:${port[$1]}
    case $name in
        hairpin | baseline)
            hairpin_config "$name" >"$scratch/$name.toml"
            [[ $name == hairpin ]] && command=("$hairpin") || command=("$BASELINE")
            command+=(--config "$scratch/$name.toml")
            ;;
        coturn) compose_coturn coturn "$target/peers/coturn/usr/bin/turnserver" ;;
        coturn-*) compose_coturn "$name" "$COTURN" ;;
        webrtc-rs) command=("$webrtc_rs" "$address" "$secret" "$first_port" "$last_port" "${threads:-0}") ;;
        pion)
            command=(env ${threads:+"GOMAXPROCS=$threads"} "$target/peers/pion-server" "$transport" "$address" \
                "$secret" "$first_port" "$last_port" "$scratch/certificate.pem" "$scratch/key.pem")
            ;;
        eturnal) compose_eturnal ;;
        stub) command=("$load" stub --listen "$address" --forward singly) ;;
        stub-batches | stub-runs) command=("$load" stub --listen "$address" --forward "${name#stub-}") ;;
    esac
}

compose_coturn() {
    local name=$1 program=$2 flags
    read -ra flags <<<"$(coturn_flags "$name")"
    command=("$program" -n --lt-cred-mech --use-auth-secret "--static-auth-secret=$secret" --realm=bench
        "--listening-ip=$server_ip" "--listening-port=${port[$name]}" "--relay-ip=$server_ip"
        "--min-port=$first_port" "--max-port=$last_port" --allow-loopback-peers --no-dtls --no-cli
        --user-quota=0 --total-quota=0 --log-file=/dev/null --simple-log --no-stdout-log
        "--cert=$scratch/certificate.pem" "--pkey=$scratch/key.pem"
        "--tls-listening-port=$((port[$name] + tls_offset))"
        "--pidfile=$scratch/$name.pid" "--userdb=$scratch/$name.db" ${threads:+-m "$threads"} "${flags[@]}")
}

# As Debian's /usr/bin/erl starts it, from where it was unpacked.
compose_eturnal() {
    local load_and_run='{ok, Name, Code} = compile:file("benches/peers/eturnal", [binary]),
        {module, Name} = code:load_binary(Name, "", Code), Name:main().'
    command=(env "ROOTDIR=$erlang" "BINDIR=$erts/bin" EMU=beam PROGNAME=erl "$erts/bin/erlexec"
        -boot "$erlang/bin/start_clean" -noshell -noinput +Q 65536 -kernel logger_level error
        -pa "$erlang"/lib/p1_*/ebin ${threads:+"+S" "$threads:$threads"} -eval "$load_and_run"
        -extra "$transport" "$server_ip" "${port[eturnal]}" "$secret" "$first_port" "$last_port" "$scratch/both.pem")
}

# Starts a server and waits until it answers. `taskset`, `ip` and `env` become what they start, so the process is the server.
start() {
    local name=$1 way_in=() command
    compose "$name"
    "${server_cores[@]}" "${beside_server[@]}" "${command[@]}" >"$scratch/$name.log" 2>&1 &
    pid[$name]=$!
    ! is_stub "$name" || way_in=(--stub)
    if ! timeout 20 "${beside_generator[@]}" "$load" ready --server "$server_ip:${port[$name]}" \
        --from "$generator_ip" "${way_in[@]}" ||
        ! kill -0 "${pid[$name]}" 2>/dev/null; then
        tail -n 20 "$scratch/$name.log" >&2
        stop "$name"
        lost "$name" "it does not start"
        return 1
    fi
}

# Waits at most five seconds for a server to end by itself; it is ours, so it may be killed after that.
stop() {
    local name=$1
    local process=${pid[$name]:-}
    unset "pid[$name]"
    [[ -n $process ]] || return 0
    kill "$process" 2>/dev/null || true
    for _ in {1..50}; do
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
}
