package suite

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestAtOnce(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		passed bool
		err    error
		want   bool
	}{
		"all pass":    {true, nil, true},
		"one fails":   {false, nil, false},
		"one errs":    {false, broken, false},
		"one ends so": {true, broken, false},
	} {
		got, err := AtOnce(t.Context(), 2, []string{"a", "b"}, func(_ context.Context, place string) (bool, error) {
			if place == "a" {
				return true, nil
			}
			return c.passed, c.err
		})
		if got != c.want || !errors.Is(err, c.err) || err != nil && err.Error() != `"b": broken` {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}

// Each place waits for the other, which a run one after another would not survive.
func TestPlacesRunAtOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	here := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	other := map[string]string{"a": "b", "b": "a"}
	passed, err := AtOnce(ctx, 2, []string{"a", "b"}, func(ctx context.Context, place string) (bool, error) {
		close(here[place])
		select {
		case <-here[other[place]]:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	})
	if !passed || err != nil {
		t.Errorf("%t, %v", passed, err)
	}
}

func TestAtMostSoManyPlaces(t *testing.T) {
	var running, most atomic.Int32
	passed, err := AtOnce(t.Context(), 1, []string{"a", "b", "c"}, func(context.Context, string) (bool, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		return true, nil
	})
	if !passed || err != nil || most.Load() != 1 {
		t.Errorf("%t, %v, %d at once", passed, err, most.Load())
	}
}

func TestAnErrorEndsTheOthers(t *testing.T) {
	broken := errors.New("broken")
	_, err := AtOnce(t.Context(), 2, []string{"a", "b"}, func(ctx context.Context, place string) (bool, error) {
		if place == "a" {
			return false, broken
		}
		<-ctx.Done()
		return false, ctx.Err()
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	for want, c := range map[int]struct {
		passed bool
		err    error
	}{0: {true, nil}, 1: {false, nil}, 2: {true, errors.New("broken")}} {
		if got := status("suite", c.passed, c.err); got != want {
			t.Errorf("%+v: %d, want %d", c, got, want)
		}
	}
}
