package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Summary is the program's answer; latencies are of answered requests, in µs.
type Summary struct {
	Sent       int              `json:"sent"`
	Statuses   map[string]int   `json:"statuses"`
	Failed     int              `json:"failed"`
	Seconds    float64          `json:"seconds"`
	LatencyUs  map[string]int64 `json:"latency_us"`
	CPUSeconds float64          `json:"cpu_seconds"`
}

func Summarize(answers [][]Answer, elapsed time.Duration) Summary {
	summary := Summary{Statuses: map[string]int{}, Seconds: elapsed.Seconds(), CPUSeconds: ownCPU()}
	var latencies []int64
	for _, of := range answers {
		for _, answer := range of {
			summary.Sent++
			if answer.Status == 0 {
				summary.Failed++
				continue
			}
			summary.Statuses[strconv.Itoa(answer.Status)]++
			latencies = append(latencies, answer.Latency.Microseconds())
		}
	}
	slices.Sort(latencies)
	summary.LatencyUs = map[string]int64{
		"p50": share(latencies, 50), "p90": share(latencies, 90), "p99": share(latencies, 99), "max": share(latencies, 100),
	}
	return summary
}

// share is the smallest value that so many percent do not exceed (nearest rank); 0 of nothing.
func share(sorted []int64, percent int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}

func ownCPU() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// WriteLog writes one line a request in the order in which they were taken.
func WriteLog(path string, answers [][]Answer) error {
	all := slices.Concat(answers...)
	slices.SortFunc(all, func(a, b Answer) int { return int(a.Index - b.Index) })
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	lines := bufio.NewWriter(file)
	for _, answer := range all {
		fmt.Fprintf(lines, "%d %d %d %d\n", answer.Index, answer.Start.UnixMicro(), answer.Latency.Microseconds(), answer.Status)
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	return file.Close()
}
