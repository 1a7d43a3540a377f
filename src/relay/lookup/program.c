// Chooses the socket that receives a datagram for a relay port: one that serves all relay ports of a shard.
//
// The kernel runs this for each datagram that no connected socket expects, and before it looks for the socket that is bound
// to the port. A port that is not in `ports` is left to that one. `compile` next to this file makes program.o of it, and
// src/relay/lookup.rs loads that.

#include <linux/bpf.h>

#define SECTION(name) __attribute__((section(name), used))
#define NUMBER(name, value) int (*name)[value]
#define TYPE(name, type) typeof(type) *name

#define AF_INET 2
#define IPPROTO_UDP 17

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const bpf_sk_assign)(void *ctx, void *sk, __u64 flags) = (void *)BPF_FUNC_sk_assign;
static long (*const bpf_sk_release)(void *sk) = (void *)BPF_FUNC_sk_release;

// A transport address. IPv4 is mapped to IPv6 (RFC 4291 §2.5.5.2); the port is in the byte order of this machine.
struct address {
	__u32 ip[4];
	__u32 port;
};

// The index in `sockets` for each relay port that is in use. Its size, and that of `sockets`, is set before it is loaded.
struct {
	NUMBER(type, BPF_MAP_TYPE_HASH);
	TYPE(key, struct address);
	TYPE(value, __u32);
	NUMBER(max_entries, 1);
	NUMBER(map_flags, BPF_F_NO_PREALLOC);
} ports SECTION(".maps");

struct {
	NUMBER(type, BPF_MAP_TYPE_SOCKMAP);
	TYPE(key, __u32);
	TYPE(value, __u32);
	NUMBER(max_entries, 1);
} sockets SECTION(".maps");

// The range of relay ports, set before this is loaded, so that other datagrams cost next to nothing.
const volatile __u16 first = 0;
const volatile __u16 last = 0;

SECTION("sk_lookup")
int choose(struct bpf_sk_lookup *datagram)
{
	struct address to = {};
	__u32 ip, *index;
	void *socket;

	if (datagram->protocol != IPPROTO_UDP)
		return SK_PASS;
	to.port = datagram->local_port;
	if (to.port < first || to.port > last)
		return SK_PASS;
	if (datagram->family == AF_INET) {
		to.ip[2] = __builtin_bswap32(0xffff);
		ip = datagram->local_ip4;
		// Otherwise clang computes the place of this field first, and the kernel allows no computed places.
		__asm__ volatile("" : "+r"(ip));
		to.ip[3] = ip;
	} else {
		to.ip[0] = datagram->local_ip6[0];
		to.ip[1] = datagram->local_ip6[1];
		to.ip[2] = datagram->local_ip6[2];
		to.ip[3] = datagram->local_ip6[3];
	}
	index = bpf_map_lookup_elem(&ports, &to);
	if (!index)
		return SK_PASS;
	socket = bpf_map_lookup_elem(&sockets, index);
	if (!socket)
		return SK_PASS;
	// If it is refused, the socket that is bound to the port receives the datagram.
	bpf_sk_assign(datagram, socket, 0);
	bpf_sk_release(socket);
	return SK_PASS;
}

char terms[] SECTION("license") = "Dual MIT/GPL";
