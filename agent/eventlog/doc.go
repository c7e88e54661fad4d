// Package eventlog writes events to the journal, as structured entries, and to a rotated
// file of JSON lines.
//
// [Follow] writes the events of a ring to a [Log]: a [Journal] or a [File].
//
// Each log reads the ring of recent events by itself, so that a slow disk delays no other
// reader; events that it could not write in time are counted and reported. It decides
// nothing about events. Of berth it imports specs and agent/events only.
package eventlog
