// Command loadgen sends prepared HTTP/1.1 requests over kept connections and says how they were answered.
//
// The requests' file is a sequence of records: four bytes of length, big-endian, then the raw bytes of one request.
// Each is sent once, in order. With -rate 0 a connection sends its next request when it has its answer; with a rate,
// request i is due at i/rate seconds, and one that finds every connection busy is timed from when it was due, so that
// a stalled server shows in the latencies of all who would have come meanwhile.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	plan := Plan{}
	address := flag.String("address", "", "HOST:PORT of the server")
	requests := flag.String("requests", "", "file of the requests to send")
	log := flag.String("log", "", "file for one line a request: index, start in unix µs, latency in µs, status (0: failed)")
	flag.IntVar(&plan.Connections, "connections", 8, "connections to send over")
	flag.Float64Var(&plan.Rate, "rate", 0, "requests due a second; 0: as fast as answers come")
	seconds := flag.Float64("seconds", 0, "stop sending after so many seconds; 0: at the end of the file")
	flag.BoolVar(&plan.Loop, "loop", false, "begin again at the end of the file")
	timeout := flag.Float64("timeout", 30, "seconds after which an unanswered request has failed")
	flag.Parse()
	plan.Address = *address
	plan.Window = time.Duration(*seconds * float64(time.Second))
	plan.Timeout = time.Duration(*timeout * float64(time.Second))

	if err := run(plan, *requests, *log); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(2)
	}
}

func run(plan Plan, requests, log string) error {
	if err := plan.check(); err != nil {
		return err
	}
	records, err := ReadRecords(requests)
	if err != nil {
		return err
	}
	answers, elapsed := plan.Send(records)
	if log != "" {
		if err := WriteLog(log, answers); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(Summarize(answers, elapsed))
}
