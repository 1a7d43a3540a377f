// pion's TURN server, set up as its own examples do, for benches/run.
//
// Arguments: the transport (udp, tcp, tls), the address to listen on, the shared secret, the first and the last relay
// port, and the files of the certificate and its key. UDP is always served, for the question whether it is ready.
package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"log"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/pion/turn/v2"
)

// In case that whoever started it dies without stopping it.
const lifetime = 6 * time.Hour

func main() {
	if len(os.Args) != 8 {
		log.Fatal("usage: pion TRANSPORT ADDRESS SECRET FIRST_PORT LAST_PORT CERTIFICATE KEY")
	}
	transport, address, secret := os.Args[1], os.Args[2], os.Args[3]
	host, _, err := net.SplitHostPort(address)
	must(err)
	relay := &turn.RelayAddressGeneratorPortRange{
		RelayAddress: net.ParseIP(host),
		Address:      host,
		MinPort:      port(os.Args[4]),
		MaxPort:      port(os.Args[5]),
		MaxRetries:   100,
	}
	socket, err := net.ListenPacket("udp4", address)
	must(err)
	config := turn.ServerConfig{
		Realm: "bench",
		AuthHandler: func(username, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(username, realm, password(secret, username)), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: socket, RelayAddressGenerator: relay}},
	}
	if transport != "udp" {
		listener, err := net.Listen("tcp4", address)
		must(err)
		if transport == "tls" {
			pair, err := tls.LoadX509KeyPair(os.Args[6], os.Args[7])
			must(err)
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
		}
		config.ListenerConfigs = []turn.ListenerConfig{{Listener: listener, RelayAddressGenerator: relay}}
	}
	server, err := turn.NewServer(config)
	must(err)
	time.Sleep(lifetime)
	must(server.Close())
}

// password is issued as a web application does it: the HMAC of the username.
func password(secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func port(text string) uint16 {
	number, err := strconv.ParseUint(text, 10, 16)
	must(err)
	return uint16(number)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
