package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func aPlan(server *httptest.Server) Plan {
	return Plan{Address: strings.TrimPrefix(server.URL, "http://"), Connections: 4, Timeout: 5 * time.Second}
}

func requests(count int) [][]byte {
	records := make([][]byte, count)
	for i := range records {
		body := fmt.Sprintf("request %d", i)
		records[i] = fmt.Appendf(nil, "POST /%d HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
	}
	return records
}

func TestEachRequestIsSentOnceAndEveryKindOfBodyIsReadToItsEnd(t *testing.T) {
	const count = 400
	var seen [count]atomic.Int32
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var index int
		if _, err := fmt.Sscanf(string(body), "request %d", &index); err == nil {
			seen[index].Add(1)
		}
		switch index % 4 {
		case 0:
			w.WriteHeader(http.StatusNoContent)
		case 1:
			fmt.Fprint(w, strings.Repeat("a", 50_000))
		case 2: // flushed in parts: chunked
			fmt.Fprint(w, "one\n")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, strings.Repeat("b", 5_000))
		case 3:
			w.WriteHeader(http.StatusConflict)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()

	summary := Summarize(aPlan(server).Send(requests(count)))

	for index := range seen {
		if got := seen[index].Load(); got != 1 {
			t.Fatalf("request %d was sent %d times", index, got)
		}
	}
	if summary.Sent != count || summary.Failed != 0 || connections.Load() > 4 {
		t.Fatalf("%+v over %d connections", summary, connections.Load())
	}
	for status, want := range map[string]int{"204": 100, "200": 200, "409": 100} {
		if summary.Statuses[status] != want {
			t.Fatalf("status %s: %+v", status, summary)
		}
	}
}

func TestAClosedConnectionIsOpenedAgainAndItsRequestCountedAsFailed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "5") {
			panic(http.ErrAbortHandler) // cuts the connection without an answer
		}
	}))
	defer server.Close()

	summary := Summarize(aPlan(server).Send(requests(100)))

	if summary.Sent != 100 || summary.Failed != 10 || summary.Statuses["200"] != 90 {
		t.Fatalf("%+v", summary)
	}
}

func TestAStallIsPaidByAllWhoWereDueInIt(t *testing.T) {
	const stall = 300 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/0" {
			time.Sleep(stall)
		}
	}))
	defer server.Close()
	plan := aPlan(server)
	plan.Connections, plan.Rate = 1, 100

	answers, elapsed := plan.Send(requests(60))
	summary := Summarize(answers, elapsed)

	if elapsed < 590*time.Millisecond || elapsed > 5*time.Second {
		t.Fatalf("60 requests at 100/s took %s", elapsed)
	}
	late := 0 // those due in the stall waited for its end; a closed loop would show one
	for _, answer := range answers[0] {
		if answer.Latency > stall/2 {
			late++
		}
	}
	if late < 10 || summary.LatencyUs["max"] < stall.Microseconds() {
		t.Fatalf("%d of the requests show the stall: %+v", late, summary)
	}
}

func TestAWindowEndsALoop(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	plan := aPlan(server)
	plan.Loop, plan.Rate, plan.Window = true, 200, 500*time.Millisecond

	answers, elapsed := plan.Send(requests(7))
	summary := Summarize(answers, elapsed)

	if summary.Sent < 90 || summary.Sent > 101 || summary.Statuses["200"] != summary.Sent {
		t.Fatalf("%+v", summary)
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := WriteLog(log, answers); err != nil {
		t.Fatal(err)
	}
	lines, _ := os.ReadFile(log)
	for index, line := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
		var at, start, latency, status int64
		if _, err := fmt.Sscan(line, &at, &start, &latency, &status); err != nil || at != int64(index) || status != 200 {
			t.Fatalf("line %d: %q", index, line)
		}
	}
}

func TestAFileThatIsCutOffIsRefused(t *testing.T) {
	whole := binary.BigEndian.AppendUint32(nil, 4)
	whole = append(whole, "abcd"...)
	if records, err := split(whole); err != nil || len(records) != 1 || string(records[0]) != "abcd" {
		t.Fatalf("%q %v", records, err)
	}
	for end := 1; end < len(whole); end++ {
		if _, err := split(whole[:end]); err == nil {
			t.Fatalf("accepted after %d bytes", end)
		}
	}
}
