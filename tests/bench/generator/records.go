package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ReadRecords gives the requests of a file, mapped rather than copied: a million of them are a gigabyte.
func ReadRecords(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if about.Size() == 0 {
		return nil, errors.New("the file holds no request")
	}
	content, err := syscall.Mmap(int(file.Fd()), 0, int(about.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	return split(content)
}

func split(content []byte) ([][]byte, error) {
	var records [][]byte
	for at := 0; at < len(content); {
		if len(content)-at < 4 {
			return nil, fmt.Errorf("byte %d: a length that is cut off", at)
		}
		length := int(binary.BigEndian.Uint32(content[at:]))
		at += 4
		if length == 0 || length > len(content)-at {
			return nil, fmt.Errorf("byte %d: a request of %d bytes where %d are left", at, length, len(content)-at)
		}
		records = append(records, content[at:at+length:at+length])
		at += length
	}
	return records, nil
}
