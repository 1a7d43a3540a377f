// pion's side of the calls that call_peers.py describes; `pion closed-port` is test_pion.py's client.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc"
)

type order struct {
	Call        string                     `json:"call"`
	Begin       string                     `json:"begin"`
	URL         string                     `json:"url"`
	Username    string                     `json:"username"`
	Credential  string                     `json:"credential"`
	Description *webrtc.SessionDescription `json:"description"`
}

type news struct {
	Call        string                     `json:"call"`
	State       string                     `json:"state,omitempty"`
	Sent        int                        `json:"sent,omitempty"`
	Heard       int                        `json:"heard,omitempty"`
	Description *webrtc.SessionDescription `json:"description,omitempty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "closed-port" {
		closedPort(os.Args[2:])
		return
	}
	calls := map[string]*webrtc.PeerConnection{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o order
		must(json.Unmarshal(lines.Bytes(), &o))
		if o.Begin != "" {
			calls[o.Call] = connect(o)
		}
		go obey(calls[o.Call], o)
	}
	for _, connection := range calls {
		must(connection.Close())
	}
}

func obey(connection *webrtc.PeerConnection, o order) {
	if o.Description != nil {
		must(connection.SetRemoteDescription(*o.Description))
	}
	switch {
	case o.Begin == "offer":
		channel, err := connection.CreateDataChannel("echo", nil)
		must(err)
		attend(o.Call, channel)
		offer, err := connection.CreateOffer(nil)
		must(err)
		describe(o.Call, connection, offer)
	case o.Description != nil && o.Description.Type == webrtc.SDPTypeOffer:
		answer, err := connection.CreateAnswer(nil)
		must(err)
		describe(o.Call, connection, answer)
	}
}

func connect(o order) *webrtc.PeerConnection {
	server := webrtc.ICEServer{URLs: []string{o.URL}, Username: o.Username, Credential: o.Credential}
	connection, err := webrtc.NewPeerConnection(webrtc.Configuration{
		ICEServers:         []webrtc.ICEServer{server},
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
	})
	must(err)
	connection.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		say(news{Call: o.Call, State: state.String()})
	})
	connection.OnDataChannel(func(channel *webrtc.DataChannel) { attend(o.Call, channel) })
	return connection
}

// describe says the description with all candidates in it.
func describe(call string, connection *webrtc.PeerConnection, description webrtc.SessionDescription) {
	gathered := webrtc.GatheringCompletePromise(connection)
	must(connection.SetLocalDescription(description))
	<-gathered
	say(news{Call: call, Description: connection.LocalDescription()})
}

func attend(call string, channel *webrtc.DataChannel) {
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		var number int
		if text := string(message.Data); strings.HasPrefix(text, "ping ") {
			// an error here is an echo that is missing there
			_ = channel.SendText("echo " + strings.TrimPrefix(text, "ping "))
		} else if _, err := fmt.Sscanf(text, "echo %d", &number); err == nil {
			say(news{Call: call, Heard: number})
		}
	})
	channel.OnOpen(func() {
		for number := 1; channel.SendText(fmt.Sprintf("ping %d", number)) == nil; number++ {
			say(news{Call: call, Sent: number})
			time.Sleep(time.Second)
		}
	})
}

var talking sync.Mutex

func say(what news) {
	line, err := json.Marshal(what)
	must(err)
	talking.Lock()
	defer talking.Unlock()
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		os.Exit(1)
	}
}
