package exchange

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"berth/dhcp"
)

// TestFloodDoesNotExtendTheDeadline has a frame that is no message ready at each read.
func TestFloodDoesNotExtendTheDeadline(t *testing.T) {
	for name, end := range map[string]func() (context.Context, time.Time, context.CancelFunc){
		"a time": func() (context.Context, time.Time, context.CancelFunc) {
			return context.Background(), time.Now().Add(time.Second), func() {}
		},
		"the context": func() (context.Context, time.Time, context.CancelFunc) {
			ctx, stop := context.WithTimeout(context.Background(), time.Second)
			return ctx, time.Now().Add(time.Hour), stop
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, until, stop := end()
				defer stop()
				flood := func() (found dhcp.Packet, done, again bool, err error) {
					time.Sleep(time.Millisecond) // the time of a frame
					if time.Since(began) > time.Minute {
						t.Fatal("it still reads after a minute")
					}
					return found, false, true, nil
				}
				_, done, err := receiveUntil(ctx, until, flood)
				if took := time.Since(began); !done || !errors.Is(err, errNothing) || took > 2*time.Second {
					t.Errorf("done %t, error %v, after %s", done, err, took)
				}
			})
		})
	}
}
