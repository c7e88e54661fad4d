package cli

import (
	"math"
	"testing"
	"time"
)

func TestByteText(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1: "1 B", 999: "999 B",
		1000: "1.00 kB", 1234: "1.23 kB", 9_994: "9.99 kB", 9_995: "10.0 kB",
		99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.00 MB",
		1_500_000_000: "1.50 GB", 2e12: "2.00 TB", 3e15: "3.00 PB", math.MaxUint64: "18.4 EB",
	} {
		mustEqual(t, "bytes", want, byteText(n))
	}
}

func TestPacketText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 pkts", 1: "1 pkt", 42: "42 pkts", 12345: "12.3k pkts"} {
		mustEqual(t, "packets", want, packetText(n))
	}
}

func TestAgeText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m",
		47 * time.Hour: "47h", 48 * time.Hour: "2d",
	} {
		mustEqual(t, "age", want, ageText(d))
	}
}
