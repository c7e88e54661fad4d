package eventlog

import (
	"encoding/json"
	"fmt"
	"strconv"

	"berth/specs"

	"github.com/coreos/go-systemd/v22/journal"
)

// MessageID marks a violation in the journal (MESSAGE_ID in
// systemd.journal-fields(7)).
const MessageID = "6f1c2d3c8a5e4b52b1d7c0a9e4f3b817"

// Journal writes entries into the journal of systemd.
type Journal struct{}

// JournalRuns reports whether a journal runs.
func JournalRuns() bool { return journal.Enabled() }

// Write writes one entry. Its fields are normative in specs/events.md.
func (Journal) Write(e *specs.Event) error {
	whole, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	fields := fieldsOf(e)
	fields["BERTH_EVENT"] = string(whole)
	if err := journal.Send(Line(e), journalPriority(e), fields); err != nil {
		return fmt.Errorf("write to the journal: %w", err)
	}
	return nil
}

// Close does nothing.
func (Journal) Close() error { return nil }

// journalPriority returns a lower priority for a suspicion or an advice.
func journalPriority(e *specs.Event) journal.Priority {
	if e.Certainty == specs.Suspected || e.Kind == specs.Unanswered {
		return journal.PriNotice
	}
	return journal.PriWarning
}

// fieldsOf returns the fields of an entry that have a value.
func fieldsOf(e *specs.Event) map[string]string {
	fields := map[string]string{
		"MESSAGE_ID":        MessageID,
		"SYSLOG_IDENTIFIER": "berthd",
		"BERTH_KIND":        string(e.Kind),
		"BERTH_CERTAINTY":   string(e.Certainty),
		"BERTH_EVIDENCE":    string(e.Evidence),
		"BERTH_PARENT":      e.Parent,
		"BERTH_LEFT_OUT":    strconv.FormatUint(e.LeftOut, 10),
	}
	setField(fields, "BERTH_DIRECTION", e.Direction)
	setField(fields, "BERTH_DETAIL", e.Detail)
	if e.VLAN != 0 {
		fields["BERTH_VLAN"] = strconv.Itoa(e.VLAN)
	}
	if e.Dropped {
		fields["BERTH_DROPPED"] = "1"
	}
	if hasFrame(e) {
		fields["BERTH_MAC"] = e.MAC.String()
		fields["BERTH_DESTINATION"] = e.Frame.Destination
	}
	if e.Frame.SourceIP.IsValid() {
		fields["BERTH_SOURCE_IP"] = e.Frame.SourceIP.String()
	}
	if e.Frame.DestinationIP.IsValid() {
		fields["BERTH_DESTINATION_IP"] = e.Frame.DestinationIP.String()
	}
	setParty(fields, "BERTH_SENDER_", e.Sender)
	setParty(fields, "BERTH_OWNER_", e.Owner)
	setParty(fields, "BERTH_RECEIVER_", e.Receiver)
	return fields
}

// setParty sets the fields of a party of an event, if the event has it.
func setParty(fields map[string]string, prefix string, p *specs.Party) {
	if p == nil {
		return
	}
	setField(fields, prefix+"ID", p.ContainerID)
	setField(fields, prefix+"NAME", p.Name)
	setField(fields, prefix+"NETWORK", p.Network)
	setField(fields, prefix+"INTERFACE", p.Interface)
	setField(fields, prefix+"MAC", p.MAC.String())
	setField(fields, prefix+"ORIGIN", string(p.Origin))
}

// setField sets a field, unless its value is empty.
func setField(fields map[string]string, key, value string) {
	if value != "" {
		fields[key] = value
	}
}

func hasFrame(e *specs.Event) bool { return e.Frame.Destination != "" }
