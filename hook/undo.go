package hook

import (
	"context"
	"errors"
	"fmt"
)

// undo is a stack of the functions that undo the steps done so far.
type undo struct {
	steps []step
}

type step struct {
	name string
	back func(context.Context) error
}

func (u *undo) push(name string, back func(context.Context) error) {
	u.steps = append(u.steps, step{name, back})
}

// unwind undoes every step, the last first, and continues after failures. It
// ignores the end of the context, which may be the reason for the undo.
func (u *undo) unwind(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var all []error
	for len(u.steps) > 0 {
		last := u.steps[len(u.steps)-1]
		u.steps = u.steps[:len(u.steps)-1]
		if err := last.back(ctx); err != nil {
			all = append(all, fmt.Errorf("undo %s: %w", last.name, err))
		}
	}
	return errors.Join(all...)
}
