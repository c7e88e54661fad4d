package keep

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"berth/network"
)

// failing is a socket of notifications whose each read fails.
type failing struct{ reads *int }

func (f failing) Next() ([]network.Change, error) {
	*f.reads++
	return nil, unix.ENOMEM
}

func (failing) Close() error { return nil }

// TestLinksThatCannotBeRead fails each read of the kernel's notifications: the keeper must pause, and end
// with its context.
func TestLinksThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		reads := 0
		k := &Keeper{Log: slog.New(slog.DiscardHandler)}
		k.followLinks(ctx, func() (network.ChangeSource, error) {
			if reads > 100 {
				stop() // a fake clock stands still while nothing waits
			}
			return failing{&reads}, nil
		})
		if reads < 50 || reads > 70 {
			t.Errorf("%d reads in a minute, want about one a second", reads)
		}
	})
}
