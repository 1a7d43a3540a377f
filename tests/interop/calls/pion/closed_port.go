// A pion client that is told that a port is closed, and goes on or does not.
package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pion/turn/v2"
)

// closedPort takes SERVER USERNAME PASSWORD CLOSED: sends to CLOSED again and again, and then wants an echo of its own
// from another address.
func closedPort(arguments []string) {
	server, username, password := arguments[0], arguments[1], arguments[2]
	closed, err := net.ResolveUDPAddr("udp4", arguments[3])
	must(err)
	peer, err := net.ListenPacket("udp4", "127.0.0.2:0")
	must(err)
	go echo(peer)
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(err)
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Username: username, Password: password, Conn: conn,
	})
	must(err)
	must(client.Listen())
	relay, err := client.Allocate()
	must(err)

	// each is answered by ICMP; the pauses give that the time to come
	for i := 0; i < 5; i++ {
		_, err = relay.WriteTo([]byte("is anybody there?"), closed)
		must(err)
		time.Sleep(100 * time.Millisecond)
	}

	// a transaction, CreatePermission for an address that is new, and data both ways
	_, err = relay.WriteTo([]byte("and here?"), peer.LocalAddr())
	must(err)
	must(relay.SetReadDeadline(time.Now().Add(5 * time.Second)))
	buffer := make([]byte, 1500)
	n, _, err := relay.ReadFrom(buffer)
	must(err)
	fmt.Println("heard:", string(buffer[:n]))
	os.Exit(0)
}

func echo(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		must(err)
		_, err = conn.WriteTo(buffer[:n], from)
		must(err)
	}
}
