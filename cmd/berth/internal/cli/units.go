package cli

import (
	"fmt"
	"strconv"
	"time"
)

// scale writes a number with at most three digits, and a prefix of the SI.
func scale(n uint64) (digits, prefix string) {
	if n < 1000 {
		return strconv.FormatUint(n, 10), ""
	}
	const prefixes = "kMGTPE"
	v, i := float64(n)/1000, 0
	for v >= 999.5 {
		v, i = v/1000, i+1
	}
	decimals := 0
	switch {
	case v < 9.995:
		decimals = 2
	case v < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64), prefixes[i : i+1]
}

// byteText writes a number of bytes, as "1.23 MB"; 1 kB is 1000 bytes.
func byteText(n uint64) string {
	digits, prefix := scale(n)
	return digits + " " + prefix + "B"
}

// packetText writes a number of packets, as "1.23k pkts".
func packetText(n uint64) string {
	digits, prefix := scale(n)
	if n == 1 {
		return "1 pkt"
	}
	return digits + prefix + " pkts"
}

// age writes a duration in its largest unit, as "3m".
func age(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
