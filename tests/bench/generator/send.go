package main

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Plan says where the requests go, over how many connections, how fast and for how long.
type Plan struct {
	Address     string
	Connections int
	Rate        float64
	Window      time.Duration
	Timeout     time.Duration
	Loop        bool
}

// Answer is what became of one request; status 0 is one that got no whole answer.
type Answer struct {
	Index   int64
	Start   time.Time
	Latency time.Duration
	Status  int
}

func (p Plan) check() error {
	if p.Address == "" || p.Connections < 1 || p.Rate < 0 || p.Timeout <= 0 {
		return errors.New("an address, at least one connection, a rate of 0 or more and a time limit are needed")
	}
	if p.Loop && p.Window <= 0 {
		return errors.New("-loop needs -seconds, or it never ends")
	}
	return nil
}

// Send gives each record to the next free connection and returns every answer, by connection.
func (p Plan) Send(records [][]byte) ([][]Answer, time.Duration) {
	answers := make([][]Answer, p.Connections)
	var next atomic.Int64
	var sending sync.WaitGroup
	start := time.Now()
	for number := range answers {
		sending.Add(1)
		go func() {
			defer sending.Done()
			sender := sender{plan: p, start: start, next: &next}
			answers[number] = sender.sendAll(records)
		}()
	}
	sending.Wait()
	return answers, time.Since(start)
}

// sender keeps one connection and has one request under way.
type sender struct {
	plan       Plan
	start      time.Time
	next       *atomic.Int64
	connection net.Conn
	reader     *bufio.Reader
}

func (s *sender) sendAll(records [][]byte) []Answer {
	var answers []Answer
	defer s.drop()
	for {
		index := s.next.Add(1) - 1
		if !s.plan.Loop && index >= int64(len(records)) {
			return answers
		}
		begun, ok := s.await(index)
		if !ok {
			return answers
		}
		status := s.exchange(records[index%int64(len(records))])
		answers = append(answers, Answer{index, begun, time.Since(begun), status})
	}
}

// await sleeps until the request is due and says from when to time it; false when the window has passed.
func (s *sender) await(index int64) (time.Time, bool) {
	now := time.Now()
	begun := now
	if s.plan.Rate > 0 {
		begun = s.start.Add(time.Duration(float64(index) / s.plan.Rate * float64(time.Second)))
	}
	if s.plan.Window > 0 && begun.Sub(s.start) >= s.plan.Window {
		return begun, false
	}
	if wait := begun.Sub(now); wait > 0 {
		time.Sleep(wait)
		begun = time.Now() // how late this program's own timer wakes is no latency of the server's
	}
	return begun, s.plan.Window <= 0 || time.Since(s.start) < s.plan.Window
}

func (s *sender) exchange(request []byte) (status int) {
	if s.connection == nil && !s.connect() {
		return 0
	}
	_ = s.connection.SetDeadline(time.Now().Add(s.plan.Timeout))
	if _, err := s.connection.Write(request); err != nil {
		s.drop()
		return 0
	}
	status, open, err := ReadAnswer(s.reader)
	if err != nil || !open {
		s.drop()
	}
	if err != nil {
		return 0
	}
	return status
}

func (s *sender) connect() bool {
	connection, err := net.DialTimeout("tcp", s.plan.Address, s.plan.Timeout)
	if err != nil {
		time.Sleep(time.Millisecond) // a port that refuses would otherwise fail the whole file in one moment
		return false
	}
	s.connection = connection
	s.reader = bufio.NewReaderSize(connection, 32<<10)
	return true
}

func (s *sender) drop() {
	if s.connection != nil {
		_ = s.connection.Close()
		s.connection = nil
	}
}
