package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"time"

	"berth/specs"
)

// Filter says which events are wanted; its zero value: all that are kept.
type Filter struct {
	Follow    bool // go on with those that come, until the context is done
	Kind      specs.Kind
	Container string    // sender's or owner's id, or the beginning of it
	Since     time.Time // not before
}

func (f Filter) query() url.Values {
	q := url.Values{}
	if f.Follow {
		q.Set("follow", "1")
	}
	if f.Kind != "" {
		q.Set("kind", string(f.Kind))
	}
	if f.Container != "" {
		q.Set("container", f.Container)
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	return q
}

// Events yields the events that the filter lets through, oldest first. After
// an error nothing more comes. A stream that is followed ends without an error
// when ctx is done.
func (c *Client) Events(ctx context.Context, f Filter) iter.Seq2[specs.Event, error] {
	return func(yield func(specs.Event, error) bool) {
		body, err := c.do(ctx, http.MethodGet, "/v1/events", f.query())
		if err != nil {
			yield(specs.Event{}, err)
			return
		}
		defer body.Close()
		lines := bufio.NewReader(body)
		for {
			line, err := lines.ReadBytes('\n')
			if err == io.EOF || ctx.Err() != nil {
				return
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("agent: the stream of events broke off: the agent ended, or more events came than were read")
			}
			var e specs.Event
			if err == nil {
				e, err = DecodeEvent(line)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// DecodeEvent reads a line of events. It takes any source address, also a
// group's, which specs.MAC refuses: whoever forges a frame chooses it.
func DecodeEvent(line []byte) (specs.Event, error) {
	var wire struct {
		specs.Event
		MAC   frameMAC `json:"mac"`
		Frame struct {
			specs.Frame
			Source frameMAC `json:"source"`
		} `json:"frame"`
	}
	if err := json.Unmarshal(line, &wire); err != nil {
		return specs.Event{}, fmt.Errorf("agent's event: %w", err)
	}
	e := wire.Event
	e.MAC, e.Frame = specs.MAC(wire.MAC), wire.Frame.Frame
	e.Frame.Source = specs.MAC(wire.Frame.Source)
	return e, nil
}

// frameMAC is a MAC as it may stand in a frame.
type frameMAC specs.MAC

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *frameMAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	hw, err := net.ParseMAC(string(text))
	if err != nil || len(hw) != len(m) {
		return specs.Invalid("", string(text), "a MAC address of six octets")
	}
	*m = frameMAC(hw)
	return nil
}
