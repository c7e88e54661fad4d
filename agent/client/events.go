package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"berth/specs"
)

// Filter selects events; the zero value selects all that are kept.
type Filter struct {
	Follow    bool // go on with new ones until the context is done
	Kind      specs.Kind
	Container string    // sender's or owner's ID, or a prefix of it
	Since     time.Time // not earlier
}

func (f Filter) urlQuery() url.Values {
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

// Events yields the selected events, oldest first. It ends after an error. If Follow is
// set, it ends without an error when ctx is done.
func (c *Client) Events(ctx context.Context, f Filter) iter.Seq2[specs.Event, error] {
	return func(yield func(specs.Event, error) bool) {
		body, err := c.sendRequest(ctx, http.MethodGet, "/v1/events", f.urlQuery())
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
				err = errors.New("agent: the stream of events was cut off, because the agent stopped or events came faster than " +
					"they were read; start the command again")
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

// DecodeEvent decodes a line of events.
func DecodeEvent(line []byte) (e specs.Event, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return specs.Event{}, fmt.Errorf("decode an event of the agent: %w", err)
	}
	return e, nil
}
