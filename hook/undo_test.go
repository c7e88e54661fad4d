package hook

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestUndoUnwindsInReverseAndGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var u undo
	var order []string
	bad := errors.New("bad")
	for _, name := range []string{"a", "b", "c"} {
		u.push(name, func(ctx context.Context) error {
			order = append(order, name)
			if name == "b" {
				return bad
			}
			return ctx.Err()
		})
	}
	cancel() // the end of the context is often the reason for the undo
	err := u.unwind(ctx)
	if got := strings.Join(order, ""); got != "cba" {
		t.Errorf("order %q", got)
	}
	if !errors.Is(err, bad) || err.Error() != "undo b: bad" {
		t.Errorf("error %v", err)
	}
	if err := u.unwind(ctx); err != nil || len(order) != 3 {
		t.Errorf("unwound twice: %v, %v", order, err)
	}
}
