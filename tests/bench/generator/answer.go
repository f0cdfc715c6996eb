package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ReadAnswer reads one whole HTTP/1.1 answer and forgets its body; open says whether the connection can be kept.
func ReadAnswer(from *bufio.Reader) (status int, open bool, err error) {
	for {
		head, err := readHead(from)
		if err != nil {
			return 0, false, err
		}
		if head.status < 200 { // 100 Continue and 103 Early Hints come before the answer
			continue
		}
		open, err = head.skipBody(from)
		return head.status, open, err
	}
}

type head struct {
	status  int
	length  int64 // -1: none was said
	chunked bool
	closing bool
}

func readHead(from *bufio.Reader) (head, error) {
	line, err := readLine(from)
	if err != nil {
		return head{}, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return head{}, fmt.Errorf("no status line of HTTP/1.1: %.40q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return head{}, fmt.Errorf("no status line of HTTP/1.1: %.40q", line)
	}
	found := head{status: status, length: -1, closing: line[7] == '0'}
	for {
		line, err := readLine(from)
		if err != nil {
			return head{}, err
		}
		if len(line) == 0 {
			return found, nil
		}
		if err := found.note(line); err != nil {
			return head{}, err
		}
	}
}

func (h *head) note(line []byte) error {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found {
		return fmt.Errorf("no header: %.40q", line)
	}
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		length, err := strconv.ParseInt(string(value), 10, 63)
		h.length = length
		return err
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("connection")):
		h.closing = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

func (h *head) skipBody(from *bufio.Reader) (open bool, err error) {
	switch {
	case h.status == 204 || h.status == 304:
	case h.chunked:
		err = skipChunks(from)
	case h.length >= 0:
		err = skip(from, h.length)
	default: // the body ends where the connection does
		_, err = io.Copy(io.Discard, from)
		return false, err
	}
	return !h.closing, err
}

func skipChunks(from *bufio.Reader) error {
	for {
		line, err := readLine(from)
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		length, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 63)
		if err != nil || length < 0 {
			return fmt.Errorf("no length of a chunk: %.40q", line)
		}
		if length == 0 {
			return skipTrailers(from)
		}
		if err := skip(from, length+2); err != nil { // the chunk's own CRLF
			return err
		}
	}
}

func skipTrailers(from *bufio.Reader) error {
	for {
		line, err := readLine(from)
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

// skip drops exactly so many bytes; an end before them is an error.
func skip(from *bufio.Reader, length int64) error {
	for length > 0 {
		dropped, err := from.Discard(int(min(length, 1<<20)))
		length -= int64(dropped)
		if err != nil {
			return ended(err)
		}
	}
	return nil
}

// readLine gives a line without its CRLF, valid until the next read.
func readLine(from *bufio.Reader) ([]byte, error) {
	line, err := from.ReadSlice('\n')
	if err != nil {
		return nil, ended(err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
