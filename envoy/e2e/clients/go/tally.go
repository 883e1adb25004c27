package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// tally is what was sent or received, in a form that every client computes alike and that no order changes.
type tally struct {
	count      int
	checksum   uint64
	partitions map[string]int
}

func newTally() *tally {
	return &tally{partitions: map[string]int{}}
}

func (t *tally) add(record *kgo.Record) {
	t.count++
	t.checksum += uint64(crc32.ChecksumIEEE(record.Key))<<32 | uint64(crc32.ChecksumIEEE(record.Value))
	t.partitions[strconv.Itoa(int(record.Partition))]++
}

func (t *tally) report() report {
	return report{"count": t.count, "checksum": strconv.FormatUint(t.checksum, 10), "partitions": t.partitions}
}

func key(index int) []byte {
	return fmt.Appendf(nil, "key-%d", index)
}

// value is ten digits, then `x` up to size.
func value(index, size int) []byte {
	digits := fmt.Appendf(nil, "%010d", index)
	return append(digits, bytes.Repeat([]byte("x"), max(size-len(digits), 0))...)
}
