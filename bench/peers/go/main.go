// Go net/http. See ../settings.ts for what the bench asks of a peer.
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const pieces = 256

var piece = bytes.Repeat([]byte("x"), 16*1024)

var (
	lock        sync.Mutex
	subscribers = map[chan string]bool{}
)

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write([]byte("Hello, World!"))
}

func flood(w http.ResponseWriter, _ *http.Request) {
	for i := 0; i < pieces; i++ {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func stream(w http.ResponseWriter, r *http.Request) {
	inbox := make(chan string, 100)
	lock.Lock()
	subscribers[inbox] = true
	lock.Unlock()
	defer func() {
		lock.Lock()
		delete(subscribers, inbox)
		lock.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": welcome\n\n")
	flusher := w.(http.Flusher)
	flusher.Flush()
	for {
		select {
		case text := <-inbox:
			fmt.Fprint(w, text)
			flusher.Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func publish(interval time.Duration, begin <-chan os.Signal) {
	<-begin
	for range time.Tick(interval) {
		text := fmt.Sprintf("data: %.3f\n\n", float64(time.Now().UnixNano())/1e6)
		lock.Lock()
		for inbox := range subscribers {
			select {
			case inbox <- text:
			default:
			}
		}
		lock.Unlock()
	}
}

func main() {
	collect := make(chan os.Signal, 1)
	signal.Notify(collect, syscall.SIGUSR2)
	go func() {
		for range collect {
			debug.FreeOSMemory()
		}
	}()
	if interval, _ := strconv.Atoi(os.Getenv("INTERVAL")); interval > 0 {
		begin := make(chan os.Signal, 1)
		signal.Notify(begin, syscall.SIGHUP)
		go publish(time.Duration(interval)*time.Millisecond, begin)
	}
	switch os.Getenv("HANDLER") {
	case "stream":
		http.HandleFunc("/", stream)
	case "flood":
		http.HandleFunc("/flood", flood)
		http.HandleFunc("/", hello)
	default:
		http.HandleFunc("/", hello)
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
	os.Exit(1)
}
