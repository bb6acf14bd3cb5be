// Go net/http. See ../shared.ts for the routes and the signals.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

var (
	piece       = bytes.Repeat([]byte("x"), 16*1024)
	megabyte    = bytes.Repeat([]byte("x"), 1024*1024)
	lock        sync.Mutex
	subscribers = map[chan string]bool{}
)

type record struct {
	ID    int      `json:"id"`
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
}

type line struct {
	SKU     string `json:"sku"`
	Count   int    `json:"count"`
	InStock bool   `json:"inStock"`
}

type order struct {
	ID       int    `json:"id"`
	Accepted bool   `json:"accepted"`
	Lines    []line `json:"lines"`
}

// JSON of about so many bytes: a list of records.
func document(size int) []byte {
	records := []record{}
	for id := 1; ; id++ {
		text, _ := json.Marshal(records)
		if len(text) >= size-60 {
			return text
		}
		records = append(records, record{id, fmt.Sprintf("item %d", id), float64(id) * 1.25, []string{"a", "b"}})
	}
}

func serveDocument(path string, size int) {
	text := document(size)
	http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		if r.URL.Query().Get("page") != "7" || r.Header.Get("X-Client") != "bench" {
			w.WriteHeader(400)
		}
		w.Write(text)
	})
}

func hello(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		w.WriteHeader(404)
		w.Write([]byte("not found"))
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Write([]byte("Hello, World!"))
}

func takeOrder(w http.ResponseWriter, r *http.Request) {
	var taken order
	if err := json.NewDecoder(r.Body).Decode(&taken); err != nil {
		w.WriteHeader(400)
		return
	}
	taken.Accepted = true
	for i := range taken.Lines {
		taken.Lines[i].InStock = true
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(taken)
}

func upload(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprint(w, len(body))
}

func download(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(len(megabyte)))
	w.Write(megabyte)
}

func flood(w http.ResponseWriter, _ *http.Request) {
	for i := 0; i < pieces; i++ {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func events(w http.ResponseWriter, r *http.Request) {
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
	http.HandleFunc("/", hello)
	serveDocument("/small", 200)
	serveDocument("/medium", 5_000)
	serveDocument("/large", 50_000)
	http.HandleFunc("/order", takeOrder)
	http.HandleFunc("/upload", upload)
	http.HandleFunc("/download", download)
	http.HandleFunc("/flood", flood)
	http.HandleFunc("/events", events)
	address := "127.0.0.1:" + os.Getenv("PORT")
	if key := os.Getenv("TLS_KEY"); key != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServeTLS(address, os.Getenv("TLS_CERT"), key, nil))
	} else {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil))
	}
	os.Exit(1)
}
