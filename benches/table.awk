# Turns the samples of benches/run into its table: medians over the rounds that count, with their range.

function sorted(list, n, i, j, value) {
    for (i = 2; i <= n; i++) {
        value = list[i]
        for (j = i - 1; j >= 1 && list[j] > value; j--) list[j + 1] = list[j]
        list[j + 1] = value
    }
}

# Loads the values of one cell into `list`, in order; returns how many there are.
function values(cell, key, i, n) {
    n = count[cell]
    for (i = 1; i <= n; i++) list[i] = seen[cell, key, i] + 0
    sorted(list, n)
    return n
}

function median(cell, key, n) {
    n = values(cell, key)
    if (n == 0) return -1
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function spread(cell, key, format, n) {
    n = values(cell, key)
    if (n == 0) return "-"
    return sprintf(format " (" format "-" format ")", median(cell, key), list[1], list[n])
}

# The ratio of a server's median to that of the server that all are compared with.
function against_base(name, kind, key, other, own) {
    other = median(base " " kind, key)
    own = median(name " " kind, key)
    return other > 0 && own >= 0 ? sprintf("%.2f", own / other) : "-"
}

{
    delete field
    for (i = 1; i <= NF; i++) {
        at = index($i, "=")
        field[substr($i, 1, at - 1)] = substr($i, at + 1)
    }
    if (field["valid"] != 1) {
        refused[field["why"]]++
        next
    }
    if (field["round"] == 0) next
    kind = field["scenario"] (field["scenario"] == "idle" ? "" : " " field["direction"])
    cell = field["peer"] " " kind
    count[cell]++
    for (key in field) seen[cell, key, count[cell]] = field[key]
    if (field["others_pct"] + 0 > others) others = field["others_pct"] + 0
    if (field["steal_pct"] + 0 > steal) steal = field["steal_pct"] + 0
}

END {
    names = split(peers, name, " ")
    kinds = split("singly up,singly down,bursts up,bursts down", kind_list, ",")
    row = "%-12s %-8s %-20s %11s  %-24s %-22s %-24s %s\n"
    printf row, "traffic", "server", "CPU ns/packet", "vs " base, "loss %", "p50 us", "p99 us", "samples"
    for (k = 1; k <= kinds; k++) {
        for (p = 1; p <= names; p++) {
            kind = kind_list[k]
            cell = name[p] " " kind
            printf row, kind, name[p], spread(cell, "ns_per_packet", "%.0f"),
                against_base(name[p], kind, "ns_per_packet"), spread(cell, "loss_pct", "%.3f"),
                spread(cell, "p50_us", "%.1f"), spread(cell, "p99_us", "%.1f"), count[cell] + 0 "/" rounds
        }
    }
    row = "%-12s %-8s %-26s %11s  %s\n"
    if (idle_rounds > 0) printf "\n" row, "memory", "server", "bytes per idle allocation", "vs " base, "samples"
    for (p = 1; p <= names && idle_rounds > 0; p++) {
        if (name[p] == "stub") continue
        printf row, "RSS", name[p], spread(name[p] " idle", "bytes_per_allocation", "%.0f"),
            against_base(name[p], "idle", "bytes_per_allocation"), count[name[p] " idle"] + 0 "/" idle_rounds
    }
    printf "\nother processes used at most %.1f %% of one processor in an accepted sample, the host stole at most %.1f %%\n",
        others, steal
    for (why in refused) printf "refused and repeated: %d (%s)\n", refused[why], why
}
