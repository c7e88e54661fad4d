package resident

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds of a request, in bytes: those of the client (client/client.c).
const (
	MaxArgs  = 16 << 10
	maxState = 1<<20 + 1
)

// A Request is a run of berth-hook that a client asks for.
type Request struct {
	Args  []string // without the name of the program
	State []byte   // what the runtime wrote to standard input; the state of a container, unless it is wrong
	PID   int      // of the client

	// UntilGone returns a context that ends too if the client ends before it has an answer.
	UntilGone func(context.Context) context.Context
}

// readRequest reads a request: the sizes of the arguments and of the state, as words in the machine's
// order of bytes; the arguments, each with a zero byte at its end; and the state.
func readRequest(r io.Reader) (q Request, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return q, fmt.Errorf("read a request: %w", err)
	}
	args, state := binary.NativeEndian.Uint32(head[:]), binary.NativeEndian.Uint32(head[4:])
	if args == 0 || args > MaxArgs || state > maxState {
		return q, fmt.Errorf("a request has %d bytes of arguments and %d of state; want 1 to %d, and at most %d",
			args, state, MaxArgs, maxState)
	}
	data := make([]byte, args+state)
	if _, err := io.ReadFull(r, data); err != nil {
		return q, fmt.Errorf("read a request of %d bytes: %w", len(data), err)
	}
	if data[args-1] != 0 {
		return q, errors.New("the arguments of a request have no zero byte at their end")
	}
	for _, arg := range bytes.Split(data[:args-1], []byte{0})[1:] {
		q.Args = append(q.Args, string(arg))
	}
	q.State = data[args:]
	return q, nil
}
