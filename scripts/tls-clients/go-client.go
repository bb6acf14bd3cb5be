// What people do with HTTPS in Go's net/http. Arguments: the port, the file of the authority, and the version of TLS.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

type seen struct {
	Protocol  string
	Peer      string
	IsResumed bool
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	url, version := "https://localhost:"+os.Args[1], os.Args[3]
	pem, err := os.ReadFile(os.Args[2])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	number := map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}[version]
	config := &tls.Config{RootCAs: roots, MinVersion: number, MaxVersion: number, ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	transport := &http.Transport{TLSClientConfig: config}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}

	read := func(response *http.Response, err error) string {
		check(err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		check(err)
		if response.StatusCode != 200 {
			log.Fatal(response.Status)
		}
		return string(body)
	}
	show := func() (found seen) {
		check(json.Unmarshal([]byte(read(client.Get(url+"/"))), &found))
		if found.Protocol != version {
			log.Fatal(found)
		}
		return
	}
	expect := func(found, wanted string) {
		if found != wanted {
			log.Fatalf("found %d bytes: %.100q", len(found), found)
		}
	}

	body := strings.Repeat("a", 1<<20)
	first := show()
	expect(read(client.Post(url+"/length", "text/plain", strings.NewReader(body))), "1048576 bytes, sum 23280\n")
	expect(read(client.Get(url+"/mebibyte")), body)
	expect(read(client.Get(url+"/stream")), "one two three\n")
	expect(show().Peer, first.Peer)
	fmt.Println("feature GET\nfeature POST\nfeature stream\nfeature keep-alive")
	transport.CloseIdleConnections()
	if again := show(); !again.IsResumed || again.Peer == first.Peer {
		log.Fatal("not resumed: ", again)
	}
	fmt.Println("feature resumption")
}
