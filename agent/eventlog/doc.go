// Package eventlog writes events where they stay: into the journal, as
// structured entries, and into a file of JSON lines that is rotated.
//
// It reads them from the ring that keeps the last ones, each log by itself, so
// that a slow disk holds up nobody; what it could not write in time is counted
// and said. It decides nothing about events. Of berth it imports specs and
// agent/events only.
package eventlog
