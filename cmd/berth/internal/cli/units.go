package cli

import (
	"fmt"
	"time"

	"berth/internal/text"
)

// byteText returns a number of bytes, such as "1.23 MB"; 1 kB is 1000 bytes.
func byteText(n uint64) string { return text.Bytes(n) }

// packetText returns a number of packets, such as "1.23k pkts".
func packetText(n uint64) string {
	if n == 1 {
		return "1 pkt"
	}
	return text.Number(n) + " pkts"
}

// ageText returns a duration in its largest unit, such as "3m".
func ageText(d time.Duration) string {
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
