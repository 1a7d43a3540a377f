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

function ratio(own, other) {
    return other > 0 && own >= 0 ? sprintf("%.2f", own / other) : "-"
}

# The ratio of a server's median to that of the server that all are compared with.
function against_base(name, what, key) {
    return ratio(median(name " " what, key), median(base " " what, key))
}

# The lowest median of the forwarders, which no server can be expected to beat.
function floor_of(what, key, i, value, lowest) {
    lowest = -1
    for (i = 1; i <= names; i++) {
        if (name[i] !~ /^stub/) continue
        value = median(name[i] " " what, key)
        if (value >= 0 && (lowest < 0 || value < lowest)) lowest = value
    }
    return lowest
}

# Packets that did not arrive as they were sent, in all rounds together.
function faults(cell, i, wrong, twice, late) {
    for (i = 1; i <= count[cell]; i++) {
        wrong += seen[cell, "wrong", i]
        twice += seen[cell, "duplicates", i]
        late += seen[cell, "reordered", i]
    }
    return wrong + 0 "/" twice + 0 "/" late + 0
}

# How often the search ended because of the generator, and not of the server.
function held_up(cell, i, n) {
    for (i = 1; i <= count[cell]; i++) n += seen[cell, "limit", i] != "server"
    return n + 0 "/" count[cell] + 0
}

function fixed_rate(kind, i, k, kinds, row, what, cell) {
    kinds = split(traffic, kind, " ")
    row = "%-12s %-13s %-21s %8s %8s  %-22s %-19s %-23s %-24s %-9s %s\n"
    printf row, "traffic", "server", "CPU ns/packet", "vs base", "vs stubs", "loss %", "p50 us", "p99 us", "p99.9 us",
        "w/d/r", "samples"
    for (k = 1; k <= kinds; k++) {
        for (i = 1; i <= names; i++) {
            what = "sample " kind[k]
            cell = name[i] " " what
            if (!tried[cell]) continue
            printf row, kind[k], name[i], spread(cell, "ns_per_packet", "%.0f"),
                against_base(name[i], what, "ns_per_packet"),
                ratio(median(cell, "ns_per_packet"), floor_of(what, "ns_per_packet")),
                spread(cell, "loss_pct", "%.3f"), spread(cell, "p50_us", "%.0f"), spread(cell, "p99_us", "%.0f"),
                spread(cell, "p999_us", "%.0f"), faults(cell), count[cell] + 0 "/" rounds
        }
    }
}

function highest_rates(kind, i, k, kinds, row, what, cell) {
    kinds = split(highest, kind, " ")
    if (kinds == 0) return
    row = "%-12s %-13s %-26s %8s %10s  %-20s %-22s %-24s %-9s %s\n"
    printf "\n" row, "traffic", "server", "highest packets/s", "vs base", "generator", "p50 us at half", "p99 us at half",
        "p99.9 us at half", "w/d/r", "samples"
    for (k = 1; k <= kinds; k++) {
        for (i = 1; i <= names; i++) {
            what = "highest " kind[k]
            cell = name[i] " " what
            if (!tried[cell]) continue
            printf row, kind[k], name[i], spread(cell, "highest", "%.0f"), against_base(name[i], what, "highest"),
                held_up(cell), spread(cell, "p50_us", "%.0f"), spread(cell, "p99_us", "%.0f"),
                spread(cell, "p999_us", "%.0f"), faults(cell), count[cell] + 0 "/" rounds
        }
    }
}

function allocations(i, row, what, cell, any) {
    what = "allocations -"
    row = "%-12s %-13s %-24s %8s %10s  %-22s %-22s %8s  %-22s %s\n"
    for (i = 1; i <= names; i++) {
        cell = name[i] " " what
        if (!tried[cell]) continue
        if (!any++) {
            printf "\n" row, "allocations", "server", "allocations/s", "vs base", "generator", "CPU us/allocation",
                "process bytes each", "vs base", "kernel bytes each", "samples"
        }
        printf row, "", name[i], spread(cell, "allocations_per_s", "%.0f"),
            against_base(name[i], what, "allocations_per_s"), held_up(cell),
            spread(cell, "cpu_us_per_allocation", "%.1f"), spread(cell, "rss_per_allocation", "%.0f"),
            against_base(name[i], what, "rss_per_allocation"), spread(cell, "slab_per_allocation", "%.0f"),
            count[cell] + 0 "/" rounds
    }
}

{
    delete field
    for (i = 1; i <= NF; i++) {
        at = index($i, "=")
        field[substr($i, 1, at - 1)] = substr($i, at + 1)
    }
    what = field["measure"] " " field["kind"]
    cell = field["peer"] " " what
    tried[cell] = 1
    if (field["valid"] != 1) {
        refused[field["why"]]++
        next
    }
    if (field["round"] == 0) next
    count[cell]++
    for (key in field) seen[cell, key, count[cell]] = field[key]
    if (field["others_pct"] + 0 > others) others = field["others_pct"] + 0
    if (field["steal_pct"] + 0 > steal) steal = field["steal_pct"] + 0
}

END {
    names = split(peers, name, " ")
    fixed_rate()
    highest_rates()
    allocations()
    print "\nw/d/r: packets that were wrong, came twice, or came after a later one of their flow, in all rounds together"
    print "generator: how often the generator, and not the server, was the limit"
    printf "other processes used at most %.1f %% of one processor in an accepted sample, the host stole at most %.1f %%\n",
        others, steal
    for (why in refused) printf "refused and repeated: %d (%s)\n", refused[why], why
}
